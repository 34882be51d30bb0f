//! The matrix: the results of each scenario on many implementations, as data that is stored, merged and compared.
//!
//! `collect` fills a matrix, `stored` defines its files, and `table`, `markdown` and `pages` present it.

pub mod collect;
mod diff;
mod markdown;
mod pages;
mod stored;
mod table;
#[cfg(test)]
mod tests;

pub use diff::{Change, Direction, changes};
pub use markdown::markdown;
pub use pages::pages;
pub use table::table;

use super::{ScenarioReport, terminal};
use crate::adapter::FailureSort;
use crate::environment::Environment;
use crate::requirements;
use crate::scenario::Scenario;
use crate::trace::Mismatch;
use crate::verdict::Status;
use gipc_agent::ImplementationId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The results of many implementations, and everything that a report about them needs.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The version of the suite.
    pub suite: String,
    /// When the matrix was made, as RFC 3339.
    pub made: String,
    /// Every scenario of the suite, by id, whether it ran or not.
    pub scenarios: BTreeMap<String, ScenarioInfo>,
    /// The implementations, in the order of the columns.
    pub columns: Vec<Column>,
}

/// What a scenario tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioInfo {
    /// The first sentence of its comment.
    pub about: String,
    /// The text of its file; empty if it is not known.
    pub text: String,
    /// The requirements it covers.
    pub covers: Vec<String>,
    /// Whether it needs many resources and runs only on request.
    pub heavy: bool,
    /// The snapshot of the traces that the model allows; empty if the text is not known.
    pub model: String,
    /// A digest of the text.
    pub digest: String,
}

/// The results of one implementation.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// The name of the adapter, as `--adapter` takes it.
    pub adapter: String,
    /// The name and the version that the agent reported.
    pub implementation: String,
    /// One line about the implementation, from the manifest.
    pub about: String,
    /// Why the implementation could not run, if it could not.
    pub absent: Option<String>,
    /// The addresses of source files that reasons name, by file or folder, from the manifest.
    pub sources: BTreeMap<String, String>,
    /// The environment of the run, as JSON.
    pub environment: Value,
    /// The results, by scenario.
    pub cells: BTreeMap<String, Cell>,
    /// The path that [`Column::shown`] removes from texts of agents, so that a report contains no paths of one machine.
    pub here: String,
}

/// The result of one scenario on one implementation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The status of the verdict.
    pub verdict: Status,
    /// The verdict that a known failure would have if it were not known.
    pub failed_with: Option<String>,
    /// The first mismatch.
    pub first: Option<Wrong>,
    /// The sort of a known failure.
    pub sort: Option<FailureSort>,
    /// The root cause of a known failure, if the manifest names it.
    pub cause: Option<String>,
    /// The explanations of the verdict, such as the reason of a known failure or of a skip.
    pub notes: Vec<String>,
    /// Whether the manifest declares that the result differs from run to run.
    pub sometimes: bool,
    /// The report of a stall, as text of several lines.
    pub stuck: Option<String>,
    /// The snapshot that the model allows, if the choices of the implementation make it differ from that of the suite.
    pub model: Option<String>,
    /// The snapshot of the trace, if the run failed.
    pub came: Option<String>,
}

/// The first mismatch of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// The process or task, and the step as the file has it.
    pub step: String,
    /// The expected outcome.
    pub expected: String,
    /// Why the model expects it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// The actual outcome.
    pub got: String,
    /// The implementation's own error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The combined results of several scenarios on one implementation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many scenarios have each status.
    pub statuses: BTreeMap<Status, usize>,
    /// The worst status, and the first scenario that has it.
    pub worst: Option<(Status, String)>,
}

impl Matrix {
    /// Creates a matrix about these scenarios, without columns. `made` is the current time, as RFC 3339.
    #[must_use]
    pub fn new(made: String, scenarios: BTreeMap<String, ScenarioInfo>) -> Self {
        let suite = env!("CARGO_PKG_VERSION").to_owned();
        Self { suite, made, scenarios, columns: Vec::new() }
    }

