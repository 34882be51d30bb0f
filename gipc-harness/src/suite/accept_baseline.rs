//! `run --accept`: updates the baseline in an adapter's folder, `adapter.toml` and `skips.txt`, to the results of a
//! run.
//!
//! New known failures have an empty reason. Since a manifest with an empty reason is rejected, a person has to examine
//! each new failure.

use crate::adapter::manifest::{ANY, DEFAULT};
use crate::adapter::skip_list::SkipList;
use crate::error::Error;
use crate::verdict::BaselineChange;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// The id of a scenario, and the change of the baseline for it.
pub type Found = (String, BaselineChange);

/// Writes changes of the baseline into an adapter's folder, for the variant that `asked` names: the adapter as the
/// command line gave it. Returns a description of what was written, for the user.
///
/// Fails if a file cannot be parsed or written.
pub fn accept(folder: &Path, asked: &str, found: &[Found]) -> Result<String, Error> {
    let file = folder.join("adapter.toml");
    let text = fs::read_to_string(&file).map_err(|error| unable(&file, error))?;
    let mut manifest: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| unable(&file, error))?;
    let variants = variants(&manifest);
    let all: Vec<&str> = variants.iter().map(String::as_str).collect();
    let variant = all.iter().copied().find(|name| asked.ends_with(&format!("@{name}")));
    let variant = variant.unwrap_or(DEFAULT);
    let skips_file = folder.join("skips.txt");
    let before = fs::read_to_string(&skips_file).unwrap_or_default();
    let mut skips = SkipList::parse(&before, &all, &skips_file.display().to_string())?;
    let mut known = KnownTables::of(&manifest);
    for (id, change) in found {
        match change {
            BaselineChange::Skips => skips.set(id, variant, &all, true),
            BaselineChange::Asked => skips.set(id, variant, &all, false),
            BaselineChange::Passes => {
                known.set(id, variant, &all, None);
                if let Some(lacks) = manifest.get_mut("lacks").and_then(Item::as_table_mut) {
                    lacks.remove(id);
                }
            }
            BaselineChange::Fails { step, outcome, verdict, .. } => {
                known.set(id, variant, &all, Some([step, outcome, &verdict.to_string()]));
            }
            BaselineChange::Nothing => {
                known.forget(id);
                if let Some(lacks) = manifest.get_mut("lacks").and_then(Item::as_table_mut) {
                    lacks.remove(id);
                }
                skips.forget(id);
            }
        }
    }
    let unexplained =
        known.tables.iter().filter(|table| text_of(table, "reason").is_empty()).count();
    known.put_into(&mut manifest);
    let mut messages = Vec::new();
    for (file, before, after) in
        [(&file, text, manifest.to_string()), (&skips_file, before, skips.to_string())]
    {
        if before != after {
            fs::write(file, &after).map_err(|error| unable(file, error))?;
            messages.push(format!("{} is written anew", file.display()));
        }
    }
    if unexplained > 0 {
        messages.push(format!(
            "{unexplained} known failures have no reason yet: say whose they are, why they fail, and where that is seen"
        ));
    }
    Ok(messages.join("\n  "))
}

/// The known failures of a manifest, as its tables: each for one or more variants.
struct KnownTables {
    tables: Vec<Table>,
    is_changed: bool,
}

impl KnownTables {
    fn of(manifest: &DocumentMut) -> Self {
        let tables = manifest.get("known").and_then(Item::as_array_of_tables);
        let tables = tables.map(|all| all.iter().cloned().collect()).unwrap_or_default();
        Self { tables, is_changed: false }
    }

    /// Removes the entries of a scenario, for all variants.
    fn forget(&mut self, id: &str) {
        self.is_changed = true;
        self.tables.retain(|table| text_of(table, "scenario") != id);
    }

