//! The failures that a manifest declares beforehand, each with its sort and a reason.

use schemars::JsonSchema;
use serde::de::{Deserializer, IntoDeserializer, value::StrDeserializer};
use serde::{Deserialize, Serialize};

/// Stands for any step, outcome or verdict.
pub const ANY: &str = "*";

/// A failure that is known. The run still performs the scenario. A failure that matches is reported as KNOWN and does
/// not fail the run; a scenario that passes is reported as FIXED and fails the run until the entry is deleted.
///
/// A failure matches by the first wrong step of the file, the outcome of that step, and the verdict, where DEADLOCK and
/// HANG are the same: which of them a stall is may depend on where the other processes were. A scenario that fails in
/// several ways has one entry for each.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KnownFailure {
    /// The id of the scenario, or a list of ids if several scenarios fail in this way: `close/eof-after-close`.
    #[serde(rename = "scenario", deserialize_with = "one_or_several")]
    #[schemars(with = "OneOrSeveral")]
    pub scenarios: Vec<String>,
    /// The first wrong step with its process or task: `main get r`. `*` matches any step.
    pub step: String,
    /// The outcome of that step: `eof`, `blocks`, `never`. `*` matches any outcome.
    pub outcome: String,
    /// The verdict: `FAIL`, `DEADLOCK` or `HANG`. `*` matches any of them.
    pub verdict: String,
    /// The party at fault. `--accept` leaves it empty; until a person has written it, the failure does not count as known.
    #[serde(deserialize_with = "sort_or_empty")]
    #[schemars(with = "FailureSort")]
    pub sort: Option<FailureSort>,
    /// Why the scenario fails, and where this is documented or can be seen. `--accept` leaves it empty; until a person has
    /// written it, the failure does not count as known.
    pub reason: String,
    /// A short name of the root cause, which entries with the same cause share. Reports count causes as well as failures.
    #[serde(default)]
    pub cause: Option<String>,
    /// Whether the scenario may also pass. If so, a pass is not reported as FIXED, and the reason should say what the
    /// result depends on.
    #[serde(default)]
    pub sometimes: bool,
    /// The variants that fail in this way, with `default` for the manifest without a variant. An empty list means all.
    #[serde(default)]
    pub variants: Vec<String>,
}

impl KnownFailure {
    /// Whether the entry is about this scenario.
    #[must_use]
    pub fn is_about(&self, id: &str) -> bool {
        self.scenarios.iter().any(|scenario| scenario == id)
    }

    /// The sort and the reason, as a sentence; `None` if one of them is not written yet.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        let sort = self.sort.filter(|_| !self.reason.trim().is_empty())?;
        Some(format!("{sort}: {}", self.reason))
    }

    /// Whether a failure with this first wrong step, outcome and verdict matches the entry.
    #[must_use]
    pub fn is(&self, fingerprint: [&str; 3]) -> bool {
        let entry = [&self.step, &self.outcome, &self.verdict];
        let is_stall = |verdict: &str| ["DEADLOCK", "HANG"].contains(&verdict);
        entry.into_iter().zip(fingerprint).all(|(entry, actual)| {
            entry == ANY || entry == actual || is_stall(entry) && is_stall(actual)
        })
    }
}

/// The party at fault for a known failure.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FailureSort {
    /// The implementation: it contradicts its own documentation, or behaves in a way that no user can want.
    Defect,
    /// The authors of the implementation decided on the behaviour and documented it.
    Choice,
    /// The adapter between the suite and the implementation.
    Adapter,
    /// The suite itself.
    Suite,
}

impl std::fmt::Display for FailureSort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Defect => "defect",
            Self::Choice => "choice",
            Self::Adapter => "adapter",
            Self::Suite => "suite",
        })
    }
}

/// A value, or a list of values.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

fn one_or_several<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrSeveral::deserialize(source)? {
        OneOrSeveral::One(id) => vec![id],
        OneOrSeveral::Several(ids) => ids,
    })
}

fn sort_or_empty<'de, D: Deserializer<'de>>(source: D) -> Result<Option<FailureSort>, D::Error> {
    let word = String::deserialize(source)?;
    if word.is_empty() {
        return Ok(None);
    }
    let word: StrDeserializer<'_, D::Error> = word.as_str().into_deserializer();
    FailureSort::deserialize(word).map(Some)
}
