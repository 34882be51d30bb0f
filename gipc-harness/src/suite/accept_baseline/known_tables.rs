//! The known failures of a manifest as tables of a TOML document. Changes to them leave everything else as it is: comments,
//! order and layout.

use super::entry::{
    FINGERPRINT, add_diagnosis, fingerprint_of, first_scenario, is_sometimes, is_unexplained,
    keep_diagnoses, matches, merge, new_table, prefix_of, scenarios_of, set_scenarios,
    set_variants, shown, variants_of,
};
use super::{Fingerprint, Seen, text_of};
use crate::adapter::manifest::ANY;
use std::collections::BTreeSet;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// Why an entry no longer applies.
#[derive(Clone, Copy)]
pub(super) enum Removal {
    Passes,
    FailsOtherwise,
    IsGone,
}

impl Removal {
    pub(super) fn of(seen: &Seen) -> Self {
        if seen.is_gone { Self::IsGone } else { Self::Passes }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Passes => "it passes",
            Self::FailsOtherwise => "it fails in another way",
            Self::IsGone => "there is no such scenario",
        }
    }
}

/// The known failures of a manifest: each table is about one or more scenarios, and one or more variants.
pub(super) struct KnownTables<'a> {
    tables: Vec<Table>,
    /// The names of all variants.
    all: &'a [&'a str],
    /// The entries that were removed, as comments, each with the scenario that it is about.
    comments: Vec<(String, String)>,
    /// A line for each change.
    changes: Vec<String>,
}