    /// Sets the known failure of a scenario for one variant: its fingerprint, or `None` if the scenario passes. `all`
    /// are the names of all variants.
    fn set(&mut self, id: &str, variant: &str, all: &[&str], failure: Option<[&str; 3]>) {
        const FINGERPRINT: [&str; 3] = ["step", "outcome", "verdict"];
        self.is_changed = true;
        let mut is_listed = false;
        for table in self.tables.iter_mut().filter(|table| text_of(table, "scenario") == id) {
            let listed = FINGERPRINT.map(|key| text_of(table, key));
            let matches_entry = |failure: [&str; 3]| {
                let mut pairs = listed.into_iter().zip(failure);
                pairs.all(|(listed, actual)| listed == ANY || listed == actual)
            };
            let is_same = failure.is_some_and(matches_entry);
            is_listed |= is_same;
            let mut names = variants_of(table, all);
            // An intermittent scenario may fail in several ways, and has an entry for each of them.
            let sometimes = table.get("sometimes").and_then(Item::as_bool) == Some(true);
            match is_same {
                true => names.insert(variant.to_owned()),
                false if sometimes && failure.is_some() => false,
                false => names.remove(variant),
            };
            set_variants(table, &names, all);
        }
        self.tables.retain(|table| !variants_of(table, all).is_empty());
        if let (Some(failure), false) = (failure, is_listed) {
            let mut table = Table::new();
            table["scenario"] = value(id);
            for (key, text) in FINGERPRINT.into_iter().zip(failure) {
                table[key] = value(text);
            }
            table["sort"] = value("");
            set_variants(&mut table, &BTreeSet::from([variant.to_owned()]), all);
            table["reason"] = value("");
            table.decor_mut().set_prefix("\n");
            self.tables.push(table);
        }
    }

    /// Writes the tables into a manifest, sorted by scenario: at the position of the first old table, or at the end.
    fn put_into(mut self, manifest: &mut DocumentMut) {
        if !self.is_changed {
            return;
        }
        self.tables.sort_by(|a, b| text_of(a, "scenario").cmp(text_of(b, "scenario")));
        let first = self.tables.iter().filter_map(Table::position).min().unwrap_or(isize::MAX / 2);
        manifest.remove("known");
        let count = isize::try_from(self.tables.len()).unwrap_or(isize::MAX / 4);
        for (_, item) in manifest.iter_mut() {
            shift_positions(item, first, count);
        }
        let mut all = ArrayOfTables::new();
        for (position, mut table) in (first..).zip(self.tables) {
            table.set_position(Some(position));
            all.push(table);
        }
        if !all.is_empty() {
            manifest.insert("known", Item::ArrayOfTables(all));
        }
    }
}

/// Moves the tables from the position `first` on by `count` positions. The position, not the order of insertion,
/// decides where a table is written.
fn shift_positions(item: &mut Item, first: isize, count: isize) {
    let shift = |table: &mut Table| {
        if let Some(position) = table.position().filter(|position| *position >= first) {
            table.set_position(Some(position + count));
        }
    };
    match item {
        Item::Table(table) => shift(table),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(shift),
        _ => {}
    }
}

/// The names of all variants of a manifest, the default first.
fn variants(manifest: &DocumentMut) -> Vec<String> {
    let tables = manifest.get("variant").and_then(Item::as_array_of_tables);
    let names = tables.into_iter().flatten().map(|table| text_of(table, "name").to_owned());
    [DEFAULT.to_owned()].into_iter().chain(names).collect()
}

/// The text of a key; empty if the table does not have it.
fn text_of<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Item::as_str).unwrap_or_default()
}

/// The variants that an entry is about: all, unless it names some. The set is empty if the last one was removed.
fn variants_of(table: &Table, all: &[&str]) -> BTreeSet<String> {
    match table.get("variants").and_then(Item::as_array) {
        None => all.iter().map(|name| (*name).to_owned()).collect(),
        Some(names) => names.iter().filter_map(|name| name.as_str()).map(str::to_owned).collect(),
    }
}

