//! The manifest `adapter.toml`: how an implementation is started, what it supports, which of its failures are known, and
//! its variants.
//!
//! The doc comments of the types are the descriptions in the JSON Schema for authors of adapters. Reading a manifest does
//! not check whether the files and programs that it names exist.

use super::{AdapterError, DeclaredChoices, Keeps, KnownFailure};
use gipc_agent::ControlChannel;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub use super::known_failures::ANY;

/// The name of the manifest without a variant, in lists of variants.
pub const DEFAULT: &str = "default";

/// The manifest of an adapter.
///
/// `command`, `needs` and `setup` may contain `{here}`, the folder of the manifest; `{variant}`, which is `@` and the
/// name of the variant, or empty without one; and `{NAME}` for each name in `words`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The name of the adapter, which is also the name of its folder. `--adapter` takes it.
    pub name: String,
    /// The language of the implementation.
    #[serde(default)]
    pub language: String,
    /// One line that describes the implementation.
    #[serde(default)]
    pub about: String,
    /// The program that starts the agent, and its arguments. The role of the process is added as the last argument. A
    /// manifest without a command is rejected.
    #[serde(default)]
    pub command: Vec<String>,
    /// What must exist before the adapter can run. An entry with a slash is the path of a file or a folder; an entry
    /// without one is a program that is looked up in PATH.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The profiles that the implementation supports. An adapter that lists none makes no statement: its agent may
    /// answer `unsupported` to anything.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Which part of the agent answers `ping`. The entry is for readers of the manifest: a run uses the value in the
    /// `hello` of the agent.
    #[serde(default)]
    pub control: Option<ControlChannel>,
    /// The commands that `adapter setup` runs, one after the other, in the current folder. Each is a program and its
    /// arguments.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// The choices of the implementation where the specification allows several behaviours.
    #[serde(default)]
    pub choices: DeclaredChoices,
    /// The addresses of the source files that reasons name, so that pages link to their lines: by the name of a file such
    /// as `lib.py`, or by a folder with a slash at its end. `{version}` stands for the version of the implementation.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// What a process of the implementation keeps open for itself. If left out: nothing.
    #[serde(default)]
    pub keeps: Keeps,
    /// What the implementation does not support although it declares the profile: a verb or the id of a scenario, with
    /// the reason. The suite still performs these scenarios; the entry only permits `unsupported` as an answer. A profile
    /// that is not declared may be listed too: its scenarios are skipped with this reason.
    #[serde(default)]
    pub lacks: BTreeMap<String, String>,
    /// The failures that are known.
    #[serde(default)]
    pub known: Vec<KnownFailure>,
    /// Values for `{NAME}` in `command`, `needs` and `setup`. A value may itself contain `{here}` and `{variant}`.
    #[serde(default)]
    pub words: BTreeMap<String, String>,
    /// Variables that are added to the environment of every process.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variants of the adapter: the same agent with another release or another setting of the implementation.
    #[serde(default)]
    pub variant: Vec<Variant>,
}

/// One variant of an adapter: what differs from the rest of the manifest. `--adapter NAME@VARIANT` selects it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variant {
    /// The name of the variant, without the `@`.
    pub name: String,
    /// One line that describes the variant. If left out, the line of the manifest is used.
    pub about: Option<String>,
    /// Values for `{NAME}`. They are added to those of the manifest and replace values of the same name.
    #[serde(default)]
    pub words: BTreeMap<String, String>,
    /// Environment variables. They are added to those of the manifest and replace variables of the same name.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The profiles of the variant. If left out, those of the manifest are used.
    pub profiles: Option<Vec<String>>,
    /// What the variant does not support. The entries are added to those of the manifest.
    #[serde(default)]
    pub lacks: BTreeMap<String, String>,
    /// The choices of the variant. If left out, those of the manifest are used.
    pub choices: Option<DeclaredChoices>,
    /// What a process of the variant keeps open for itself. If left out, what the manifest says is used.
    pub keeps: Option<Keeps>,
}

impl Manifest {
    /// Reads a manifest and checks its known failures. `shown` names the file in errors.
    pub fn parse(text: &str, shown: &str) -> Result<Self, AdapterError> {
        let invalid = |what: String| AdapterError::Bad(format!("{shown}: {what}"));
        let manifest: Self = toml::from_str(text)
            .map_err(|error| AdapterError::Bad(place_and_cause(text, shown, &error)))?;
        let names: Vec<&str> =
            manifest.variant.iter().map(|variant| variant.name.as_str()).chain([DEFAULT]).collect();
        let all_keeps = manifest.variant.iter().filter_map(|variant| variant.keeps.as_ref());
        for keeps in all_keeps.chain([&manifest.keeps]) {
            let says_something = *keeps != Keeps::default();
            if says_something && keeps.reason.trim().is_empty() {
                return Err(invalid(
                    "keeps has no reason: say what is kept, why, and where that is seen".into(),
                ));
            }
        }
        for known in &manifest.known {
            let Some(scenario) = known.scenarios.first() else {
                return Err(invalid("a known failure names no scenario".into()));
            };
            if !["FAIL", "DEADLOCK", "HANG", ANY].contains(&known.verdict.as_str()) {
                return Err(invalid(format!(
                    "the known failure of {scenario} has the verdict {}: write FAIL, DEADLOCK, HANG or *",
                    known.verdict
                )));
            }
            let unknown = known.variants.iter().find(|name| !names.contains(&name.as_str()));
            if let Some(unknown) = unknown {
                return Err(invalid(format!(
                    "the known failure of {scenario} names the variant {unknown}; there are {}",
                    names.join(", ")
                )));
            }
        }
        Ok(manifest)
    }

