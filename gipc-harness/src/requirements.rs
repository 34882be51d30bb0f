//! The requirements of the specification as data, and what covers a requirement that no scenario tests. Both are read from
//! `docs/spec.md` and `docs/coverage.md`, which are part of the binary.
//!
//! This module does not read scenarios: each scenario names the requirements that it covers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One requirement of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The id, such as `EOF-1`. It is never reused for another requirement.
    pub id: String,
    /// `MUST`, `SHOULD` or `MAY`.
    pub level: String,
    /// The requirement in one sentence.
    pub what: String,
    /// The source: `doc`, `test`, `code`, `posix` or `ours`.
    pub from: String,
    /// The profile that an implementation must support for the requirement to apply.
    pub profile: String,
}

/// What covers a requirement instead of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// `test`, `compiler`, `document`, `benchmark` or `decision`.
    pub kind: String,
    /// The path of the file, from the root of the repository.
    pub file: String,
    /// A text in the file that marks the place: the name of a test, a sentence.
    pub mark: String,
}

impl Requirement {
    /// Whether a name is that of the requirement, or of its group: `EOF` is the group of `EOF-1`.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        self.id == name || self.id.split('-').next() == Some(name)
    }
}

static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    let rows = table_rows::<5>(include_str!("../docs/spec.md"));
    rows.map(|cells| {
        let [id, level, what, from, profile] = cells.map(str::to_owned);
        Requirement { id, level, what, from, profile }
    })
    .collect()
});

static STAND_INS: LazyLock<BTreeMap<String, StandIn>> = LazyLock::new(|| {
    let rows = table_rows::<4>(include_str!("../docs/coverage.md"));
    rows.map(|cells| {
        let [id, kind, file, mark] = cells.map(|cell| cell.trim_matches('`').to_owned());
        (id, StandIn { kind, file, mark })
    })
    .collect()
});

/// All requirements, in the order of `docs/spec.md`.
#[must_use]
pub fn requirements() -> &'static [Requirement] {
    &REQUIREMENTS
}

/// The requirement with this id.
#[must_use]
pub fn requirement(id: &str) -> Option<&'static Requirement> {
    REQUIREMENTS.iter().find(|requirement| requirement.id == id)
}

/// What covers the requirements that no scenario tests, by their ids.
#[must_use]
pub fn stand_ins() -> &'static BTreeMap<String, StandIn> {
    &STAND_INS
}

/// The cells of all table rows of a page that have this many columns and an id in the first one.
fn table_rows<const COLUMNS: usize>(
    page: &'static str,
) -> impl Iterator<Item = [&'static str; COLUMNS]> {
    page.lines().filter_map(|line| {
        let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let cells: [&str; COLUMNS] = cells.try_into().ok()?;
        is_id(cells[0]).then_some(cells)
    })
}

/// Whether a text is an id such as `EOF-1`.
fn is_id(text: &str) -> bool {
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase());
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    text.split_once('-').is_some_and(|(word, number)| is_word(word) && is_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_requirement_is_complete_and_has_a_unique_id() {
        let mut seen = std::collections::BTreeSet::new();
        for one in requirements() {
            assert!(seen.insert(&one.id), "two requirements have the id {}", one.id);
            assert!(["MUST", "SHOULD", "MAY"].contains(&one.level.as_str()), "{one:?}");
            assert!(
                ["doc", "test", "code", "posix", "ours"].contains(&one.from.as_str()),
                "{one:?}"
            );
            assert!(one.what.ends_with('.') && one.what.len() > 12, "{one:?}");
        }
        assert!(seen.len() >= 177, "the specification has only {} requirements", seen.len());
    }

    #[test]
    fn each_stand_in_is_for_a_requirement() {
        let kinds = ["test", "compiler", "document", "benchmark", "decision"];
        for (id, one) in stand_ins() {
            assert!(requirement(id).is_some(), "no requirement has the id {id}");
            assert!(kinds.contains(&one.kind.as_str()), "{id}: {one:?}");
        }
    }
}
