//! The files of a matrix. `matrix.json` has what is compared and counted, and is small enough for a repository;
//! `evidence.json` has the texts that only the pages show: scenarios, traces and reports of stalls.

use super::{Cell, Column, Matrix, ScenarioInfo, Wrong};
use crate::adapter::FailureSort;
use crate::verdict::Status;
use gipc_agent::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of both formats. A reader rejects every other version.
const FORMAT: u32 = 2;

/// The content of `matrix.json`.
#[derive(Serialize, Deserialize)]
struct Results {
    format: u32,
    suite: String,
    made: String,
    scenarios: BTreeMap<String, StoredScenario>,
    /// The environments of the runs, by digest.
    environments: BTreeMap<String, Value>,
    /// The reasons of known failures and skips, by digest.
    reasons: BTreeMap<String, String>,
    columns: Vec<StoredColumn>,
}

#[derive(Serialize, Deserialize)]
struct StoredScenario {
    about: String,
    covers: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    heavy: bool,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    adapter: String,
    implementation: String,
    about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, String>,
    environment: String,
    /// The scenarios that did not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_run: Vec<String>,
    /// The scenarios that were skipped, by the key of the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    skipped: BTreeMap<String, Vec<String>>,
    /// The other results. A scenario that is nowhere in the column has passed.
    cells: BTreeMap<String, StoredCell>,
}

#[derive(Serialize, Deserialize)]
struct StoredCell {
    verdict: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_with: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Wrong>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sort: Option<FailureSort>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sometimes: bool,
}

/// The content of `evidence.json`.
#[derive(Serialize, Deserialize)]
struct Evidence {
    format: u32,
    /// When the matrix was made. Evidence that belongs to another matrix is not used.
    made: String,
    scenarios: BTreeMap<String, Texts>,
    /// The texts of each cell that has any, by adapter and scenario.
    cells: BTreeMap<String, BTreeMap<String, CellTexts>>,
}

#[derive(Serialize, Deserialize)]
struct Texts {
    text: String,
    model: String,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
struct CellTexts {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stuck: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    came: Option<String>,
}

/// The content of `matrix.json` for a matrix.
pub(super) fn results(matrix: &Matrix) -> String {
    let mut reasons = BTreeMap::new();
    let mut environments = BTreeMap::new();
    let columns = matrix.columns.iter().map(|column| {
        let environment = key(&column.environment.to_string());
        environments.insert(environment.clone(), column.environment.clone());
        StoredColumn::new(matrix, column, environment, &mut reasons)
    });
    let columns = columns.collect();
    let scenario = |(id, info): (&String, &ScenarioInfo)| {
        let ScenarioInfo { about, covers, heavy, digest, .. } = info.clone();
        (id.clone(), StoredScenario { about, covers, heavy, digest })
    };
    let (suite, made) = (matrix.suite.clone(), matrix.made.clone());
    let scenarios = matrix.scenarios.iter().map(scenario).collect();
    let stored = Results { format: FORMAT, suite, made, scenarios, environments, reasons, columns };
    lines(&serde_json::to_value(stored).unwrap_or_default(), 4, 0) + "\n"
}

/// The content of `evidence.json` for a matrix.
pub(super) fn evidence(matrix: &Matrix) -> String {
    let texts = |(id, info): (&String, &ScenarioInfo)| {
        (id.clone(), Texts { text: info.text.clone(), model: info.model.clone() })
    };
    let cells = |column: &Column| {
        let all = column.cells.iter().map(|(id, cell)| (id.clone(), CellTexts::of(cell)));
        let some = all.filter(|(_, texts)| *texts != CellTexts::default()).collect();
        (column.adapter.clone(), some)
    };
    let stored = Evidence {
        format: FORMAT,
        made: matrix.made.clone(),
        scenarios: matrix.scenarios.iter().map(texts).collect(),
        cells: matrix.columns.iter().map(cells).collect(),
    };
    lines(&serde_json::to_value(stored).unwrap_or_default(), 3, 0) + "\n"
}

/// Reads the content of `matrix.json`. The error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Matrix, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value["format"] != FORMAT {
        let other = &value["format"];
        return Err(format!("it has the format {other}, and this program reads {FORMAT}"));
    }
    let stored: Results = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let Results { suite, made, environments, reasons, .. } = stored;
    let scenario = |(id, stored): (String, StoredScenario)| {
        let StoredScenario { about, covers, heavy, digest } = stored;
        let (text, model) = (String::new(), String::new());
        (id, ScenarioInfo { about, text, covers, heavy, model, digest })
    };
    let scenarios = stored.scenarios.into_iter().map(scenario).collect();
    let columns = stored.columns.into_iter();
    let columns = columns.map(|column| column.read(&scenarios, &environments, &reasons)).collect();
    Ok(Matrix { suite, made, scenarios, columns })
}