impl<'a> KnownTables<'a> {
    pub(super) fn of(manifest: &DocumentMut, all: &'a [&'a str]) -> Self {
        let tables = manifest.get("known").and_then(Item::as_array_of_tables);
        let tables = tables.map(|all| all.iter().cloned().collect()).unwrap_or_default();
        Self { tables, all, comments: Vec::new(), changes: Vec::new() }
    }

    /// The scenarios with an entry that has no sort or no reason.
    pub(super) fn unexplained(&self) -> Vec<String> {
        let has_gap =
            |table: &&Table| ["sort", "reason"].iter().any(|key| text_of(table, key).is_empty());
        let mut ids: Vec<String> =
            self.tables.iter().filter(has_gap).filter_map(first_scenario).collect();
        ids.sort();
        ids
    }

    /// Removes a scenario from all entries, for all variants.
    pub(super) fn forget(&mut self, id: &str) {
        for variant in self.all {
            self.remove(id, variant, Removal::IsGone);
        }
    }

    /// Changes the entries of a scenario for one variant according to what was seen of it.
    pub(super) fn update(&mut self, id: &str, variant: &str, seen: &Seen) {
        let Some(first) = seen.failures.first() else {
            let is_always = |table: &Table| !is_sometimes(table);
            let listed = self.entries(id, variant);
            if seen.passed && listed.iter().any(|index| is_always(&self.tables[*index])) {
                self.remove(id, variant, Removal::Passes);
            }
            return;
        };
        let listed = self.entries(id, variant);
        let is_seen = |table: &Table| seen.failures.iter().any(|one| matches(table, one));
        let seen_entries: Vec<usize> =
            listed.iter().copied().filter(|index| is_seen(&self.tables[*index])).collect();
        let is_listed = |failure: &&Fingerprint| {
            listed.iter().any(|index| matches(&self.tables[*index], failure))
        };
        let unlisted: Vec<&Fingerprint> =
            seen.failures.iter().filter(|failure| !is_listed(failure)).collect();
        if let (Some(index), false) = (seen_entries.first(), unlisted.is_empty()) {
            // One command gave both the listed failure and others: the scenario fails in different ways from run to run.
            let table = self.take_out(*index, id, variant);
            let all = seen.failures.iter();
            let widened = all.fold(fingerprint_of(&table), merge);
            self.changes.push(format!("widened    {id}: it is now {}", shown(&widened)));
            self.push(table, &widened, seen.passed);
        } else if !unlisted.is_empty() {
            if listed.iter().any(|index| !is_sometimes(&self.tables[*index])) {
                self.remove(id, variant, Removal::FailsOtherwise);
            }
            let failure = unlisted[1..].iter().fold(unlisted[0].clone(), |a, b| merge(a, b));
            if !self.join_other_variant(id, variant, &failure) {
                self.changes.push(format!("added      {id}: {}", shown(&failure)));
                let mut table = new_table(id, variant, self.all);
                add_diagnosis(&mut table, id, &seen.diagnosis);
                self.add(id, table, &failure, seen);
            }
        } else if seen.passed {
            for index in seen_entries {
                if is_sometimes(&self.tables[index]) {
                    continue;
                }
                let table = self.take_out(index, id, variant);
                self.changes.push(format!(
                    "sometimes  {id}: it also passes; say in its reason what that depends on"
                ));
                self.push(table, first, true);
            }
        }
    }

    /// Adds a new entry of a scenario. If there is an entry for the same failure of other scenarios that no person has explained
    /// yet, the scenario is added to that one.
    fn add(&mut self, id: &str, table: Table, failure: &Fingerprint, seen: &Seen) {
        let names = variants_of(&table, self.all);
        let is_same = |other: &&mut Table| {
            is_unexplained(other)
                && fingerprint_of(other) == *failure
                && is_sometimes(other) == seen.passed
                && variants_of(other, self.all) == names
        };
        let Some(other) = self.tables.iter_mut().find(is_same) else {
            return self.push(table, failure, seen.passed);
        };
        let mut ids = scenarios_of(other);
        ids.push(id.to_owned());
        ids.sort();
        set_scenarios(other, &ids);
        add_diagnosis(other, id, &seen.diagnosis);
    }

    /// Writes an old or new entry with this fingerprint.
    fn push(&mut self, mut table: Table, failure: &Fingerprint, sometimes: bool) {
        let is_new = text_of(&table, "step").is_empty();
        for (key, text) in FINGERPRINT.into_iter().zip(failure) {
            // An entry with `*` keeps it.
            if text_of(&table, key) != ANY {
                table[key] = value(text);
            }
        }
        if sometimes {
            table["sometimes"] = value(true);
        }
        if is_new {
            for key in ["sort", "reason"] {
                table[key] = value("");
            }
        }
        self.tables.push(table);
    }

    /// Adds the variant to an entry for the same failure of other variants. Returns false if there is no such entry.
    fn join_other_variant(&mut self, id: &str, variant: &str, failure: &Fingerprint) -> bool {
        let is_same = |table: &&mut Table| {
            scenarios_of(table) == [id] && !is_sometimes(table) && matches(table, failure)
        };
        let Some(table) = self.tables.iter_mut().find(is_same) else { return false };
        let mut names = variants_of(table, self.all);
        names.insert(variant.to_owned());
        set_variants(table, &names, self.all);
        self.changes.push(format!("added      {id}: the entry is now also that of {variant}"));
        true
    }

    /// The indices of the entries of a scenario that are about this variant.
    fn entries(&self, id: &str, variant: &str) -> Vec<usize> {
        let is_about = |table: &Table| {
            scenarios_of(table).iter().any(|one| one == id)
                && variants_of(table, self.all).contains(variant)
        };
        (0..self.tables.len()).filter(|index| is_about(&self.tables[*index])).collect()
    }

    /// Takes the scenario with this variant out of an entry, as an entry of its own. The rest of the entry stays.
    fn take_out(&mut self, index: usize, id: &str, variant: &str) -> Table {
        let table = self.tables.remove(index);
        let (ids, names) = (scenarios_of(&table), variants_of(&table, self.all));
        let only = |ids: &[String], names: &BTreeSet<String>| {
            let mut part = table.clone();
            keep_diagnoses(&mut part, ids);
            set_scenarios(&mut part, ids);
            set_variants(&mut part, names, self.all);
            part
        };
        let others: Vec<String> = ids.iter().filter(|one| *one != id).cloned().collect();
        let mut other_names = names.clone();
        other_names.remove(variant);
        let id = [id.to_owned()];
        let taken = only(&id, &BTreeSet::from([variant.to_owned()]));
        let rest = [(&others[..], &names), (&id[..], &other_names)];
        let rest = rest.into_iter().filter(|(ids, names)| !ids.is_empty() && !names.is_empty());
        let rest: Vec<Table> = rest.map(|(ids, names)| only(ids, names)).collect();
        self.tables.extend(rest);
        taken
    }

    /// Takes the scenario with this variant out of all entries. An entry with nothing left becomes a comment.
    fn remove(&mut self, id: &str, variant: &str, why: Removal) {
        while let Some(index) = self.entries(id, variant).first().copied() {
            let before = self.tables.len();
            let table = self.take_out(index, id, variant);
            // If a part of the entry is left, the reason stays there.
            if self.tables.len() >= before || text_of(&table, "reason").is_empty() {
                self.changes.push(format!("removed    {id}: {}", why.reason()));
                continue;
            }
            let mut all = ArrayOfTables::new();
            all.push(table);
            let mut document = DocumentMut::new();
            document.insert("known", Item::ArrayOfTables(all));
            self.comment_out(id, why, document.to_string().trim_start());
        }
    }

    /// Keeps an entry that no longer applies as a comment.
    pub(super) fn comment_out(&mut self, id: &str, why: Removal, entry: &str) {
        let reason = why.reason();
        let mut comment = format!("# {id} was here until --accept: {reason}.\n");
        for line in entry.lines() {
            comment += format!("# {}", line.trim_start_matches("# ")).trim_end();
            comment.push('\n');
        }
        self.comments.push((id.to_owned(), comment));
        self.changes.push(format!("removed    {id}: {reason}; its entry is now a comment"));
    }

    /// Writes the tables into a manifest, sorted by scenario: at the position of the first old table, or at the end.
    /// Returns a line for each change.
    pub(super) fn put_into(mut self, manifest: &mut DocumentMut) -> Vec<String> {
        if self.changes.is_empty() {
            return self.changes;
        }
        self.tables.sort_by_key(first_scenario);
        let first = self.tables.iter().filter_map(Table::position).min().unwrap_or(isize::MAX / 2);
        manifest.remove("known");
        let count = isize::try_from(self.tables.len()).unwrap_or(isize::MAX / 4);
        for (_, item) in manifest.iter_mut() {
            shift_positions(item, first, count);
        }
        self.comments.sort();
        for (id, comment) in std::mem::take(&mut self.comments).into_iter().rev() {
            let after = |table: &&mut Table| first_scenario(table).is_some_and(|one| one >= id);
            match self.tables.iter_mut().find(after) {
                Some(table) => {
                    let prefix = format!("\n{comment}{}", prefix_of(table));
                    table.decor_mut().set_prefix(prefix);
                }
                None => {
                    let trailing = manifest.trailing().as_str().unwrap_or_default().to_owned();
                    manifest.set_trailing(format!("\n{comment}{trailing}"));
                }
            }
        }
        let mut all = ArrayOfTables::new();
        for (position, mut table) in (first..).zip(self.tables) {
            table.set_position(Some(position));
            all.push(table);
        }
        if !all.is_empty() {
            manifest.insert("known", Item::ArrayOfTables(all));
        }
        self.changes
    }
}

/// Moves the tables at or after the position `first` by `count` positions, with the tables inside them. The position, not
/// the order of insertion, decides where a table is written.
fn shift_positions(item: &mut Item, first: isize, count: isize) {
    let shift = |table: &mut Table| {
        if let Some(position) = table.position().filter(|position| *position >= first) {
            table.set_position(Some(position + count));
        }
        for (_, item) in table.iter_mut() {
            shift_positions(item, first, count);
        }
    };
    match item {
        Item::Table(table) => shift(table),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(shift),
        _ => {}
    }
}