/// Names the variants that an entry is about, unless it is about all.
fn set_variants(table: &mut Table, names: &BTreeSet<String>, all: &[&str]) {
    let in_order = all.iter().filter(|name| names.contains(**name));
    if names.len() == all.len() {
        table.remove("variants");
    } else {
        table["variants"] = value(in_order.copied().collect::<Array>());
    }
}

fn unable(file: &Path, error: impl std::fmt::Display) -> Error {
    Error::unable(format!("error: {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{Found, accept};
    use crate::verdict::{BaselineChange, Status};
    use rstest::rstest;
    use std::fs;

    const KNOWN: &str = "
# why
[[known]]
scenario = \"a/b\"
step = \"main get r\"
outcome = \"eof\"
verdict = \"FAIL\"
sort = \"defect\"
reason = \"it forgets\"
";
    const OLD: &str = "
[[variant]]
name = \"old\"
";

    fn fails(outcome: &str) -> BaselineChange {
        let (step, outcome) = ("main get r".to_owned(), outcome.to_owned());
        BaselineChange::Fails { step, outcome, verdict: Status::Fail, instead: false }
    }

    fn entry(outcome: &str, variants: &str) -> String {
        let known = KNOWN.replace("eof", outcome).replace("# why\n", "");
        known.replace(
            "sort = \"defect\"\nreason = \"it forgets\"",
            &format!("sort = \"\"\n{variants}reason = \"\""),
        )
    }

    fn old_only(known: &str) -> String {
        known.replace("reason", "variants = [\"old\"]\nreason")
    }

    /// A manifest, the adapter that ran, the change for the scenario `a/b`, and the manifest with the change.
    #[rstest]
    #[case::a_new_failure_adds_an_entry("name = \"it\"\n".into(), "it", fails("eof"), format!("name = \"it\"\n{}", entry("eof", "")))]
    #[case::a_pass_removes_the_entry(KNOWN.into(), "it", BaselineChange::Passes, String::new())]
    #[case::another_failure_replaces_the_entry(KNOWN.into(), "it", fails("never"), entry("never", ""))]
    #[case::a_scenario_that_is_gone_has_no_entry(KNOWN.into(), "it", BaselineChange::Nothing, String::new())]
    #[case::a_pass_removes_the_variant_from_the_entry(
        format!("{KNOWN}{OLD}"), "it", BaselineChange::Passes, format!("{KNOWN}variants = [\"old\"]\n{OLD}")
    )]
    #[case::a_failure_adds_the_variant_to_the_entry(
        format!("{}{OLD}", old_only(KNOWN)), "it", fails("eof"), format!("{KNOWN}{OLD}")
    )]
    #[case::tables_after_the_entries_stay_after_them(
        format!("{}{OLD}", old_only(KNOWN)), "it", fails("never"),
        format!("{}{}{OLD}", old_only(KNOWN), entry("never", "variants = [\"default\"]\n"))
    )]
    fn known_failures_are_updated_and_keep_their_reasons(
        #[case] before: String,
        #[case] adapter: &str,
        #[case] change: BaselineChange,
        #[case] expected: String,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("adapter.toml");
        fs::write(&file, before).expect("written");
        let found: [Found; 1] = [("a/b".into(), change)];
        accept(folder.path(), adapter, &found).expect("it can be written");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), expected);
    }

    #[test]
    fn skips_are_written_into_the_skip_list() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("adapter.toml"), OLD).expect("written");
        let found: [Found; 2] =
            [("a/b".into(), BaselineChange::Skips), ("a/a".into(), BaselineChange::Skips)];
        accept(folder.path(), "it@old", &found).expect("it can be written");
        accept(folder.path(), "it", &found[..1]).expect("it can be written");
        let text = fs::read_to_string(folder.path().join("skips.txt")).expect("it is there");
        assert_eq!(text, "a/a old\na/b\n");
    }
}
