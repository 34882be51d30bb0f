//! `show A B`: draws two runs of one scenario side by side, with the first difference marked.

use super::record_args::{Show, ShowFormat};
use crate::adapter::MODEL;
use crate::bundle::Bundle;
use crate::diagram::svg::svg_pair;
use crate::diagram::{Diagram, Run};
use crate::error::Error;
use crate::model::{self, Choices};
use crate::record::Record;
use crate::report::console::Console;
use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::suite_run::{RunEvent, RunRequest, SuiteRun};
use crate::trace::{Occurrence, StepState, Trace};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// One of the two runs.
struct Side {
    scenario: Scenario,
    trace: Trace,
    /// What happened, in order. For a prediction, the order of the schedule.
    history: Vec<Occurrence>,
    /// What the run was executed on, and the verdict.
    head: String,
    diagram: Diagram,
}

pub(super) fn show_two(
    suite: &Suite,
    args: &Show,
    other: &str,
    console: &mut Console,
) -> Result<u8, Error> {
    if !matches!(args.format, ShowFormat::Text | ShowFormat::Svg) {
        return Err(Error::usage("error: two runs are shown as text, or with --format svg"));
    }
    let (left, right) = (side(suite, &args.name, args)?, side(suite, other, args)?);
    if left.scenario.text != right.scenario.text
        || left.scenario.steps.len() != right.scenario.steps.len()
    {
        return Err(Error::usage(format!(
            "error: {} and {other} are runs of different scenarios or variants; name two runs of one",
            args.name
        )));
    }
    let text = match args.format {
        ShowFormat::Text => beside(&left, &right),
        _ => svg_pair(&left.diagram, &right.diagram, first_difference(&left, &right)),
    };
    match &args.output {
        Some(file) => fs::write(file, text).map_err(|error| Error::unwritable(file, &error))?,
        None => console.verbatim(&text),
    }
    Ok(0)
}

/// The run that a name stands for: that of a record, one on an adapter, or the prediction of the model.
fn side(suite: &Suite, name: &str, args: &Show) -> Result<Side, Error> {
    if let Some(file) = Bundle::record_named(Path::new(name)) {
        let file = file.as_path();
        let record = Record::read(file)?;
        let judged = record.judge(suite.adapter(&record.case.adapter).ok().as_ref());
        let (job, verdict) = judged.map_err(|reason| Record::refuse(file, &reason))?;
        let observation = record.case.observation;
        let run = Run::observed(&job, &observation, &verdict, &record.case.adapter);
        let diagram = run.diagram(args.full);
        return Ok(Side {
            diagram,
            scenario: job.scenario,
            trace: observation.trace,
            history: observation.history,
            head: format!("{} {}", record.case.adapter, verdict.status),
        });
    }
    let names = vec![name.to_owned()];
    if args.adapter != MODEL {
        let (adapter, unchecked) = (Some(args.adapter.clone()), args.unchecked);
        let request =
            RunRequest { names, adapter, heavy: true, unchecked, ..RunRequest::default() };
        let mut side = None;
        SuiteRun::prepare(suite, request)?.execute(&mut |event| {
            let RunEvent::Finished(run) = event else { return true };
            let observation = run.output.observation;
            let drawn = Run::observed(&run.job, &observation, &run.verdict, &args.adapter);
            side = Some(Side {
                diagram: drawn.diagram(args.full),
                scenario: run.job.scenario.clone(),
                trace: observation.trace,
                history: observation.history,
                head: format!("{} {}", args.adapter, run.verdict.status),
            });
            false
        })?;
        return side.ok_or_else(|| Error::unable(format!("error: {name} did not run to its end")));
    }
    let files = suite.select(&names)?;
    let file =
        files.first().ok_or_else(|| Error::usage(format!("error: {name} is no scenario")))?;
    let scenario = if args.unchecked { file.parse()? } else { file.checked()? };
    let choices = Choices::default();
    let trace = model::predict(&scenario, choices);
    let history = model::schedule(&scenario, choices).history();
    let diagram = Run::predicted(&scenario, &trace, choices).diagram(args.full);
    Ok(Side { scenario, trace, history, head: MODEL.to_owned(), diagram })
}

