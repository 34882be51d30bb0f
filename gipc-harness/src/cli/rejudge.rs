//! `judge`: a recorded run judged again, without running anything. And what a record must hold so that this is possible.

use super::console::Console;
use super::jobs::{Job, blow, chose_otherwise, expecting};
use super::suite_files::Suite;
use super::{CommandError, load};
use crate::adapter::KnownFailure;
use crate::environment::Environment;
use crate::model::{self, Choices};
use crate::report::{ScenarioReport, Tally, terminal};
use crate::runner::RunOutput;
use crate::scenario::{Scenario, parse};
use crate::trace::{InjectionPoint, Observation};
use crate::verdict::{Verdict, excuse, judge};
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
    strike: Option<InjectionPoint>,
    observed: Observation,
}

const EVENT: &str = "case";

/// The lines of a record: where it was, what was said and heard, and the case.
pub(super) fn record(
    job: &Job,
    output: &RunOutput,
    adapter: &str,
    choices: Choices,
    here: &Environment,
) -> String {
    let case = Case {
        event: EVENT.into(),
        scenario: job.scenario.id.clone(),
        text: job.scenario.text.clone(),
        path: job.path.clone(),
        adapter: adapter.into(),
        choices,
        how: job.how.clone(),
        strike: blow(&job.course),
        observed: output.observation.clone(),
    };
    let case = serde_json::to_string(&case).unwrap_or_default();
    let here = serde_json::json!({ "event": "environment", "is": here });
    let events: String = output
        .events
        .iter()
        .map(|event| format!("{}\n", serde_json::to_string(event).unwrap_or_default()))
        .collect();
    format!("{here}\n{events}{case}\n")
}

/// Judges each record, by the scenario as it was and the known failures as they are.
pub(super) fn again(
    suite: &Suite,
    files: &[PathBuf],
    out: &mut Console,
) -> Result<u8, CommandError> {
    let mut tally = Tally { planned: files.len(), ..Tally::default() };
    for file in files {
        let told = one(suite, file)?;
        tally.add(&told.scenario.id, &told.verdict);
        match told.verdict.word.is_expected() {
            true => out.line(&format!("{}  {}", told.verdict.word, told.scenario.id)),
            false => out.line(&terminal::failure(&told)),
        }
    }
    Ok(tally.exit_code())
}

fn one(suite: &Suite, file: &Path) -> Result<ScenarioReport, CommandError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::usage(format!("error: cannot read {shown}: {error}")))?;
    // An adapter that is not here any more has no known failures.
    let known = |adapter: &str| load(suite, adapter).map(|adapter| adapter.manifest.known);
    let (case, scenario, verdict) = judged(&text, |adapter| known(adapter).unwrap_or_default())
        .map_err(|what| {
            CommandError::usage(format!(
                "error: {shown} is no record: {what}; name a record.jsonl that `run` has kept"
            ))
        })?;
    Ok(ScenarioReport {
        scenario,
        path: case.path,
        adapter: case.adapter.clone(),
        asked: case.adapter,
        how: case.how,
        verdict,
        record: Some(file.to_owned()),
    })
}

/// Judges the text of a record, without known failures. An error says what is wrong with it.
pub fn judge_record(text: &str) -> Result<Verdict, String> {
    judged(text, |_| Vec::new()).map(|(.., verdict)| verdict)
}

fn judged(
    text: &str,
    known: impl Fn(&str) -> Vec<KnownFailure>,
) -> Result<(Case, Scenario, Verdict), String> {
    let last = text.lines().next_back().ok_or("it is empty")?;
    let case: Case = serde_json::from_str(last)
        .map_err(|error| format!("its last line is not the case of a run ({error})"))?;
    let scenario = parse(&case.scenario, &case.text).map_err(|error| {
        format!("its scenario cannot be read\n{}", error.render(&case.scenario, &case.text))
    })?;
    let (scenario, allowed, chosen) = match case.strike {
        Some(strike) if strike.step < scenario.steps.len() => {
            let allowed = model::allowed_if_killed(&scenario, case.choices, strike).0;
            (expecting(&scenario, &allowed), allowed, None)
        }
        Some(_) => return Err("it speaks of a step that the scenario does not have".into()),
        None => {
            let allowed = model::allowed(&scenario, case.choices);
            let chosen = chose_otherwise(&scenario, case.choices, &allowed);
            (scenario, allowed, chosen)
        }
    };
    if !case.observed.is_of(&scenario) {
        return Err("its trace is that of another scenario".into());
    }
    let mut verdict = judge(&scenario, &allowed, &case.observed, &known(&case.adapter));
    excuse(&mut verdict, chosen.as_ref());
    Ok((case, scenario, verdict))
}
