//! One known failure as a table of a TOML document: its scenarios, its variants, its fingerprint, and the comments above it.
//! `known_tables` decides what changes.

use super::{Fingerprint, text_of};
use crate::adapter::manifest::ANY;
use std::collections::BTreeSet;
use toml_edit::{Array, Item, Table, value};

/// The keys of a fingerprint.
pub(super) const FINGERPRINT: [&str; 3] = ["step", "outcome", "verdict"];

/// A failure as it is shown in a line.
pub(super) fn shown([step, outcome, verdict]: &Fingerprint) -> String {
    format!("{verdict}, {step} => {outcome}")
}

/// What two failures have in common; `*` where they differ. DEADLOCK and HANG count as the same.
pub(super) fn merge(one: Fingerprint, other: &Fingerprint) -> Fingerprint {
    let is_stall = |text: &str| ["DEADLOCK", "HANG"].contains(&text);
    let mut merged = one;
    for (text, other) in merged.iter_mut().zip(other) {
        if text != other && !(is_stall(text) && is_stall(other)) {
            *text = ANY.to_owned();
        }
    }
    merged
}

pub(super) fn matches(table: &Table, failure: &Fingerprint) -> bool {
    let listed = fingerprint_of(table);
    merge(listed.clone(), failure) == listed
}

pub(super) fn fingerprint_of(table: &Table) -> Fingerprint {
    FINGERPRINT.map(|key| text_of(table, key).to_owned())
}

/// Whether neither the sort nor the reason is written.
pub(super) fn is_unexplained(table: &Table) -> bool {
    ["sort", "reason"].iter().all(|key| text_of(table, key).is_empty())
}

/// The text above an entry: an empty line, and comments.
pub(super) fn prefix_of(table: &Table) -> String {
    table.decor().prefix().and_then(|text| text.as_str()).unwrap_or("\n").to_owned()
}

/// Adds a comment above an entry that says what is wrong in one of its scenarios.
pub(super) fn add_diagnosis(table: &mut Table, id: &str, diagnosis: &str) {
    let prefix = prefix_of(table);
    if !diagnosis.is_empty() {
        table.decor_mut().set_prefix(format!("{prefix}# {id}: {diagnosis}\n"));
    }
}

/// Removes the comments above an entry about those of its scenarios that are not among these.
pub(super) fn keep_diagnoses(table: &mut Table, ids: &[String]) {
    let others: Vec<String> = scenarios_of(table)
        .into_iter()
        .filter(|id| !ids.contains(id))
        .map(|id| format!("# {id}: "))
        .collect();
    let is_kept = |line: &&str| !others.iter().any(|start| line.starts_with(start.as_str()));
    let prefix = prefix_of(table);
    let kept: String = prefix.split_inclusive('\n').filter(is_kept).collect();
    if kept != prefix {
        table.decor_mut().set_prefix(kept);
    }
}

pub(super) fn is_sometimes(table: &Table) -> bool {
    table.get("sometimes").and_then(Item::as_bool) == Some(true)
}

pub(super) fn new_table(id: &str, variant: &str, all: &[&str]) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    table["scenario"] = value(id);
    // These keys are inserted first so that they come before the variants and the reason.
    for key in FINGERPRINT {
        table[key] = value("");
    }
    table["sort"] = value("");
    set_variants(&mut table, &BTreeSet::from([variant.to_owned()]), all);
    table
}

/// The scenarios that an entry is about.
pub(super) fn scenarios_of(table: &Table) -> Vec<String> {
    match table.get("scenario") {
        Some(item) if item.is_array() => {
            let ids = item.as_array().into_iter().flatten().filter_map(|id| id.as_str());
            ids.map(str::to_owned).collect()
        }
        item => item.and_then(Item::as_str).map(str::to_owned).into_iter().collect(),
    }
}

pub(super) fn first_scenario(table: &Table) -> Option<String> {
    scenarios_of(table).into_iter().next()
}

pub(super) fn set_scenarios(table: &mut Table, ids: &[String]) {
    if scenarios_of(table) == ids {
        return;
    }
    table["scenario"] = match ids {
        [id] => value(id),
        ids => {
            let mut list: Array = ids.iter().collect();
            list.iter_mut().for_each(|id| id.decor_mut().set_prefix("\n    "));
            list.set_trailing_comma(true);
            list.set_trailing("\n");
            value(list)
        }
    };
}

/// The variants that an entry is about: all, unless it names some.
pub(super) fn variants_of(table: &Table, all: &[&str]) -> BTreeSet<String> {
    match table.get("variants").and_then(Item::as_array) {
        None => all.iter().map(|name| (*name).to_owned()).collect(),
        Some(names) => names.iter().filter_map(|name| name.as_str()).map(str::to_owned).collect(),
    }
}

/// Sets the variants that an entry is about. If it is about all, names none.
pub(super) fn set_variants(table: &mut Table, names: &BTreeSet<String>, all: &[&str]) {
    if variants_of(table, all) == *names && table.contains_key("variants") {
        return;
    }
    let in_order = all.iter().filter(|name| names.contains(**name));
    if names.len() == all.len() {
        table.remove("variants");
    } else {
        table["variants"] = value(in_order.copied().collect::<Array>());
    }
}
