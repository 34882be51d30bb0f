//! `run --accept`: updates the baseline in an adapter's folder, `adapter.toml` and `skips.txt`, to the results of a
//! run.
//!
//! New known failures have no sort and no reason, and fail every run until a person has written both. New failures with the
//! same fingerprint share an entry, and a comment above it says what is wrong in each scenario. A reason that a person has
//! written is never lost: an entry that no longer applies becomes a comment.

mod entry;
mod known_tables;
#[cfg(test)]
mod tests;

use crate::adapter::manifest::DEFAULT;
use crate::adapter::skip_list::SkipList;
use crate::error::Error;
use crate::scenario::Scenario;
use crate::verdict::{BaselineChange, Status, Verdict};
use known_tables::{KnownTables, Removal};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table};

/// The fingerprint of a failure: the first wrong step, its outcome, and the status.
pub type Fingerprint = [String; 3];

/// What was seen of one scenario in all its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The failures, each once, in the order in which they were seen.
    pub failures: Vec<Fingerprint>,
    /// What is wrong in the first of them, on one line.
    pub diagnosis: String,
    /// Whether it passed at least once.
    pub passed: bool,
    /// Whether it was skipped at least once although no list said so.
    pub skipped: bool,
    /// Whether it was skipped at least once, as the adapter's folder says.
    pub was_skipped_as_listed: bool,
    /// Whether the suite has no such scenario.
    pub is_gone: bool,
}

/// What was seen, by the id of the scenario.
pub type SeenScenarios = BTreeMap<String, Seen>;

impl Seen {
    /// What is recorded for a scenario that the suite does not have.
    pub fn gone() -> Self {
        Self { is_gone: true, ..Self::default() }
    }

    /// Adds one run. Inconclusive runs are ignored.
    pub fn add(&mut self, scenario: &Scenario, verdict: &Verdict) {
        match verdict.status {
            // A skip that follows from the manifest changes no list.
            Status::Skip => self.was_skipped_as_listed = true,
            _ if verdict.baseline_change == Some(BaselineChange::Skips) => self.skipped = true,
            Status::Pass | Status::Fixed if verdict.failed_as.is_none() => self.passed = true,
            status if status.is_inconclusive() => {}
            _ => {
                let failure = verdict.failed_as.clone();
                let failure = failure.unwrap_or_else(|| verdict.fingerprint(scenario));
                if self.failures.is_empty() {
                    self.diagnosis = verdict.diagnosis(scenario);
                }
                if !self.failures.contains(&failure) {
                    self.failures.push(failure);
                }
            }
        }
    }

    fn was_performed(&self) -> bool {
        self.passed || !self.failures.is_empty()
    }
}

/// Writes what was seen into an adapter's folder, for the variant that `asked` names: the adapter as the command line
/// gave it. Returns what was changed, a line for each change, for the user.
///
/// Fails if a file cannot be parsed or written.
pub fn accept(folder: &Path, asked: &str, seen: &SeenScenarios) -> Result<Vec<String>, Error> {
    let file = folder.join("adapter.toml");
    let text = fs::read_to_string(&file).map_err(|error| unable(&file, error))?;
    let mut manifest: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| unable(&file, error))?;
    let variants = variants(&manifest);
    let all: Vec<&str> = variants.iter().map(String::as_str).collect();
    let variant = all.iter().copied().find(|name| asked.ends_with(&format!("@{name}")));
    let variant = variant.unwrap_or(DEFAULT);
    let mut known = KnownTables::of(&manifest, &all);
    for (id, seen) in seen {
        if seen.is_gone {
            known.forget(id);
        } else {
            known.update(id, variant, seen);
        }
        if seen.is_gone || seen.passed && seen.failures.is_empty() {
            let lacks = manifest.get_mut("lacks").and_then(Item::as_table_mut);
            if let Some((_, reason)) = lacks.and_then(|lacks| lacks.remove_entry(id)) {
                let entry = format!("[lacks]\n\"{id}\" = {}\n", reason.to_string().trim());
                known.comment_out(id, Removal::of(seen), &entry);
            }
        }
    }
    let mut lines = Vec::new();
    let mut write = |file: &Path, before: &str, after: &str, changes: Vec<String>| {
        if before != after {
            fs::write(file, after).map_err(|error| unable(file, error))?;
            lines.push(format!("{} is changed:", file.display()));
            lines.extend(changes.into_iter().map(|change| format!("  {change}")));
        }
        Ok::<(), Error>(())
    };
    let unexplained = known.unexplained();
    let changes = known.put_into(&mut manifest);
    let after = manifest.to_string();
    after.parse::<DocumentMut>().map_err(|error| unable(&file, error))?;
    write(&file, &text, &after, changes)?;
    let skips_file = folder.join("skips.txt");
    // Without the file, the adapter makes no statement about skips.
    if let Ok(before) = fs::read_to_string(&skips_file) {
        let mut skips = SkipList::parse(&before, &all, &skips_file.display().to_string())?;
        let changes = update_skips(&mut skips, variant, &all, seen);
        write(&skips_file, &before, &skips.to_string(), changes)?;
    }
    if let Some(first) = unexplained.first() {
        lines.push(to_explain(&file, &after, unexplained.len(), first));
    }
    Ok(lines)
}

/// Says what a person must write now.
fn to_explain(file: &Path, text: &str, count: usize, first: &str) -> String {
    let quoted = format!("\"{first}\"");
    // A list of scenarios has a line for each of them.
    let is_entry = |line: &str| match line.strip_prefix("scenario") {
        Some(rest) => rest.contains(&quoted),
        None => line.trim() == format!("{quoted},"),
    };
    let line = text.lines().position(is_entry).map_or(1, |index| index + 1);
    let entries = if count == 1 {
        "1 known failure has".to_owned()
    } else {
        format!("{count} known failures have")
    };
    format!(
        "{entries} no sort or no reason yet, the first at {}:{line} ({first}). Until both are written, the run fails: \
         say whose fault it is, why it fails, and where that is documented or seen",
        file.display()
    )
}

/// Changes the skip list according to what was seen. Returns a line for each change.
fn update_skips(
    skips: &mut SkipList,
    variant: &str,
    all: &[&str],
    seen: &SeenScenarios,
) -> Vec<String> {
    let mut changes = Vec::new();
    for (id, seen) in seen {
        let listed = skips.says(id, variant);
        let skipped = seen.skipped || seen.was_skipped_as_listed;
        if seen.is_gone {
            if skips.forget(id) {
                changes.push(format!("removed    {id}: there is no such scenario"));
            }
        } else if skipped && seen.was_performed() && listed != Some(true) {
            skips.set(id, variant, all, true);
            skips.set_sometimes(id);
            changes.push(format!("sometimes  {id}: skipped in some of the runs"));
        } else if seen.skipped && listed.is_none() {
            skips.set(id, variant, all, true);
            changes.push(format!("added      {id}"));
        } else if seen.was_performed() && !skipped && listed == Some(false) {
            skips.set(id, variant, all, false);
            changes.push(format!("removed    {id}: it is not skipped any more"));
        }
    }
    changes
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

fn unable(file: &Path, error: impl std::fmt::Display) -> Error {
    Error::unable(format!("error: {}: {error}", file.display()))
}