    /// Adds the results of another run: new implementations, and further scenarios of those that this matrix has.
    ///
    /// Fails if the matrices contain different scenarios with the same id, or different versions of an implementation.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        let changed = other.scenarios.iter().find(|(id, theirs)| {
            self.scenarios.get(*id).is_some_and(|ours| ours.digest != theirs.digest)
        });
        if let Some((id, _)) = changed {
            return Err(format!("they asked different things under the name of {id}"));
        }
        self.made = self.made.clone().max(other.made);
        self.scenarios.extend(other.scenarios);
        for column in other.columns {
            match self.columns.iter_mut().find(|ours| ours.adapter == column.adapter) {
                None => self.columns.push(column),
                Some(ours) if ours.absent.is_some() => *ours = column,
                Some(_) if column.absent.is_some() => {}
                Some(ours) if ours.implementation != column.implementation => {
                    return Err(format!(
                        "{} is {} in one and {} in the other",
                        ours.adapter, ours.implementation, column.implementation
                    ));
                }
                Some(ours) => ours.cells.extend(column.cells),
            }
        }
        Ok(())
    }

    /// Why the matrix is partial, as sentences: implementations that could not run, and scenarios that did not run. Missing
    /// heavy scenarios do not make it partial.
    #[must_use]
    pub fn partial(&self) -> Vec<String> {
        let ordinary = || self.scenarios.iter().filter(|(_, info)| !info.heavy);
        let total = ordinary().count();
        let reason = |column: &Column| {
            if let Some(reason) = &column.absent {
                return Some(format!("{} did not run: {reason}", column.adapter));
            }
            let ran = ordinary().filter(|(id, _)| column.cells.contains_key(*id)).count();
            (ran < total).then(|| format!("{} ran {ran} of {total} scenarios", column.adapter))
        };
        self.columns.iter().filter_map(reason).collect()
    }

    /// The themes, which are the folders of the scenarios.
    #[must_use]
    pub fn themes(&self) -> BTreeSet<&str> {
        self.scenarios.keys().map(|id| theme(id)).collect()
    }

    /// The scenarios that cover a requirement.
    fn covering(&self, requirement: &str) -> Vec<&str> {
        let covers = |info: &ScenarioInfo| info.covers.iter().any(|id| id == requirement);
        self.scenarios.iter().filter(|(_, info)| covers(info)).map(|(id, _)| id.as_str()).collect()
    }

    /// The requirements that scenarios cover, each with its scenarios, in the order of the specification.
    #[must_use]
    pub fn requirements(&self) -> Vec<(&'static requirements::Requirement, Vec<&str>)> {
        let all = requirements::requirements().iter().map(|one| (one, self.covering(&one.id)));
        all.filter(|(_, scenarios)| !scenarios.is_empty()).collect()
    }

    /// The requirements that no implementation of the matrix was asked for: no scenario covers them, or each implementation
    /// skipped all scenarios that do.
    #[must_use]
    pub fn asked_of_none(&self) -> Vec<&'static requirements::Requirement> {
        let is_asked = |id: &str| {
            let scenarios = self.covering(id);
            let asked = |column: &Column| column.sum(scenarios.iter().copied()).asked() > 0;
            self.columns.iter().any(asked)
        };
        requirements::requirements().iter().filter(|one| !is_asked(&one.id)).collect()
    }

    /// The exit code: 3 if a verdict is inconclusive, 0 if all verdicts are as expected, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let cells = self.columns.iter().flat_map(|column| column.cells.values());
        cells.map(|cell| cell.verdict.exit_code()).max().unwrap_or(0)
    }
}

impl Cell {
    /// A result of which only the status is known.
    #[must_use]
    pub fn new(verdict: Status) -> Self {
        let (failed_with, first, sort, cause) = (None, None, None, None);
        let (stuck, model, came) = (None, None, None);
        let (notes, sometimes) = (Vec::new(), false);
        Self { verdict, failed_with, first, sort, cause, notes, sometimes, stuck, model, came }
    }

    /// The result of a scenario that passed.
    #[must_use]
    pub fn passed() -> Self {
        Self::new(Status::Pass)
    }

    /// Why the scenario fails or was skipped, without the sort of the failure, which is in `sort`.
    #[must_use]
    pub fn reason(&self) -> &str {
        let reason = self.notes.first().map_or("", String::as_str);
        let sort = self.sort.map(|sort| format!("{sort}: "));
        sort.and_then(|sort| reason.strip_prefix(&sort)).unwrap_or(reason)
    }
}

impl Column {
    /// Stores the name and the version of the implementation, and the environment, unless an earlier run has set them.
    pub fn learn(&mut self, implementation: &ImplementationId, environment: &Environment) {
        if self.implementation.is_empty() {
            self.implementation = format!("{} {}", implementation.name, implementation.version);
            self.environment = serde_json::to_value(environment).unwrap_or_default();
        }
    }

