//! `skips.txt`: the scenarios that an adapter is known to answer with `unsupported`. The list makes sure that a scenario
//! cannot become skipped unnoticed.
//!
//! A line is the id of a scenario, then `sometimes` if the scenario is not always skipped, then the variants that skip it,
//! if these are not all of them. A `#` begins a comment, in a line of its own or after an entry; `--accept` keeps comments.

use super::AdapterError;
use std::collections::BTreeMap;

/// The content of `skips.txt`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipList {
    /// The entries, by the id of the scenario.
    entries: BTreeMap<String, Entry>,
    /// The comment at the beginning of the file, which an empty line separates from the entries.
    header: String,
    /// The comments after the last entry.
    trailing: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    sometimes: bool,
    /// The variants that skip the scenario. Empty if all do.
    variants: Vec<String>,
    /// The comments in the lines above the entry.
    above: String,
    /// The comment after the entry in the same line, with its `#`.
    behind: String,
}

/// The word of an entry whose scenario is not always skipped.
const SOMETIMES: &str = "sometimes";

impl SkipList {
    /// Reads the file. `variants` are all variants of the adapter; `shown` names the file in errors.
    pub fn parse(text: &str, variants: &[&str], shown: &str) -> Result<Self, AdapterError> {
        let mut list = Self::default();
        let mut comments = String::new();
        for (number, line) in (1..).zip(text.lines()) {
            let invalid = |what: String| AdapterError::Bad(format!("{shown}:{number}: {what}"));
            let (entry, behind) = line.split_at(line.find('#').unwrap_or(line.len()));
            let mut words = entry.split_whitespace().peekable();
            let Some(id) = words.next() else {
                if line.trim().is_empty() && list.entries.is_empty() && !comments.is_empty() {
                    list.header = std::mem::take(&mut comments) + "\n";
                } else if !line.trim().is_empty() {
                    comments += &format!("{line}\n");
                }
                continue;
            };
            let sometimes = words.next_if_eq(&SOMETIMES).is_some();
            let variants_of_entry: Vec<String> = words.map(str::to_owned).collect();
            let mut named = variants_of_entry.iter();
            if let Some(unknown) = named.find(|name| !variants.contains(&name.as_str())) {
                let variants = variants.join(", ");
                return Err(invalid(format!(
                    "there is no variant {unknown}; there are {variants}"
                )));
            }
            let entry = Entry {
                sometimes,
                variants: variants_of_entry,
                above: std::mem::take(&mut comments),
                behind: behind.to_owned(),
            };
            if list.entries.insert(id.to_owned(), entry).is_some() {
                return Err(invalid(format!(
                    "{id} is there twice: put its variants into one line"
                )));
            }
        }
        list.trailing = comments;
        Ok(list)
    }

    /// Whether the list says that a variant (or `default`) skips a scenario: `None` if not, `Some(true)` if it sometimes
    /// skips it, `Some(false)` if it always does.
    #[must_use]
    pub fn says(&self, id: &str, variant: &str) -> Option<bool> {
        let entry = self.entries.get(id)?;
        let applies =
            entry.variants.is_empty() || entry.variants.iter().any(|name| name == variant);
        applies.then_some(entry.sometimes)
    }

    /// The ids of all scenarios in the list.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Changes whether one variant skips a scenario. `variants` are all variants of the adapter.
    pub fn set(&mut self, id: &str, variant: &str, variants: &[&str], skips: bool) {
        let entry = self.entries.remove(id);
        let before = match &entry {
            None => Vec::new(),
            Some(entry) if entry.variants.is_empty() => variants.to_vec(),
            Some(entry) => entry.variants.iter().map(String::as_str).collect(),
        };
        let after: Vec<String> = variants
            .iter()
            .filter(|name| if **name == variant { skips } else { before.contains(name) })
            .map(|name| (*name).to_owned())
            .collect();
        if !after.is_empty() {
            let variants = if after.len() == variants.len() { Vec::new() } else { after };
            let entry = Entry { variants, ..entry.unwrap_or_default() };
            self.entries.insert(id.to_owned(), entry);
        }
    }

    /// Records that a scenario of the list is not always skipped.
    pub fn set_sometimes(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.sometimes = true;
        }
    }

    /// Removes the entry of a scenario. Returns false if the list has no such entry.
    pub fn forget(&mut self, id: &str) -> bool {
        self.entries.remove(id).is_some()
    }
}

impl std::fmt::Display for SkipList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.header)?;
        for (id, Entry { sometimes, variants, above, behind }) in &self.entries {
            let sometimes = sometimes.then_some(SOMETIMES);
            let words = [id.as_str()].into_iter().chain(sometimes);
            let words = words.chain(variants.iter().map(String::as_str));
            let words: Vec<&str> = words.chain(Some(behind.as_str())).collect();
            writeln!(f, "{above}{}", words.join(" ").trim_end())?;
        }
        f.write_str(&self.trailing)
    }
}

#[cfg(test)]
mod tests {
    use super::SkipList;
    use rstest::rstest;

    const ALL: [&str; 3] = ["default", "old", "new"];

    /// A file, the variant that skips `a/b` from now on or no longer skips it, and the changed file.
    #[rstest]
    #[case::a_first_variant_is_added("", ("old", true), "a/b old\n")]
    #[case::another_variant_is_added("a/b old\n", ("default", true), "a/b default old\n")]
    #[case::the_last_variant_makes_it_all("a/b default old\n", ("new", true), "a/b\n")]
    #[case::one_of_all_is_removed("a/b\n", ("new", false), "a/b default old\n")]
    #[case::the_last_variant_is_removed("a/b old\n", ("old", false), "")]
    #[case::sometimes_is_kept("a/b sometimes old\n", ("new", true), "a/b sometimes old new\n")]
    #[case::other_entries_are_kept("# all\n\n# why\na/c  # so\n# end\n", ("old", true), "# all\n\na/b old\n# why\na/c # so\n# end\n")]
    fn a_change_for_one_variant_keeps_the_others(
        #[case] before: &str,
        #[case] (variant, skips): (&str, bool),
        #[case] expected: &str,
    ) {
        let mut list = SkipList::parse(before, &ALL, "skips.txt").expect("a valid list");
        list.set("a/b", variant, &ALL, skips);
        assert_eq!(list.to_string(), expected);
        assert_eq!(list.says("a/b", variant).is_some(), skips);
    }

    #[rstest]
    #[case("a/b\nc/d odl\n", "skips.txt:2: there is no variant odl; there are default, old, new")]
    #[case("a/b\na/b old\n", "skips.txt:2: a/b is there twice")]
    fn an_invalid_list_is_refused(#[case] text: &str, #[case] message: &str) {
        let error = SkipList::parse(text, &ALL, "skips.txt").expect_err("the list is invalid");
        assert!(error.to_string().starts_with(message), "{error}");
    }
}
