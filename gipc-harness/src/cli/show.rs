//! `show`: what each task does, side by side.

use super::args::Show;
use crate::adapter::MODEL;
use crate::error::Error;
use crate::model::{self, Choices, Deadlock};
use crate::record::Record;
use crate::report::console::Console;
use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::suite_run::{RunEvent, RunRequest, SuiteRun};
use crate::trace::sequence_diagram;
use std::path::Path;

pub(super) fn show(suite: &Suite, args: &Show, console: &mut Console) -> Result<u8, Error> {
    let file = Path::new(&args.name);
    if Record::is_one(file) {
        return show_record(suite, file, console);
    }
    if args.adapter == MODEL {
        return show_prediction(suite, args, console);
    }
    let names = vec![args.name.clone()];
    let adapter = Some(args.adapter.clone());
    // What is named is shown, however heavy.
    let unchecked = args.unchecked;
    let request = RunRequest { names, adapter, heavy: true, unchecked, ..RunRequest::default() };
    let run = SuiteRun::prepare(suite, request)?;
    run.execute(&mut |event| {
        let RunEvent::Finished(run) = event else { return true };
        console.line(&format!("{}  {}\n", run.job.scenario.id, args.adapter));
        console.verbatim(&sequence_diagram(&run.job.scenario, &run.output.observation.trace));
        console.line(&format!("\n{}", run.verdict.status));
        run.verdict.status.is_expected()
    })?;
    Ok(0)
}

fn show_record(suite: &Suite, file: &Path, console: &mut Console) -> Result<u8, Error> {
    let record = Record::read(file)?;
    let adapter = suite.adapter(&record.case.adapter).ok();
    let judged = record.judge(adapter.as_ref());
    let (job, verdict) = judged.map_err(|reason| Record::refuse(file, &reason))?;
    let (id, adapter) = (&job.scenario.id, &record.case.adapter);
    console.line(format!("{id}  {adapter} {}", job.flags()).trim_end());
    console.line("");
    console.verbatim(&sequence_diagram(&job.scenario, &record.case.observation.trace));
    console.line(&format!("\n{}", verdict.status));
    Ok(0)
}

fn show_prediction(suite: &Suite, args: &Show, console: &mut Console) -> Result<u8, Error> {
    for file in suite.select(std::slice::from_ref(&args.name))? {
        let scenario = if args.unchecked { file.parse()? } else { file.checked()? };
        let choices = Choices::default();
        console.line(&format!("{}  {MODEL}\n", scenario.id));
        console.verbatim(&sequence_diagram(&scenario, &model::predict(&scenario, choices)));
        console.line(&format!("\n{}", summary(&scenario, choices)));
    }
    Ok(0)
}

/// What the model says of the scenario as a whole: how many outcomes it has, and whether it can deadlock.
fn summary(scenario: &Scenario, choices: Choices) -> String {
    let allowed = model::allowed(scenario, choices);
    let races = match (allowed.complete, allowed.traces.len()) {
        (false, _) if allowed.is_known() => {
            format!("{} independent races: this is the outcome in file order", allowed.races.len())
        }
        (false, _) => "more outcomes than the model can enumerate".to_owned(),
        (true, 1) => "one outcome: nothing races".to_owned(),
        (true, many) => format!("{many} outcomes: this is the one in file order"),
    };
    let stops = match model::deadlock(scenario, choices) {
        Deadlock::Cannot => "it cannot deadlock, whatever the capacity of its pipes".to_owned(),
        Deadlock::Must => "some step waits forever, whatever the capacity of its pipes".to_owned(),
        Deadlock::Can => {
            "whether some step waits forever depends on the order of the steps".to_owned()
        }
        Deadlock::Below(bytes) => {
            format!("it deadlocks where a pipe holds less than {bytes} bytes")
        }
        Deadlock::Unknown => "the model cannot tell whether it can deadlock".to_owned(),
    };
    format!("{races}; {stops}")
}
