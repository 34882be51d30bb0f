//! `judge`: a recorded run judged again, without running anything. And what a record must hold so that this is possible.

use super::library::Library;
use super::out::Out;
use super::ways::{Job, blow, expecting};
use super::{Stopped, load};
use crate::model::{self, Choices};
use crate::report::{Result as Told, Tally, terminal};
use crate::scenario::parse;
use crate::trace::{Observed, Strike};
use crate::verdict::judge;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The last line of a record: all that a judge needs.
#[derive(Serialize, Deserialize)]
struct Case {
    event: String,
    scenario: String,
    text: String,
    path: PathBuf,
    adapter: String,
    choices: Choices,
    how: String,
    strike: Option<Strike>,
    observed: Observed,
}

const EVENT: &str = "case";

/// The lines of a record: what was heard, and the case.
pub(super) fn record(job: &Job, observed: &Observed, adapter: &str, choices: Choices) -> String {
    let case = Case {
        event: EVENT.into(),
        scenario: job.scenario.id.clone(),
        text: job.scenario.text.clone(),
        path: job.path.clone(),
        adapter: adapter.into(),
        choices,
        how: job.how.clone(),
        strike: blow(&job.course),
        observed: observed.clone(),
    };
    let case = serde_json::to_string(&case).unwrap_or_default();
    let heard: String = observed.record.iter().map(|line| format!("{line}\n")).collect();
    format!("{heard}{case}\n")
}

/// Judges each record, by the scenario as it was and the known failures as they are.
pub(super) fn again(library: &Library, files: &[PathBuf], out: &mut Out) -> Result<u8, Stopped> {
    let mut tally = Tally { planned: files.len(), ..Tally::default() };
    for file in files {
        let told = one(library, file)?;
        tally.add(told.verdict.word);
        match told.verdict.word.is_expected() {
            true => out.line(&format!("{}  {}", told.verdict.word, told.scenario.id)),
            false => out.line(&terminal::failure(&told)),
        }
    }
    Ok(tally.exit_code())
}

fn one(library: &Library, file: &Path) -> Result<Told, Stopped> {
    let bad = |what: &str| {
        let shown = file.display();
        Stopped::usage(format!(
            "error: {shown} is no record: {what}; name a record.jsonl that `run` has kept"
        ))
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad(&error.to_string()))?;
    let last = text.lines().next_back().ok_or_else(|| bad("it is empty"))?;
    let case: Case = serde_json::from_str(last)
        .map_err(|error| bad(&format!("its last line is not the case of a run ({error})")))?;
    let scenario = parse(&case.scenario, &case.text).map_err(|error| {
        Stopped::usage(error.render(&case.path.display().to_string(), &case.text))
    })?;
    let (scenario, allowed) = match case.strike {
        Some(strike) if strike.step < scenario.steps.len() => {
            let allowed = model::struck(&scenario, case.choices, strike).0;
            (expecting(&scenario, &allowed), allowed)
        }
        Some(_) => return Err(bad("it speaks of a step that the scenario does not have")),
        None => {
            let allowed = model::allowed(&scenario, case.choices);
            (scenario, allowed)
        }
    };
    if case.observed.trace.steps.len() != scenario.steps.len() {
        return Err(bad("its trace is that of another scenario"));
    }
    // An adapter that is not here any more has no known failures.
    let known = load(library, &case.adapter).map(|adapter| adapter.manifest.known);
    let verdict = judge(&scenario, &allowed, &case.observed, &known.unwrap_or_default());
    Ok(Told {
        scenario,
        path: case.path,
        adapter: case.adapter.clone(),
        asked: case.adapter,
        how: case.how,
        verdict,
        record: Some(file.to_owned()),
    })
}