/// Adds the texts of `evidence.json`, unless it belongs to another matrix.
pub(super) fn add_evidence(matrix: &mut Matrix, text: &str) -> Result<(), String> {
    let stored: Evidence = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if stored.format != FORMAT || stored.made != matrix.made {
        return Ok(());
    }
    for (id, texts) in stored.scenarios {
        if let Some(info) = matrix.scenarios.get_mut(&id) {
            (info.text, info.model) = (texts.text, texts.model);
        }
    }
    for column in &mut matrix.columns {
        let Some(cells) = stored.cells.get(&column.adapter) else { continue };
        for (id, texts) in cells {
            let Some(cell) = column.cells.get_mut(id) else { continue };
            cell.notes.extend(texts.notes.iter().cloned());
            (cell.stuck, cell.model) = (texts.stuck.clone(), texts.model.clone());
            cell.came.clone_from(&texts.came);
        }
    }
    Ok(())
}

impl StoredColumn {
    fn new(
        matrix: &Matrix,
        column: &Column,
        environment: String,
        reasons: &mut BTreeMap<String, String>,
    ) -> Self {
        let mut skipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut cells = BTreeMap::new();
        for (id, cell) in &column.cells {
            if *cell == Cell::passed() && matrix.scenarios.contains_key(id) {
                continue;
            }
            let reason = cell.notes.first().map(|reason| {
                let key = key(reason);
                reasons.insert(key.clone(), reason.clone());
                key
            });
            let Cell { verdict, failed_with, first, sort, cause, sometimes, .. } = cell.clone();
            match reason {
                Some(reason) if verdict == Status::Skip => {
                    skipped.entry(reason).or_default().push(id.clone());
                }
                reason => {
                    let stored =
                        StoredCell { verdict, failed_with, first, sort, cause, reason, sometimes };
                    cells.insert(id.clone(), stored);
                }
            }
        }
        let has_run = |id: &&String| column.cells.contains_key(*id);
        let not_run = matrix.scenarios.keys().filter(|id| !has_run(id)).cloned().collect();
        let Column { adapter, implementation, about, absent, sources, .. } = column.clone();
        Self {
            adapter,
            implementation,
            about,
            absent,
            sources,
            environment,
            not_run,
            skipped,
            cells,
        }
    }

    fn read(
        self,
        scenarios: &BTreeMap<String, ScenarioInfo>,
        environments: &BTreeMap<String, Value>,
        reasons: &BTreeMap<String, String>,
    ) -> Column {
        let passed = scenarios.keys().filter(|id| !self.not_run.contains(id));
        let mut cells: BTreeMap<String, Cell> =
            passed.map(|id| (id.clone(), Cell::passed())).collect();
        let notes =
            |key: Option<&String>| key.and_then(|key| reasons.get(key)).cloned().into_iter();
        for (key, ids) in &self.skipped {
            let cell = || Cell { notes: notes(Some(key)).collect(), ..Cell::new(Status::Skip) };
            cells.extend(ids.iter().map(|id| (id.clone(), cell())));
        }
        for (id, cell) in self.cells {
            let notes = notes(cell.reason.as_ref()).collect();
            let StoredCell { verdict, failed_with, first, sort, cause, sometimes, .. } = cell;
            let cell =
                Cell { failed_with, first, sort, cause, notes, sometimes, ..Cell::new(verdict) };
            cells.insert(id, cell);
        }
        Column {
            adapter: self.adapter,
            implementation: self.implementation,
            about: self.about,
            absent: self.absent,
            sources: self.sources,
            environment: environments.get(&self.environment).cloned().unwrap_or_default(),
            cells,
            here: String::new(),
        }
    }
}

impl CellTexts {
    fn of(cell: &Cell) -> Self {
        Self {
            notes: cell.notes.iter().skip(1).cloned().collect(),
            stuck: cell.stuck.clone(),
            model: cell.model.clone(),
            came: cell.came.clone(),
        }
    }
}

/// A short name for a text, which stays the same as long as the text does not change.
pub(super) fn key(text: &str) -> String {
    let mut key = digest(text.as_bytes());
    key.truncate(12);
    key
}

/// JSON with a line for each value down to a depth, so that a change of one result changes one line.
fn lines(value: &Value, depth: usize, indent: usize) -> String {
    let inner = " ".repeat(indent + 1);
    let join = |parts: Vec<String>, [open, close]: [&str; 2]| {
        format!(
            "{open}\n{inner}{}\n{}{close}",
            parts.join(&format!(",\n{inner}")),
            " ".repeat(indent)
        )
    };
    match value {
        Value::Object(fields) if depth > 0 && !fields.is_empty() => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), lines(value, depth - 1, indent + 1))
            };
            join(fields.iter().map(field).collect(), ["{", "}"])
        }
        Value::Array(items) if depth > 0 && items.iter().any(Value::is_object) => {
            join(items.iter().map(|item| lines(item, depth - 1, indent + 1)).collect(), ["[", "]"])
        }
        other => other.to_string(),
    }
}
