//! `run --accept`: writes what a run found into the adapter's folder, in `adapter.toml` and `skips.txt`.
//!
//! Reasons are left empty, and a manifest without reasons is refused: someone has to look at each new failure.

use crate::adapter::manifest::{ANY, DEFAULT};
use crate::adapter::skip_list::SkipList;
use crate::error::Error;
use crate::verdict::BaselineChange;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// A scenario, and what the folder is to say of it for one variant.
pub type Found = (String, BaselineChange);

/// Writes the changes into an adapter's folder. `asked` is the adapter as it was asked for. Returns sentences about what
/// was written.
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
    let unexplained = known.tables.iter().filter(|table| word(table, "reason").is_empty()).count();
    known.put_into(&mut manifest);
    let mut said = Vec::new();
    for (file, before, now) in
        [(&file, text, manifest.to_string()), (&skips_file, before, skips.to_string())]
    {
        if before != now {
            fs::write(file, &now).map_err(|error| unable(file, error))?;
            said.push(format!("{} is written anew", file.display()));
        }
    }
    if unexplained > 0 {
        said.push(format!(
            "{unexplained} known failures have no reason yet: say whose they are, why they fail, and where that is seen"
        ));
    }
    Ok(said.join("\n  "))
}

/// The known failures as tables, each for its variants.
struct KnownTables {
    tables: Vec<Table>,
    changed: bool,
}

impl KnownTables {
    fn of(manifest: &DocumentMut) -> Self {
        let tables = manifest.get("known").and_then(Item::as_array_of_tables);
        let tables = tables.map(|all| all.iter().cloned().collect()).unwrap_or_default();
        Self { tables, changed: false }
    }

    /// No variant has anything to do with this scenario any more.
    fn forget(&mut self, id: &str) {
        self.changed = true;
        self.tables.retain(|table| word(table, "scenario") != id);
    }

    /// From now on this variant fails a scenario so, or not at all.
    fn set(&mut self, id: &str, variant: &str, all: &[&str], fails: Option<[&str; 3]>) {
        const FINGERPRINT: [&str; 3] = ["step", "outcome", "verdict"];
        self.changed = true;
        let mut found = false;
        for table in self.tables.iter_mut().filter(|table| word(table, "scenario") == id) {
            let listed = FINGERPRINT.map(|name| word(table, name));
            let fits = |fails: [&str; 3]| {
                listed.into_iter().zip(fails).all(|(listed, came)| listed == ANY || listed == came)
            };
            let same = fails.is_some_and(fits);
            found |= same;
            let mut names = names(table, all);
            // Who fails now in one way and now in another has an entry for each.
            let sometimes = table.get("sometimes").and_then(Item::as_bool) == Some(true);
            match same {
                true => names.insert(variant.to_owned()),
                false if sometimes && fails.is_some() => false,
                false => names.remove(variant),
            };
            name(table, &names, all);
        }
        self.tables.retain(|table| !names(table, all).is_empty());
        if let (Some(fails), false) = (fails, found) {
            let mut table = Table::new();
            table["scenario"] = value(id);
            for (name, word) in FINGERPRINT.into_iter().zip(fails) {
                table[name] = value(word);
            }
            table["sort"] = value("");
            name(&mut table, &BTreeSet::from([variant.to_owned()]), all);
            table["reason"] = value("");
            table.decor_mut().set_prefix("\n");
            self.tables.push(table);
        }
    }

    /// In the order of the scenarios, where the first of them was, or at the end.
    fn put_into(mut self, manifest: &mut DocumentMut) {
        if !self.changed {
            return;
        }
        self.tables.sort_by(|a, b| word(a, "scenario").cmp(word(b, "scenario")));
        let first = self.tables.iter().filter_map(Table::position).min().unwrap_or(isize::MAX / 2);
        manifest.remove("known");
        let many = isize::try_from(self.tables.len()).unwrap_or(isize::MAX / 4);
        for (_, item) in manifest.iter_mut() {
            make_room(item, first, many);
        }
        let mut all = ArrayOfTables::new();
        for (at, mut table) in (first..).zip(self.tables) {
            table.set_position(Some(at));
            all.push(table);
        }
        if !all.is_empty() {
            manifest.insert("known", Item::ArrayOfTables(all));
        }
    }
}

/// Moves tables behind a place further back. Where a table is written is its position, not its place in the document.
fn make_room(item: &mut Item, first: isize, many: isize) {
    let back = |table: &mut Table| {
        let position = table.position().filter(|at| *at >= first);
        position.into_iter().for_each(|at| table.set_position(Some(at + many)));
    };
    match item {
        Item::Table(table) => back(table),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(back),
        _ => {}
    }
}

/// All there are, the manifest without one first.
fn variants(manifest: &DocumentMut) -> Vec<String> {
    let tables = manifest.get("variant").and_then(Item::as_array_of_tables);
    let names = tables.into_iter().flatten().map(|table| word(table, "name").to_owned());
    [DEFAULT.to_owned()].into_iter().chain(names).collect()
}

fn word<'a>(table: &'a Table, name: &str) -> &'a str {
    table.get(name).and_then(Item::as_str).unwrap_or_default()
}

/// For whom an entry is. One that has just lost its last is for nobody.
fn names(table: &Table, all: &[&str]) -> BTreeSet<String> {
    match table.get("variants").and_then(Item::as_array) {
        None => all.iter().map(|name| (*name).to_owned()).collect(),
        Some(names) => names.iter().filter_map(|name| name.as_str()).map(str::to_owned).collect(),
    }
}

fn name(table: &mut Table, names: &BTreeSet<String>, all: &[&str]) {
    let named = all.iter().filter(|name| names.contains(**name));
    if names.len() == all.len() {
        table.remove("variants");
    } else {
        table["variants"] = value(named.copied().collect::<Array>());
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

    /// What the manifest says, what `a/b` came to for whom, and what the manifest says then.
    #[rstest]
    #[case::a_new_failure("name = \"it\"\n".into(), "it", fails("eof"), format!("name = \"it\"\n{}", entry("eof", "")))]
    #[case::none_any_more(KNOWN.into(), "it", BaselineChange::Passes, String::new())]
    #[case::another(KNOWN.into(), "it", fails("never"), entry("never", ""))]
    #[case::no_such_scenario(KNOWN.into(), "it", BaselineChange::Nothing, String::new())]
    #[case::one_variant_less(
        format!("{KNOWN}{OLD}"), "it", BaselineChange::Passes, format!("{KNOWN}variants = [\"old\"]\n{OLD}")
    )]
    #[case::one_variant_more(
        format!("{}{OLD}", old_only(KNOWN)), "it", fails("eof"), format!("{KNOWN}{OLD}")
    )]
    #[case::what_is_behind_stays_behind(
        format!("{}{OLD}", old_only(KNOWN)), "it", fails("never"),
        format!("{}{}{OLD}", old_only(KNOWN), entry("never", "variants = [\"default\"]\n"))
    )]
    fn the_manifest_says_what_came_and_keeps_its_reasons(
        #[case] before: String,
        #[case] adapter: &str,
        #[case] came: BaselineChange,
        #[case] expected: String,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("adapter.toml");
        fs::write(&file, before).expect("written");
        let found: [Found; 1] = [("a/b".into(), came)];
        accept(folder.path(), adapter, &found).expect("it can be written");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), expected);
    }

    #[test]
    fn what_is_skipped_goes_into_its_file() {
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