    /// Returns the manifest of a variant, or of no variant: applies what the variant changes, and keeps only the known
    /// failures of the variant. `shown` names the file in errors.
    pub fn choose(mut self, variant: Option<&str>, shown: &str) -> Result<Self, AdapterError> {
        let selected = variant.unwrap_or(DEFAULT);
        self.known.retain(|known| {
            known.variants.is_empty() || known.variants.iter().any(|name| name == selected)
        });
        let Some(name) = variant else { return Ok(self) };
        let Some(chosen) = self.variant.iter().find(|variant| variant.name == name).cloned() else {
            return Err(AdapterError::Bad(format!(
                "{shown}: there is no {name}; {} {}",
                self.name,
                self.list_of_variants()
            )));
        };
        self.about = chosen.about.unwrap_or(self.about);
        self.words.extend(chosen.words);
        self.env.extend(chosen.env);
        self.lacks.extend(chosen.lacks);
        self.profiles = chosen.profiles.unwrap_or(self.profiles);
        self.choices = chosen.choices.unwrap_or(self.choices);
        self.keeps = chosen.keeps.unwrap_or(self.keeps);
        self.name = format!("{}@{name}", self.name);
        Ok(self)
    }

    /// The names of all variants, including the default.
    pub fn variant_names(&self) -> Vec<&str> {
        [DEFAULT].into_iter().chain(self.variant.iter().map(|it| it.name.as_str())).collect()
    }

    fn list_of_variants(&self) -> String {
        let names: Vec<&str> = self.variant.iter().map(|variant| variant.name.as_str()).collect();
        if names.is_empty() {
            "has no variants".to_owned()
        } else {
            format!("has the variants {}", names.join(", "))
        }
    }
}

/// A mistake in the text of a manifest on one line: the file, the line and the column, and what is wrong.
fn place_and_cause(text: &str, shown: &str, error: &toml::de::Error) -> String {
    let cause = error.message().lines().collect::<Vec<_>>().join("; ");
    let Some(span) = error.span() else { return format!("{shown}: {cause}") };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{shown}:{line}:{column}: {cause}")
}

#[cfg(test)]
mod tests {
    use super::Manifest;
    use rstest::rstest;

    const TEXT: &str = r#"
        name = "it"
        command = ["{python}"]
        words = { python = "3.13" }
        [[variant]]
        name = "old"
        words = { python = "2.7" }
        env = { METHOD = "fork" }
        [[known]]
        scenario = "a/always"
        step = "main get r"
        outcome = "eof"
        verdict = "FAIL"
        sort = "defect"
        reason = "it does"
        [[known]]
        scenario = "a/old"
        step = "main get r"
        outcome = "eof"
        verdict = "FAIL"
        sort = "defect"
        reason = "it did"
        variants = ["old"]
    "#;

    /// The selected variant, and then its name, its Python and its known failures, or a part of the error.
    #[rstest]
    #[case(None, Ok(("it", "3.13", vec!["a/always"])))]
    #[case(Some("old"), Ok(("it@old", "2.7", vec!["a/always", "a/old"])))]
    #[case(Some("new"), Err("there is no new; it has the variants old"))]
    fn a_variant_changes_only_what_it_names(
        #[case] variant: Option<&str>,
        #[case] expected: Result<(&str, &str, Vec<&str>), &str>,
    ) {
        let chosen = Manifest::parse(TEXT, "it.toml")
            .and_then(|manifest| manifest.choose(variant, "it.toml"));
        match (chosen, expected) {
            (Ok(manifest), Ok(expected)) => {
                let known: Vec<&str> =
                    manifest.known.iter().map(|known| known.scenarios[0].as_str()).collect();
                let python = manifest.words["python"].as_str();
                assert_eq!((manifest.name.as_str(), python, known), expected);
            }
            (Err(error), Err(message)) => assert!(error.to_string().contains(message), "{error}"),
            (chosen, expected) => panic!("{chosen:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_known_failure_of_an_unknown_variant_is_refused() {
        let text = TEXT.replace("variants = [\"old\"]", "variants = [\"odl\"]");
        let error =
            Manifest::parse(&text, "it.toml").expect_err("no variant is called odl").to_string();
        assert!(error.contains("names the variant odl; there are old, default"), "{error}");
    }

    /// The place and the cause are on one line.
    #[rstest]
    #[case::an_unknown_field(
        "name = \"it\"\nlangauge = \"C\"\n",
        "it.toml:2:1: unknown field `langauge`"
    )]
    #[case::no_toml("name = \"it\"\ncommand = [\n", "it.toml:2:12: unclosed array")]
    #[case::a_number_for_a_text("name = \"it\"\nabout = 3\n", "it.toml:2:9: invalid type: integer")]
    #[case::a_missing_field("about = \"ä\"\n", "it.toml:1:1: missing field `name`")]
    fn a_mistake_is_refused_with_its_line(#[case] text: &str, #[case] says: &str) {
        let error = Manifest::parse(text, "it.toml").expect_err("a mistake").to_string();
        assert!(error.starts_with(says) && !error.contains('\n'), "{error}");
    }

    #[test]
    fn what_an_implementation_keeps_needs_a_reason() {
        let text = TEXT.replacen("[[variant]]", "keeps = { descriptors = 1 }\n[[variant]]", 1);
        let error = Manifest::parse(&text, "it.toml").expect_err("it has no reason").to_string();
        assert!(error.contains("keeps has no reason"), "{error}");
        let with_reason = text.replace("1 }", "1, reason = \"a pidfd\" }");
        let manifest = Manifest::parse(&with_reason, "it.toml").expect("it has a reason");
        assert_eq!(manifest.keeps.descriptors, 1);
    }
}
