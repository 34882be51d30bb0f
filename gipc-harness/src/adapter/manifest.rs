//! What `adapter.toml` says: how an implementation is started, what it can do, which failures are known; and its variants.
//!
//! Does not look whether any of it is there.

use super::AdapterError;
use gipc_agent::ControlChannel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `adapter.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The name that `--adapter` takes: that of its folder.
    pub name: String,
    /// The language it is written in.
    #[serde(default)]
    pub language: String,
    /// A line about it.
    #[serde(default)]
    pub about: String,
    /// The program and its arguments. `{here}` is the folder of the manifest.
    #[serde(default)]
    pub command: Vec<String>,
    /// Files that must be there before it can run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What it can do.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Whether its control channel is served by the library's own loop.
    #[serde(default)]
    pub control: Option<ControlChannel>,
    /// The commands that make its environment.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// Where the specification leaves a choice, which one it made.
    #[serde(default)]
    pub choices: DeclaredChoices,
    /// What it does not have of the profiles that it declares: a verb or the id of a scenario, and why.
    #[serde(default)]
    pub lacks: BTreeMap<String, String>,
    /// The scenarios it is known to fail.
    #[serde(default)]
    pub known: Vec<KnownFailure>,
    /// Words for `{name}` in the command, the needs and the setup.
    #[serde(default)]
    pub words: BTreeMap<String, String>,
    /// What is added to the environment of every process.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The same adapter for another release, or with another setting.
    #[serde(default)]
    pub variant: Vec<Variant>,
}

/// One variant: what differs from the manifest. It is asked for as `NAME@VARIANT`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variant {
    /// What stands behind the `@`.
    pub name: String,
    /// A line about it.
    pub about: Option<String>,
    /// As in the manifest; its words stand instead of those of the same name there.
    #[serde(default)]
    pub words: BTreeMap<String, String>,
    /// As in the manifest; added to it.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What it can do, if that differs.
    pub profiles: Option<Vec<String>>,
    /// As in the manifest; added to it.
    #[serde(default)]
    pub lacks: BTreeMap<String, String>,
    /// Its choices, if they differ.
    pub choices: Option<DeclaredChoices>,
}

/// The choices that a manifest declares; those left out are the suite's own.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeclaredChoices {
    /// Whether a spawned child ever held what it was not given.
    pub spawn: Option<Spawn>,
    /// What becomes of a put that is cancelled in its middle.
    pub after_cancel: Option<AfterCancel>,
    /// When a time limit of a get has begun to receive a message.
    pub late_get: Option<LateGet>,
    /// The longest message, in bytes.
    pub max_message: Option<u64>,
    /// How many free descriptors a start needs, if not two: none where it is a fork and nothing else.
    pub start_needs: Option<u64>,
}

/// How handles reach a child.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spawn {
    /// It holds what it was given, and nothing else at any time.
    Atomic,
    /// It begins as a copy of its parent, and closes what it was not given.
    Forked,
}

/// What follows half a message.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCancel {
    /// Its other half.
    Complete,
    /// Nothing: the handle is of no use any more.
    Poison,
}

/// What a time limit does to a get that has half a message.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LateGet {
    /// It waits for the rest, whatever the limit says.
    Waits,
    /// It gives up, and the next get goes on where it was.
    Resumes,
}

/// One known failure. The fingerprint is the first wrong step, its outcome and the verdict.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KnownFailure {
    /// The scenario's id.
    pub scenario: String,
    /// The first wrong step, as written: `get r`; `*` if that is another one each time.
    pub step: String,
    /// What it comes to: `eof`, `blocks`, `never`, …; `*` if that is another each time.
    pub outcome: String,
    /// `FAIL`, `DEADLOCK` or `HANG`; `*` if it is now one and now another.
    pub verdict: String,
    /// Whose it is.
    pub sort: FailureSort,
    /// Why it fails, and where that is written or seen.
    pub reason: String,
    /// It passes now and then; the reason says why.
    #[serde(default)]
    pub sometimes: bool,
    /// The variants that fail so, with `default` for the manifest without one; if none is named, all.
    #[serde(default)]
    pub variants: Vec<String>,
}

/// Whose a known failure is: somebody has looked at it and decided.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FailureSort {
    /// The implementation does what its own documents or plain sense forbid.
    Defect,
    /// Its authors decided so, and told their users.
    Choice,
    /// The adapter's: the glue between suite and implementation.
    Adapter,
    /// The suite's own.
    Suite,
}

impl std::fmt::Display for FailureSort {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Defect => "defect",
            Self::Choice => "choice",
            Self::Adapter => "adapter",
            Self::Suite => "suite",
        })
    }
}

/// A step, an outcome or a verdict that is another one each time.
pub const ANY: &str = "*";

impl KnownFailure {
    /// Whether a failure with this first wrong step, outcome and verdict is this one.
    #[must_use]
    pub fn is(&self, fingerprint: [&str; 3]) -> bool {
        let listed = [&self.step, &self.outcome, &self.verdict];
        listed.into_iter().zip(fingerprint).all(|(listed, came)| listed == ANY || listed == came)
    }
}

/// What a known failure calls the manifest without a variant.
pub const DEFAULT: &str = "default";

impl Manifest {
    /// Reads one. `shown` is how the file is named in errors.
    pub fn parse(text: &str, shown: &str) -> Result<Self, AdapterError> {
        let bad = |what: String| AdapterError::Bad(format!("{shown}: {what}"));
        let manifest: Self =
            toml::from_str(text).map_err(|error| bad(error.to_string().trim_end().to_owned()))?;
        let names: Vec<&str> =
            manifest.variant.iter().map(|variant| variant.name.as_str()).chain([DEFAULT]).collect();
        for known in &manifest.known {
            let scenario = &known.scenario;
            if known.reason.trim().is_empty() {
                return Err(bad(format!(
                    "the known failure of {scenario} has no reason: say why it fails, and where that is seen"
                )));
            }
            if !["FAIL", "DEADLOCK", "HANG", ANY].contains(&known.verdict.as_str()) {
                return Err(bad(format!(
                    "the known failure of {scenario} has the verdict {}: say FAIL, DEADLOCK, HANG or *",
                    known.verdict
                )));
            }
            let missing = known.variants.iter().find(|name| !names.contains(&name.as_str()));
            if let Some(missing) = missing {
                return Err(bad(format!(
                    "the known failure of {scenario} names the variant {missing}; there are {}",
                    names.join(", ")
                )));
            }
        }
        Ok(manifest)
    }

    /// The manifest of a variant, or of none: what differs is put in its place, and what fails elsewhere is left out.
    pub fn choose(mut self, variant: Option<&str>, shown: &str) -> Result<Self, AdapterError> {
        self.known.retain(|known| {
            let here = variant.unwrap_or(DEFAULT);
            known.variants.is_empty() || known.variants.iter().any(|name| name == here)
        });
        let Some(name) = variant else { return Ok(self) };
        let Some(chosen) = self.variant.iter().find(|variant| variant.name == name).cloned() else {
            let names: Vec<&str> =
                self.variant.iter().map(|variant| variant.name.as_str()).collect();
            let there = match names.is_empty() {
                true => "has no variants".to_owned(),
                false => format!("has the variants {}", names.join(", ")),
            };
            return Err(AdapterError::Bad(format!(
                "{shown}: there is no {name}; {} {there}",
                self.name
            )));
        };
        self.about = chosen.about.unwrap_or(self.about);
        self.words.extend(chosen.words);
        self.env.extend(chosen.env);
        self.lacks.extend(chosen.lacks);
        self.profiles = chosen.profiles.unwrap_or(self.profiles);
        self.choices = chosen.choices.unwrap_or(self.choices);
        self.name = format!("{}@{name}", self.name);
        Ok(self)
    }
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

    /// The variant that is asked for, its name, its Python, and what it is known to fail; or what is said.
    #[rstest]
    #[case(None, Ok(("it", "3.13", vec!["a/always"])))]
    #[case(Some("old"), Ok(("it@old", "2.7", vec!["a/always", "a/old"])))]
    #[case(Some("new"), Err("there is no new; it has the variants old"))]
    fn a_variant_is_the_manifest_but_for_what_it_says(
        #[case] variant: Option<&str>,
        #[case] expected: Result<(&str, &str, Vec<&str>), &str>,
    ) {
        let chosen = Manifest::parse(TEXT, "it.toml").and_then(|it| it.choose(variant, "it.toml"));
        match (chosen, expected) {
            (Ok(it), Ok((name, python, known))) => {
                let all: Vec<&str> = it.known.iter().map(|known| known.scenario.as_str()).collect();
                assert_eq!(
                    (it.name.as_str(), it.words["python"].as_str(), all),
                    (name, python, known)
                );
            }
            (Err(error), Err(said)) => assert!(error.to_string().contains(said), "{error}"),
            (chosen, expected) => panic!("{chosen:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_known_failure_of_a_variant_that_is_not_there_is_refused() {
        let text = TEXT.replace("variants = [\"old\"]", "variants = [\"odl\"]");
        let error = Manifest::parse(&text, "it.toml").expect_err("there is no odl").to_string();
        assert!(error.contains("names the variant odl; there are old, default"), "{error}");
    }
}
