//! `show`: draws what each task does, as text, as a picture, or as data for other viewers.

use super::record_args::{Show, ShowFormat};
use super::show_two::show_two;
use crate::adapter::MODEL;
use crate::bundle::Bundle;
use crate::diagram::chrome_trace::chrome_trace;
use crate::diagram::mermaid::mermaid;
use crate::diagram::svg::svg;
use crate::diagram::{MAX_EVENTS, Run};
use crate::error::Error;
use crate::model::{self, Choices, Deadlock};
use crate::record::Record;
use crate::report::console::Console;
use crate::runner::Events;
use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::suite_run::{RunEvent, RunRequest, SuiteRun};
use crate::trace::{Trace, sequence_diagram, sequence_diagram_of};
use crate::verdict::Verdict;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

pub(super) fn show(suite: &Suite, args: &Show, console: &mut Console) -> Result<u8, Error> {
    if let Some(other) = &args.other {
        return show_two(suite, args, other, console);
    }
    let mut drawings = Drawings { args, console, count: 0 };
    if let Some(file) = Bundle::record_named(Path::new(&args.name)) {
        show_record(suite, &file, &mut drawings)?;
    } else if args.adapter == MODEL {
        show_prediction(suite, &mut drawings)?;
    } else {
        show_run(suite, &mut drawings)?;
    }
    Ok(0)
}

fn show_run(suite: &Suite, drawings: &mut Drawings<'_>) -> Result<(), Error> {
    let Show { name, adapter, unchecked, .. } = drawings.args;
    let (names, adapter, unchecked) = (vec![name.clone()], Some(adapter.clone()), *unchecked);
    // A scenario that is named is shown even if it is heavy.
    let request = RunRequest { names, adapter, heavy: true, unchecked, ..RunRequest::default() };
    let run = SuiteRun::prepare(suite, request)?;
    let mut failure = None;
    run.execute(&mut |event| {
        let RunEvent::Finished(run) = event else { return true };
        let (observation, verdict) = (&run.output.observation, &run.verdict);
        let adapter = &drawings.args.adapter;
        let written = drawings.add(&Drawing {
            scenario: &run.job.scenario,
            trace: &observation.trace,
            run: Run::observed(&run.job, observation, verdict, adapter),
            events: &run.output.events,
            head: format!("{}  {adapter}", run.job.scenario.id),
            tail: conclusion(&run.job.scenario, verdict),
        });
        failure = written.err();
        failure.is_none() && verdict.status.is_expected()
    })?;
    failure.map_or(Ok(()), Err)
}

fn show_record(suite: &Suite, file: &Path, drawings: &mut Drawings<'_>) -> Result<(), Error> {
    let record = Record::read(file)?;
    let adapter = suite.adapter(&record.case.adapter).ok();
    let judged = record.judge(adapter.as_ref());
    let (job, verdict) = judged.map_err(|reason| Record::refuse(file, &reason))?;
    let (observation, adapter) = (&record.case.observation, &record.case.adapter);
    drawings.add(&Drawing {
        scenario: &job.scenario,
        trace: &observation.trace,
        run: Run::observed(&job, observation, &verdict, adapter),
        events: &record.events,
        head: format!("{}  {adapter} {}", job.scenario.id, job.flags()).trim_end().to_owned(),
        tail: conclusion(&job.scenario, &verdict),
    })
}

fn show_prediction(suite: &Suite, drawings: &mut Drawings<'_>) -> Result<(), Error> {
    for file in suite.select(std::slice::from_ref(&drawings.args.name))? {
        let scenario = if drawings.args.unchecked { file.parse()? } else { file.checked()? };
        let choices = Choices::default();
        let trace = model::predict(&scenario, choices);
        drawings.add(&Drawing {
            scenario: &scenario,
            trace: &trace,
            run: Run::predicted(&scenario, &trace, choices),
            events: &Events::default(),
            head: format!("{}  {MODEL}", scenario.id),
            tail: match drawings.args.format {
                ShowFormat::Text => summary(&scenario, choices),
                _ => String::new(),
            },
        })?;
    }
    Ok(())
}

/// A run to show.
struct Drawing<'a> {
    scenario: &'a Scenario,
    trace: &'a Trace,
    run: Run<'a>,
    /// The events with their times, if the run was a real one.
    events: &'a Events,
    /// The line above the columns of text.
    head: String,
    /// The line below them.
    tail: String,
}

/// Writes runs in the requested format.
struct Drawings<'a> {
    args: &'a Show,
    console: &'a mut Console,
    /// How many runs were written.
    count: usize,
}

impl Drawings<'_> {
    fn add(&mut self, drawing: &Drawing<'_>) -> Result<(), Error> {
        self.count += 1;
        let Show { name, format, full, output, .. } = self.args;
        if self.count > 1 && *format != ShowFormat::Text {
            return Err(Error::usage(format!(
                "error: {name} names several runs, and a picture shows one; name one scenario"
            )));
        }
        let text = match format {
            ShowFormat::Text => drawing.text(*full),
            ShowFormat::Svg => svg(&drawing.run.diagram(*full)),
            ShowFormat::Mermaid => mermaid(&drawing.run.diagram(*full)),
            ShowFormat::Trace => chrome_trace(&drawing.run.diagram(*full), drawing.events),
        };
        match output {
            Some(file) => fs::write(file, text).map_err(|error| Error::unwritable(file, &error))?,
            None => self.console.verbatim(&text),
        }
        Ok(())
    }
}

impl Drawing<'_> {
    /// The columns of text.
    fn text(&self, full: bool) -> String {
        let Self { scenario, trace, run, head, tail, .. } = self;
        let columns = match full || scenario.steps.len() <= MAX_EVENTS {
            true => sequence_diagram(scenario, trace),
            false => {
                let diagram = run.diagram(false);
                let visible: BTreeSet<usize> = diagram.visible.into_iter().collect();
                let columns = sequence_diagram_of(scenario, trace, &|step| visible.contains(&step));
                let omissions = diagram.omissions.join("; ");
                format!("{columns}\nFolded: {omissions}. With --full all steps are shown.\n")
            }
        };
        format!("{head}\n\n{columns}\n{tail}\n")
    }
}

/// The wrong steps of a run, a line for each, and the verdict.
fn conclusion(scenario: &Scenario, verdict: &Verdict) -> String {
    let mut out = String::new();
    for mismatch in verdict.mismatch.iter().chain(&verdict.further_mismatches) {
        let step = &scenario.steps[mismatch.step];
        let (line, task_id, what) = (step.position.line, &step.task_id, step.what());
        let wrong = match &mismatch.late {
            Some(late) => format!("{} came too late, {late}", mismatch.got),
            None => format!("got {}, expected {}", mismatch.got, mismatch.expected),
        };
        let _ = writeln!(out, "line {line}, {task_id} {what}: {wrong}");
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out + verdict.status.to_string().as_str()
}

/// What the model says about the scenario as a whole: how many outcomes it has, and whether it can deadlock.
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
