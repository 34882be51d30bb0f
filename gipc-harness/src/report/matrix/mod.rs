//! Many implementations side by side: what came of each scenario on each, as data that is kept, merged and compared.
//!
//! Runs nothing. How it looks is said by `table` for terminals, `markdown` and `page`.

pub mod collect;
mod diff;
mod markdown;
mod page;
mod table;
#[cfg(test)]
mod tests;

pub use diff::{Change, Direction, changes};
pub use markdown::markdown;
pub use page::page;
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

/// The shape of the file. A reader refuses any other.
const FORMAT: u32 = 1;

/// All that a report is made of: `matrix.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Matrix {
    format: u32,
    /// The version of the suite.
    pub suite: String,
    /// When it was made, as RFC 3339.
    pub made: String,
    /// Every scenario that there is, by id, whether it was performed or not.
    pub scenarios: BTreeMap<String, ScenarioInfo>,
    /// The implementations, in the order of the columns.
    pub columns: Vec<Column>,
}

/// What a scenario asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its first sentence.
    pub about: String,
    /// The file.
    pub text: String,
    /// The requirements it covers.
    pub covers: Vec<String>,
    /// It needs much of the machine, and is performed only if asked for.
    pub heavy: bool,
    /// What the model says comes of it.
    pub model: String,
}

/// One implementation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Column {
    /// What `--adapter` takes.
    pub adapter: String,
    /// What its agent said it is, with the version.
    pub implementation: String,
    /// A line about it.
    pub about: String,
    /// Why it could not run here, if so.
    pub absent: Option<String>,
    /// What was found of the system.
    pub environment: Value,
    /// What came, by scenario.
    pub cells: BTreeMap<String, Cell>,
    /// The folder that is cut from what agents say, so that a report names no place of one machine.
    #[serde(skip)]
    pub here: String,
}

/// What came of one scenario on one implementation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The one word.
    pub verdict: Status,
    /// The first wrong step.
    pub first: Option<Wrong>,
    /// Whose a known failure is.
    #[serde(default)]
    pub sort: Option<FailureSort>,
    /// Why it is known, skipped or broken.
    pub notes: Vec<String>,
    /// It comes out now one way and now the other, and the manifest says why.
    #[serde(default)]
    pub sometimes: bool,
    /// The argument of a stop, in lines.
    pub stuck: Option<String>,
    /// What the model says, where the choices of the implementation make that another thing than for the suite.
    pub model: Option<String>,
    /// What came, if that is not what the model says.
    pub came: Option<String>,
}

/// A first wrong step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// As it is written, with who takes it.
    pub step: String,
    /// What it must come to.
    pub expected: String,
    /// Why the model says so.
    pub because: String,
    /// What it came to.
    pub got: String,
    /// The implementation's own words.
    pub detail: Option<String>,
}

/// What several scenarios come to together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many of each word.
    pub words: BTreeMap<Status, usize>,
    /// The first scenario of the worst word.
    pub worst: Option<(Status, String)>,
}

impl Matrix {
    /// An empty one about these scenarios.
    #[must_use]
    pub fn new(made: String, scenarios: BTreeMap<String, ScenarioInfo>) -> Self {
        let suite = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, suite, made, scenarios, columns: Vec::new() }
    }

    /// Reads `matrix.json`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let matrix: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match matrix.format {
            FORMAT => Ok(matrix),
            other => Err(format!("it has the format {other}, and this program reads {FORMAT}")),
        }
    }

    /// Adds what another run found: new implementations, and further scenarios of those that are here.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        let asked_otherwise = other.scenarios.iter().find(|(id, asked)| {
            self.scenarios.get(*id).is_some_and(|mine| mine.text != asked.text)
        });
        if let Some((id, _)) = asked_otherwise {
            return Err(format!("they asked different things under the name of {id}"));
        }
        self.made = self.made.clone().max(other.made);
        self.scenarios.extend(other.scenarios);
        for column in other.columns {
            match self.columns.iter_mut().find(|mine| mine.adapter == column.adapter) {
                None => self.columns.push(column),
                Some(mine) if mine.absent.is_some() => *mine = column,
                Some(_) if column.absent.is_some() => {}
                Some(mine) if mine.implementation != column.implementation => {
                    return Err(format!(
                        "{} is {} in one and {} in the other",
                        mine.adapter, mine.implementation, column.implementation
                    ));
                }
                Some(mine) => mine.cells.extend(column.cells),
            }
        }
        Ok(())
    }

    /// Why this is not the whole: implementations that could not run, and scenarios that have not.
    #[must_use]
    pub fn partial(&self) -> Vec<String> {
        let ordinary = || self.scenarios.iter().filter(|(_, asked)| !asked.heavy);
        let all = ordinary().count();
        let of = |column: &Column| {
            if let Some(reason) = &column.absent {
                return Some(format!("{} did not run: {reason}", column.adapter));
            }
            let ran = ordinary().filter(|(id, _)| column.cells.contains_key(*id)).count();
            (ran < all).then(|| format!("{} ran {ran} of {all} scenarios", column.adapter))
        };
        self.columns.iter().filter_map(of).collect()
    }

    /// The themes, which are the folders of the scenarios.
    #[must_use]
    pub fn themes(&self) -> BTreeSet<&str> {
        self.scenarios.keys().map(|id| theme(id)).collect()
    }

    /// The scenarios that ask a requirement.
    fn asks(&self, requirement: &str) -> Vec<&str> {
        let asks = |asked: &ScenarioInfo| asked.covers.iter().any(|id| id == requirement);
        self.scenarios.iter().filter(|(_, asked)| asks(asked)).map(|(id, _)| id.as_str()).collect()
    }

    /// The requirements that a scenario asks, with these scenarios, in the order of the specification.
    #[must_use]
    pub fn requirements(&self) -> Vec<(&'static requirements::Requirement, Vec<&str>)> {
        let all = requirements::requirements().iter().map(|one| (one, self.asks(&one.id)));
        all.filter(|(_, scenarios)| !scenarios.is_empty()).collect()
    }

    /// Every scenario is as expected wherever it ran: exit code 0; 1 if not; 3 if it could not be found out.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let words = || self.columns.iter().flat_map(|column| column.cells.values());
        if words().any(|cell| cell.verdict.is_inconclusive()) {
            3
        } else {
            u8::from(!words().all(|cell| cell.verdict.is_expected()))
        }
    }
}