/// A row for each step: the task, the action, and the outcome in both runs.
fn beside(left: &Side, right: &Side) -> String {
    let steps = &left.scenario.steps;
    let (lefts, rights) = (outcomes(left), outcomes(right));
    let first = first_difference(left, right);
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) + 2;
    let task = width(&mut steps.iter().map(|step| step.task_id.to_string().chars().count()));
    let action = width(&mut steps.iter().map(|step| step.what().chars().count()));
    let column = width(&mut lefts.iter().chain([&left.head]).map(|text| text.chars().count()));
    let mut out = format!("{}\n\n", left.scenario.id);
    let mut row = |mark: &str, cells: [&str; 4]| {
        let [name, what, one, other] = cells;
        let line = format!("{mark} {name:<task$}{what:<action$}{one:<column$}{other}");
        let _ = writeln!(out, "{}", line.trim_end());
    };
    row(" ", ["", "", &left.head, &right.head]);
    for (index, step) in steps.iter().enumerate() {
        let mark = match (first == Some(index), lefts[index] != rights[index]) {
            (true, _) => "▶",
            (false, true) => "·",
            (false, false) => " ",
        };
        let (name, what) = (step.task_id.to_string(), step.what());
        row(mark, [&name, &what, &lefts[index], &rights[index]]);
    }
    let exits = |side: &Side, process: &String| {
        side.trace
            .exits
            .get(process)
            .map_or_else(|| "never started".to_owned(), ToString::to_string)
    };
    let mut processes: Vec<&String> =
        left.trace.exits.keys().chain(right.trace.exits.keys()).collect();
    processes.sort();
    processes.dedup();
    for process in processes {
        let (one, other) = (exits(left, process), exits(right, process));
        let mark = if one == other { " " } else { "·" };
        row(mark, [process, "ends", &one, &other]);
    }
    out.push_str(match first {
        Some(_) => "\n▶ is the first difference in time, · are further ones.\n",
        None => "\nEach step has the same outcome in both runs.\n",
    });
    out
}

/// The outcome of each step, as text.
fn outcomes(side: &Side) -> Vec<String> {
    let outcome = |state: &StepState| match state {
        StepState::Pending => "…".to_owned(),
        state => state.as_outcome().to_string(),
    };
    side.trace.steps.iter().map(outcome).collect()
}

/// The first step whose outcomes differ: the one that first returned in either run, or began if it never returned.
fn first_difference(left: &Side, right: &Side) -> Option<usize> {
    let (lefts, rights) = (outcomes(left), outcomes(right));
    let differs = |step: &usize| lefts[*step] != rights[*step];
    let times = |side: &Side| {
        let mut time = vec![usize::MAX; lefts.len()];
        for (at, occurrence) in side.history.iter().enumerate() {
            match occurrence {
                Occurrence::Completed(step) => time[*step] = at,
                Occurrence::Started(step) => time[*step] = time[*step].min(at),
                Occurrence::Exited(_) | Occurrence::Stalled => {}
            }
        }
        time
    };
    let (before, after) = (times(left), times(right));
    (0..lefts.len()).filter(differs).min_by_key(|step| (before[*step].min(after[*step]), *step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Outcome, parse};

    fn side(change: impl FnOnce(&mut Trace)) -> Side {
        let text = "main pipe r w\nmain put w \"a\"\nmain get r => \"a\"\nmain close w\n";
        let scenario = parse("a/b", text).expect("it parses");
        let mut trace = model::predict(&scenario, Choices::default());
        change(&mut trace);
        let choices = Choices::default();
        let history = model::schedule(&scenario, choices).history();
        let diagram = Run::predicted(&scenario, &trace, choices).diagram(true);
        Side { scenario, trace, history, head: "it".into(), diagram }
    }

    #[test]
    fn the_first_difference_is_marked_and_later_ones_are_too() {
        let wrong = side(|trace| {
            trace.steps[2] = StepState::completed(Outcome::Eof);
            trace.steps[3] = StepState::NotStarted;
        });
        let text = beside(&side(|_| {}), &wrong);
        let marked = |mark: &str| text.lines().filter(|line| line.starts_with(mark)).count();
        assert!(
            text.lines().any(|line| line.starts_with("▶ main") && line.contains("get r")),
            "{text}"
        );
        assert_eq!(marked("· main"), 1, "{text}");
    }

    #[test]
    fn the_picture_of_two_runs_marks_the_first_difference_in_both() {
        let wrong = side(|trace| trace.steps[2] = StepState::completed(Outcome::Eof));
        let right = side(|_| {});
        let marks = |other: &Side| {
            let difference = first_difference(&right, other);
            let picture = svg_pair(&right.diagram, &other.diagram, difference);
            assert_eq!(picture.matches("<svg").count(), 3, "two pictures in one");
            picture.matches("the first difference").count()
        };
        assert_eq!(marks(&wrong), 2);
        assert_eq!(marks(&right), 0);
    }

    #[test]
    fn two_equal_runs_have_no_mark() {
        let text = beside(&side(|_| {}), &side(|_| {}));
        assert!(!text.contains('▶') && text.contains("the same outcome in both runs"), "{text}");
    }
}
