//! `skips.txt`: the scenarios that an adapter is known to have no answer to. What it says it cannot do may not grow
//! unseen.
//!
//! A line is an id, the word `sometimes` if it may be asked now and then, and the variants it is for, if not for all.

use super::AdapterError;
use std::collections::BTreeMap;

/// The file, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipList {
    /// By the id of a scenario.
    lines: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    sometimes: bool,
    /// None: for all.
    variants: Vec<String>,
}

/// The word of a line whose scenario may be asked now and then.
const SOMETIMES: &str = "sometimes";

impl SkipList {
    /// Reads the file. `variants` are all that there are, `shown` is how the file is named in errors.
    pub fn parse(text: &str, variants: &[&str], shown: &str) -> Result<Self, AdapterError> {
        let mut lines = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let bad = |what: String| AdapterError::Bad(format!("{shown}:{number}: {what}"));
            let mut words = line.split_whitespace().peekable();
            let Some(id) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let sometimes = words.next_if_eq(&SOMETIMES).is_some();
            let named: Vec<String> = words.map(str::to_owned).collect();
            if let Some(unknown) = named.iter().find(|name| !variants.contains(&name.as_str())) {
                let there = variants.join(", ");
                return Err(bad(format!("there is no variant {unknown}; there are {there}")));
            }
            let line = Entry { sometimes, variants: named };
            if lines.insert(id.to_owned(), line).is_some() {
                return Err(bad(format!("{id} is there twice: put its variants into one line")));
            }
        }
        Ok(Self { lines })
    }

    /// Whether a variant (or `default`) is said to skip a scenario: `Some(true)` if only now and then.
    #[must_use]
    pub fn says(&self, id: &str, variant: &str) -> Option<bool> {
        let line = self.lines.get(id)?;
        let here = line.variants.is_empty() || line.variants.iter().any(|name| name == variant);
        here.then_some(line.sometimes)
    }

    /// The scenarios that it speaks of.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// Says from now on that this variant, one of these, skips a scenario, or that it does not.
    pub fn set(&mut self, id: &str, variant: &str, variants: &[&str], skips: bool) {
        let line = self.lines.remove(id);
        let sometimes = line.as_ref().is_some_and(|line| line.sometimes);
        let before = match &line {
            None => Vec::new(),
            Some(line) if line.variants.is_empty() => variants.to_vec(),
            Some(line) => line.variants.iter().map(String::as_str).collect(),
        };
        let now: Vec<String> = variants
            .iter()
            .filter(|name| if **name == variant { skips } else { before.contains(name) })
            .map(|name| (*name).to_owned())
            .collect();
        if !now.is_empty() {
            let variants = if now.len() == variants.len() { Vec::new() } else { now };
            self.lines.insert(id.to_owned(), Entry { sometimes, variants });
        }
    }

    /// Forgets what is said of a scenario.
    pub fn forget(&mut self, id: &str) {
        self.lines.remove(id);
    }
}

impl std::fmt::Display for SkipList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (id, Entry { sometimes, variants }) in &self.lines {
            let sometimes = sometimes.then_some(SOMETIMES);
            let words = sometimes.into_iter().chain(variants.iter().map(String::as_str));
            let line = [id.as_str()].into_iter().chain(words).collect::<Vec<_>>().join(" ");
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::SkipList;
    use rstest::rstest;

    const ALL: [&str; 3] = ["default", "old", "new"];

    /// A file, which variant skips `a/b` or not from now on, and the file then.
    #[rstest]
    #[case::the_first("", ("old", true), "a/b old\n")]
    #[case::one_more("a/b old\n", ("default", true), "a/b default old\n")]
    #[case::now_all("a/b default old\n", ("new", true), "a/b\n")]
    #[case::one_less("a/b\n", ("new", false), "a/b default old\n")]
    #[case::none_any_more("a/b old\n", ("old", false), "")]
    #[case::what_wavers_still_does("a/b sometimes old\n", ("new", true), "a/b sometimes old new\n")]
    #[case::others_stay("# why\na/c\n", ("old", true), "a/b old\na/c\n")]
    fn a_line_is_for_whom_it_names(
        #[case] before: &str,
        #[case] (variant, skips): (&str, bool),
        #[case] expected: &str,
    ) {
        let mut all = SkipList::parse(before, &ALL, "skips.txt").expect("it is one");
        all.set("a/b", variant, &ALL, skips);
        assert_eq!(all.to_string(), expected);
        assert_eq!(all.says("a/b", variant).is_some(), skips);
    }

    #[rstest]
    #[case("a/b\nc/d odl\n", "skips.txt:2: there is no variant odl; there are default, old, new")]
    #[case("a/b\na/b old\n", "skips.txt:2: a/b is there twice")]
    fn what_cannot_be_meant_is_refused(#[case] text: &str, #[case] said: &str) {
        let error = SkipList::parse(text, &ALL, "skips.txt").expect_err("it cannot be meant");
        assert!(error.to_string().starts_with(said), "{error}");
    }
}