impl Column {
    /// Takes over what the implementation calls itself and where it ran, from the first run that tells it.
    pub fn learn(&mut self, implementation: &ImplementationId, environment: &Environment) {
        if self.implementation.is_empty() {
            self.implementation = format!("{} {}", implementation.name, implementation.version);
            self.environment = serde_json::to_value(environment).unwrap_or_default();
        }
    }

    /// As a report may show it.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        match self.here.is_empty() {
            true => text.to_owned(),
            false => text.replace(&self.here, ""),
        }
    }

    /// Adds a result. `model` is what the model says for the suite's own choices.
    pub fn add(&mut self, told: &ScenarioReport, model: &str) {
        let verdict = &told.verdict;
        let right = matches!(verdict.status, Status::Pass | Status::Fixed);
        let said = !right && !verdict.status.is_inconclusive() && verdict.status != Status::Skip;
        let first = verdict.mismatch.as_ref().map(|first| self.wrong(&told.scenario, first));
        let stop = verdict.stall.as_ref().filter(|_| said);
        let notes = verdict.sentences().filter(|_| !right).map(|note| self.shown(note)).collect();
        let others = said && verdict.model_text != model;
        let cell = Cell {
            verdict: verdict.status,
            first,
            sort: verdict.sort,
            notes,
            sometimes: verdict.flaky,
            stuck: stop.map(|stuck| terminal::stop(&told.scenario, stuck).trim_end().to_owned()),
            model: others.then(|| verdict.model_text.clone()),
            came: said.then(|| self.shown(&verdict.trace_text)),
        };
        self.cells.insert(told.scenario.id.clone(), cell);
    }

    fn wrong(&self, scenario: &Scenario, first: &Mismatch) -> Wrong {
        let step = &scenario.steps[first.step];
        Wrong {
            step: format!("{} {}", step.task_id, step.what()),
            expected: first.expected.clone(),
            because: first.because.clone(),
            got: first.got.clone(),
            detail: first.detail.as_ref().map(|detail| self.shown(detail)),
        }
    }

    /// What these scenarios come to.
    pub fn sum<'a>(&self, scenarios: impl IntoIterator<Item = &'a str>) -> Sum {
        let mut sum = Sum::default();
        for id in scenarios {
            let Some(cell) = self.cells.get(id) else { continue };
            *sum.words.entry(cell.verdict).or_default() += 1;
            if sum.worst.as_ref().is_none_or(|(word, _)| badness(*word) < badness(cell.verdict)) {
                sum.worst = Some((cell.verdict, id.to_owned()));
            }
        }
        sum
    }
}

impl Column {
    /// How many failures are known of each sort: `31 defect, 2 choice`.
    #[must_use]
    pub fn sorts(&self) -> String {
        let mut sorts: BTreeMap<FailureSort, usize> = BTreeMap::new();
        for sort in self.cells.values().filter_map(|cell| cell.sort) {
            *sorts.entry(sort).or_default() += 1;
        }
        let each: Vec<String> =
            sorts.iter().map(|(sort, count)| format!("{count} {sort}")).collect();
        each.join(", ")
    }
}

impl Sum {
    /// How many of them were asked and not refused.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.words.iter().filter(|(word, _)| **word != Status::Skip).map(|(_, count)| count).sum()
    }

    /// How many passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.words.get(&Status::Pass).copied().unwrap_or(0)
            + self.words.get(&Status::Fixed).copied().unwrap_or(0)
    }
}

/// The first part of an id.
fn theme(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// What is not supported says less than a pass; a failure that is known is one.
fn badness(word: Status) -> u8 {
    match word {
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
