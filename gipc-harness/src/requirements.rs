//! The specification as data: its requirements, and what stands in where no scenario can ask. Read from `docs/spec.md`
//! and `docs/coverage.md`, which are in the binary.
//!
//! Knows no scenario; who asks a requirement is found by whoever has the scenarios.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// `EOF-1`; never used again for something else.
    pub id: String,
    /// `MUST`, `SHOULD` or `MAY`.
    pub level: String,
    /// What it asks, in a sentence.
    pub what: String,
    /// Where it comes from: `doc`, `test`, `code`, `posix`, `ours`.
    pub from: String,
    /// What an implementation must have so that it can be asked.
    pub profile: String,
}

/// What stands in for a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// `test`, `compiler`, `document`, `benchmark` or `decision`.
    pub kind: String,
    /// The file, from the root of the repository.
    pub file: String,
    /// A text that is in it: the name of a test, a sentence.
    pub mark: String,
}

static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    let rows = rows(include_str!("../docs/spec.md"), 5);
    rows.map(|cells| {
        let [id, level, what, from, profile] = [0, 1, 2, 3, 4].map(|at| cells[at].to_owned());
        Requirement { id, level, what, from, profile }
    })
    .collect()
});

static STAND_INS: LazyLock<BTreeMap<String, StandIn>> = LazyLock::new(|| {
    let rows = rows(include_str!("../docs/coverage.md"), 4);
    rows.map(|cells| {
        let [kind, file, mark] = [1, 2, 3].map(|at| cells[at].trim_matches('`').to_owned());
        (cells[0].to_owned(), StandIn { kind, file, mark })
    })
    .collect()
});

/// All requirements, in the order of the page.
#[must_use]
pub fn requirements() -> &'static [Requirement] {
    &REQUIREMENTS
}

/// One requirement by its id.
#[must_use]
pub fn requirement(id: &str) -> Option<&'static Requirement> {
    REQUIREMENTS.iter().find(|requirement| requirement.id == id)
}

/// What stands in where no scenario asks.
#[must_use]
pub fn stand_ins() -> &'static BTreeMap<String, StandIn> {
    &STAND_INS
}

/// The rows of tables whose first cell is an id.
fn rows(page: &'static str, columns: usize) -> impl Iterator<Item = Vec<&'static str>> {
    page.lines().filter_map(move |line| {
        let cells: Vec<&str> =
            line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::trim).collect();
        (cells.len() == columns && is_id(cells[0])).then_some(cells)
    })
}

/// `EOF-1`.
fn is_id(text: &str) -> bool {
    let number = |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit());
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase());
    text.split_once('-').is_some_and(|(before, after)| word(before) && number(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_requirement_is_whole_and_there_once() {
        let mut seen = std::collections::BTreeSet::new();
        for one in requirements() {
            assert!(seen.insert(&one.id), "{} is there twice", one.id);
            assert!(["MUST", "SHOULD", "MAY"].contains(&one.level.as_str()), "{one:?}");
            assert!(
                ["doc", "test", "code", "posix", "ours"].contains(&one.from.as_str()),
                "{one:?}"
            );
            assert!(one.what.ends_with('.') && one.what.len() > 12, "{one:?}");
        }
        assert!(seen.len() >= 177, "the specification has shrunk to {}", seen.len());
    }

    #[test]
    fn what_stands_in_is_for_a_requirement() {
        let kinds = ["test", "compiler", "document", "benchmark", "decision"];
        for (id, one) in stand_ins() {
            assert!(requirement(id).is_some(), "{id} is no requirement");
            assert!(kinds.contains(&one.kind.as_str()), "{id}: {one:?}");
        }
    }
}