    /// The text as a report may show it: without the path that is specific to this machine.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        match self.here.is_empty() {
            true => text.to_owned(),
            false => text.replace(&self.here, ""),
        }
    }

    /// Adds a result. `model` is the snapshot that the model allows for the choices of the suite.
    pub fn add(&mut self, report: &ScenarioReport, model: &str) {
        let (scenario, verdict) = (&report.scenario, &report.verdict);
        let passed = matches!(verdict.status, Status::Pass | Status::Fixed);
        let failed = !passed && !verdict.status.is_inconclusive() && verdict.status != Status::Skip;
        let first = verdict.mismatch.as_ref().map(|mismatch| self.wrong(scenario, mismatch));
        let stall = verdict.stall.as_ref().filter(|_| failed);
        let notes = verdict.sentences().filter(|_| !passed).map(|note| self.shown(note)).collect();
        let has_other_choices = failed && verdict.model_text != model;
        let known_as = verdict.failed_as.as_ref().filter(|_| verdict.status == Status::Known);
        let known_as = known_as.map(|[_, _, status]| status.clone());
        let cell = Cell {
            verdict: verdict.status,
            failed_with: known_as,
            first,
            sort: verdict.sort,
            cause: verdict.cause.clone(),
            notes,
            sometimes: verdict.flaky,
            stuck: stall.map(|stall| terminal::stall(scenario, stall).trim_end().to_owned()),
            model: has_other_choices.then(|| verdict.model_text.clone()),
            came: failed.then(|| self.shown(&verdict.trace_text)),
        };
        self.cells.insert(scenario.id.clone(), cell);
    }

    fn wrong(&self, scenario: &Scenario, mismatch: &Mismatch) -> Wrong {
        let step = &scenario.steps[mismatch.step];
        Wrong {
            step: format!("{} {}", step.task_id, step.what()),
            expected: mismatch.expected.clone(),
            because: mismatch.because.clone(),
            got: mismatch.got.clone(),
            detail: mismatch.detail.as_ref().map(|detail| self.shown(detail)),
        }
    }

    /// The combined results of these scenarios. Scenarios without a result do not count.
    pub fn sum<'a>(&self, scenarios: impl IntoIterator<Item = &'a str>) -> Sum {
        let mut sum = Sum::default();
        for id in scenarios {
            let Some(cell) = self.cells.get(id) else { continue };
            *sum.statuses.entry(cell.verdict).or_default() += 1;
            if sum.worst.as_ref().is_none_or(|(worst, _)| severity(*worst) < severity(cell.verdict))
            {
                sum.worst = Some((cell.verdict, id.to_owned()));
            }
        }
        sum
    }

    /// How many known failures there are of each sort, and how many root causes they have, as text: `31 defect (12
    /// causes), 2 choice`.
    #[must_use]
    pub fn sorts(&self) -> String {
        let sorts: BTreeSet<FailureSort> =
            self.cells.values().filter_map(|cell| cell.sort).collect();
        let shown = |sort: FailureSort| match self.of_sort(sort) {
            (count, causes) if causes == count => format!("{count} {sort}"),
            (count, 1) => format!("{count} {sort} (1 cause)"),
            (count, causes) => format!("{count} {sort} ({causes} causes)"),
        };
        sorts.into_iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// How many known failures of a sort there are, and how many root causes they have. A failure without a named cause
    /// counts as a cause of its own.
    #[must_use]
    pub fn of_sort(&self, sort: FailureSort) -> (usize, usize) {
        let of_sort = || self.cells.iter().filter(|(_, cell)| cell.sort == Some(sort));
        let causes: BTreeSet<&str> =
            of_sort().map(|(id, cell)| cell.cause.as_deref().unwrap_or(id)).collect();
        (of_sort().count(), causes.len())
    }
}

impl Sum {
    /// How many scenarios were not skipped.
    #[must_use]
    pub fn asked(&self) -> usize {
        let asked = self.statuses.iter().filter(|(status, _)| **status != Status::Skip);
        asked.map(|(_, count)| count).sum()
    }

    /// How many scenarios ran, including skipped ones.
    #[must_use]
    pub fn all(&self) -> usize {
        self.statuses.values().sum()
    }

    /// How many scenarios passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.statuses.get(&Status::Pass).copied().unwrap_or(0)
            + self.statuses.get(&Status::Fixed).copied().unwrap_or(0)
    }
}

/// The theme of a scenario: the first part of its id.
fn theme(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// The order of the statuses from good to bad. A skip ranks below a pass because it is no evidence; a known failure
/// ranks as a failure.
fn severity(status: Status) -> u8 {
    match status {
        Status::Skip => 0,
        Status::Pass => 1,
        Status::Fixed => 2,
        Status::Known => 3,
        Status::Environment => 4,
        Status::Unknown | Status::Slow => 5,
        Status::Fail | Status::Deadlock | Status::Hang => 6,
        Status::Error => 7,
    }
}
