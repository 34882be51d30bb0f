//! Was it right? Compares what happened with what the author wrote and the model allows.
//!
//! Does not know how long anything took. Why a run stopped is `stuck`'s to say.

use crate::adapter::{FailureSort, KnownFailure};
use crate::deadlock::{self, StallReport};
use crate::environment::Environment;
use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{
    Allowed, Causes, Observation, ProcessExit, StepState, Trace, outcome_text, snapshot_class_text,
    snapshot_text,
};
use serde::{Deserialize, Serialize};
use std::fmt;

mod baseline;
mod closest_trace;

pub use baseline::{BaselineChange, Chosen, excuse, hold_to_its_skips, hold_to_its_word};

/// The one word for a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// As it must be.
    Pass,
    /// Fails exactly as the manifest says.
    Known,
    /// The implementation has no such thing.
    Skip,
    /// A step came to something else.
    Fail,
    /// They wait for each other.
    Deadlock,
    /// Something could move, and does not.
    Hang,
    /// It did not end, and nobody can say why.
    Slow,
    /// The model cannot say whether it was right: too much may come of it. Never a pass.
    Unknown,
    /// The manifest says that it fails, and it passes.
    Fixed,
    /// The adapter or the harness broke.
    Error,
    /// Something that the suite assumes of the system does not hold, and explains what came: it says nothing.
    Environment,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Known => "KNOWN",
            Self::Skip => "SKIP",
            Self::Fail => "FAIL",
            Self::Deadlock => "DEADLOCK",
            Self::Hang => "HANG",
            Self::Slow => "SLOW",
            Self::Unknown => "UNKNOWN",
            Self::Fixed => "FIXED",
            Self::Error => "ERROR",
            Self::Environment => "ENVIRONMENT",
        })
    }
}

impl Status {
    /// Whether the run is as expected.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Pass | Self::Known | Self::Skip)
    }

    /// Whether it could not be found out what is right.
    pub fn says_nothing(self) -> bool {
        matches!(self, Self::Unknown | Self::Error | Self::Environment)
    }
}

/// What is said of one scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The one word.
    pub word: Status,
    /// The first wrong step, if a step is wrong.
    pub first: Option<Mismatch>,
    /// The next steps that ended wrongly: the first wrong line can be the victim of a later one.
    pub also: Vec<Mismatch>,
    /// Why it stopped, if it did.
    pub stuck: Option<StallReport>,
    /// Further sentences: what broke, why it is skipped, what the manifest says.
    pub notes: Vec<String>,
    /// The trace as text, with the status of processes filled in where the system does not show it.
    pub text: String,
    /// The trace that the model allows and that is nearest to it.
    pub model: String,
    /// The manifest says that it comes out now one way and now the other.
    pub sometimes: bool,
    /// Whose it is, of a failure that is known.
    pub sort: Option<FailureSort>,
    /// What the adapter's folder would have to say so that this is as expected.
    pub mend: Option<BaselineChange>,
}

/// A step that came to something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The step.
    pub step: usize,
    /// What the author wrote.
    pub expected: String,
    /// Why the model says so.
    pub because: String,
    /// What came.
    pub got: String,
    /// The implementation's own words.
    pub detail: Option<String>,
}

/// How many wrong steps are told beside the first.
const ALSO: usize = 3;

/// Judges one run by what the model allows: it must be one of these as a whole.
pub fn judge(
    scenario: &Scenario,
    allowed: &Allowed,
    observed: &Observation,
    known: &[KnownFailure],
) -> Verdict {
    let (predicted, agrees) = closest_trace::closest_trace(scenario, allowed, &observed.trace);
    let trace = completed(scenario, &observed.trace, predicted);
    let text = match allowed.traces.len() {
        2.. if agrees => snapshot_class_text(scenario, &allowed.traces),
        _ => snapshot_text(scenario, &trace),
    };
    let model = snapshot_text(scenario, predicted);
    let mut verdict = Verdict {
        word: Status::Pass,
        first: None,
        also: Vec::new(),
        stuck: None,
        notes: Vec::new(),
        text,
        model,
        sometimes: false,
        sort: None,
        mend: None,
    };
    if let Some(fault) = &observed.fault {
        verdict.word = Status::Error;
        verdict.notes.push(fault.clone());
        verdict.notes.extend(printed(observed));
        return verdict;
    }
    if let Some(lacking) = &observed.unsupported {
        verdict.word = Status::Skip;
        verdict.notes.push(match lacking.step.and_then(|step| scenario.steps.get(step)) {
            Some(step) => format!("{}: {}", step.what(), lacking.reason),
            None => lacking.reason.clone(),
        });
        return verdict;
    }
    if !allowed.complete {
        verdict.word = Status::Unknown;
        let found = if agrees { "this is one of" } else { "this is none of" };
        verdict.notes.push(format!(
            "more can come of it than the model can enumerate; {found} the {} that it found",
            allowed.traces.len()
        ));
        return verdict;
    }
    // Where it went another way than the story, the plan waited for what was not due.
    let late = observed.stop.as_ref().filter(|_| predicted == allowed.in_file_order());
    let late = late.and_then(|stop| stop.late.first().copied());
    let wrong = (0..scenario.steps.len()).find(|step| {
        is_wrong(scenario, &trace, *step)
            || !closest_trace::same(scenario, allowed, predicted, &trace, *step)
    });
    let first = match (wrong, late) {
        (Some(wrong), Some(late)) => Some(wrong.min(late)),
        (wrong, late) => wrong.or(late),
    };
    verdict.first = first.map(|step| finding(scenario, predicted, &trace, step));
    if let Some(first) = first {
        let ended = |step: &usize| matches!(trace.steps[*step], StepState::Completed { .. });
        let later = (first + 1..scenario.steps.len())
            .filter(|step| ended(step) && is_wrong(scenario, &trace, *step));
        verdict.also =
            later.take(ALSO).map(|step| finding(scenario, predicted, &trace, step)).collect();
        verdict.stuck = deadlock::explain(scenario, observed);
        if stands_still(scenario, predicted, &trace, first) {
            verdict.notes.push(
                "The model stands still here too, with every handle where it should be: no implementation can do what is written.".into(),
            );
        }
        let only_late = late == Some(first) && wrong != Some(first);
        verdict.word = word(&trace, &verdict, only_late);
        if late.is_some() && wrong.is_none() && verdict.word != Status::Slow {
            verdict
                .notes
                .push("it came all the same, but only after later steps had let it go".into());
        }
    } else if !(agrees && allowed.traces.len() > 1) && verdict.text != verdict.model {
        verdict.word = Status::Fail;
        let stays = |(process, end): (&String, &ProcessExit)| {
            *end == ProcessExit::Running
                && predicted.exits.get(process).is_some_and(|end| *end != ProcessExit::Running)
        };
        if trace.exits.iter().any(stays) {
            verdict.stuck = deadlock::explain(scenario, observed);
            verdict.word = match verdict.stuck.as_ref().map(|stuck| stuck.kind) {
                Some(deadlock::StallKind::Slow) => Status::Slow,
                Some(_) => Status::Hang,
                None => Status::Fail,
            };
        }
        verdict.notes.extend(differences(scenario, predicted, &trace));
    }
    if verdict.word == Status::Pass {
        verdict.notes = leaks(predicted, &trace);
        if !verdict.notes.is_empty() {
            verdict.word = Status::Fail;
        }
    }
    baseline::compare(scenario, &mut verdict, known);
    if !verdict.word.is_expected() {
        verdict.notes.extend(printed(observed));
    }
    verdict
}

/// A failure that the system explains says nothing about the implementation.
pub fn blame(verdict: &mut Verdict, here: &Environment) {
    if verdict.word.is_expected() {
        return;
    }
    let first = verdict.first.iter().flat_map(|first| {
        [Some(first.got.as_str()), first.detail.as_deref()].into_iter().flatten()
    });
    let said = verdict.notes.iter().map(String::as_str);
    let explained = first.chain(said).find_map(|said| here.explains(said));
    if let Some((fact, unmet)) = explained.and_then(|fact| Some((fact, fact.unmet?))) {
        verdict.word = Status::Environment;
        verdict.notes.insert(0, format!("{}: {}", fact.name, unmet.means));
    }
}

/// The last of what the agents printed, as a note: so many lines at most, and so many characters of each.
fn printed(observed: &Observation) -> Option<String> {
    const LINES: usize = 20;
    const WIDTH: usize = 160;
    let all: Vec<&str> = observed.printed.lines().collect();
    let cut = |line: &&str| match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => (*line).to_owned(),
    };
    let last: Vec<String> = all[all.len().saturating_sub(LINES)..].iter().map(cut).collect();
    (!last.is_empty()).then(|| format!("it printed:\n    {}", last.join("\n    ")))
}

/// A first wrong step that ended is a failure, however late it did; one that is open is what its stop is. One that is
/// only late is one if it was seen to stand still, and slow if it was not.
fn word(trace: &Trace, verdict: &Verdict, only_late: bool) -> Status {
    let open =
        verdict.first.as_ref().is_some_and(|first| trace.steps[first.step] == StepState::Pending);
    match verdict.stuck.as_ref().map(|stuck| stuck.kind) {
        Some(deadlock::StallKind::Deadlock) if open => Status::Deadlock,
        Some(deadlock::StallKind::Hang) if open => Status::Hang,
        Some(deadlock::StallKind::Slow) if open || only_late => Status::Slow,
        _ => Status::Fail,
    }
}

fn is_wrong(scenario: &Scenario, trace: &Trace, step: usize) -> bool {
    let expected = &scenario.steps[step].expected;
    !expected.iter().any(|outcome| trace.steps[step].satisfies(outcome))
}

/// Whether this is what the model says and the author does not: it is open for ever.
fn stands_still(scenario: &Scenario, predicted: &Trace, trace: &Trace, step: usize) -> bool {
    is_wrong(scenario, predicted, step)
        && predicted.steps[step] == StepState::Pending
        && trace.steps[step] == StepState::Pending
}

/// Checks the author against the model: the first line whose outcome the model does not give.
pub fn disagreement(scenario: &Scenario, predicted: &Trace) -> Option<Mismatch> {
    let step = (0..scenario.steps.len()).find(|step| is_wrong(scenario, predicted, *step))?;
    Some(finding(scenario, predicted, predicted, step))
}

fn finding(scenario: &Scenario, predicted: &Trace, trace: &Trace, step: usize) -> Mismatch {
    let spec = &scenario.steps[step];
    let mut expected: Vec<String> = spec.expected.iter().map(Outcome::to_string).collect();
    if !is_wrong(scenario, trace, step) {
        // The line allows it, but not together with all the others.
        expected = vec![outcome_text(&[], &predicted.steps[step])];
    }
    let detail = match &trace.steps[step] {
        StepState::Completed { detail, .. } => detail.clone(),
        _ => None,
    };
    let process = &spec.task_id.process;
    let got = match (&trace.steps[step], trace.exits.get(process)) {
        (StepState::Pending, Some(end)) if *end != ProcessExit::Running => {
            format!("{process} ended: {end}")
        }
        (taken, _) => outcome_text(&[], taken),
    };
    // Where the author is not of the model's opinion (`--unchecked`), its reasons are not for what is written.
    let because = match is_wrong(scenario, predicted, step) && !std::ptr::eq(predicted, trace) {
        true => String::new(),
        false => Causes::new(scenario, predicted).of(step),
    };
    Mismatch { step, expected: expected.join(" or "), because, got, detail }
}

/// The trace with what the system cannot show filled in from the prediction: an end that nobody saw, that a code other
/// than 0 is an entry that failed, that a process was killed before it could say a word.
fn completed(scenario: &Scenario, observed: &Trace, predicted: &Trace) -> Trace {
    let mut trace = observed.clone();
    for (process, end) in &predicted.exits {
        let seen = trace.exits.get(process);
        let same = match (seen, end) {
            (Some(ProcessExit::Unseen), _) => true,
            (Some(ProcessExit::Code(code)), ProcessExit::Failed) => *code != 0,
            (None, ProcessExit::Signal(_)) => spawned(scenario, observed, process),
            _ => false,
        };
        if same {
            trace.exits.insert(process.clone(), end.clone());
        }
    }
    for (taken, predicted) in trace.steps.iter_mut().zip(&predicted.steps) {
        if let StepState::Completed { outcome, .. } = taken {
            let failed = matches!(outcome, Outcome::Exit(code) if *code != 0);
            if failed && predicted.is(&Outcome::Raised) {
                *outcome = Outcome::Raised;
            }
        }
    }
    trace
}

/// Whether the spawn of this process succeeded.
fn spawned(scenario: &Scenario, observed: &Trace, process: &str) -> bool {
    scenario.steps.iter().zip(&observed.steps).any(|(step, taken)| {
        matches!(&step.verb, Verb::Spawn { child, .. } if child == process)
            && taken.is(&Outcome::Ok)
    })
}

/// Handles that are left where the model has others.
fn leaks(predicted: &Trace, trace: &Trace) -> Vec<String> {
    let both = predicted.remaining_handles.iter().filter_map(|(process, must)| {
        let has = trace.remaining_handles.get(process)?;
        (has != must).then(|| {
            format!(
                "{process} had {has} handles when its lines were done, and should have had {must}"
            )
        })
    });
    both.collect()
}

fn differences(scenario: &Scenario, predicted: &Trace, trace: &Trace) -> Vec<String> {
    let mut notes = trace.violations.clone();
    for (process, end) in &predicted.exits {
        match trace.exits.get(process) {
            Some(got) if got != end => {
                notes.push(format!("{process} ended with {got}, not with {end}"))
            }
            Some(_) => {}
            None => notes.push(format!("{process} was never seen")),
        }
    }
    let (model, came) = (Causes::new(scenario, predicted), Causes::new(scenario, trace));
    for step in 0..scenario.steps.len() {
        let (model, came) = (model.of(step), came.of(step));
        if model != came {
            let spec = &scenario.steps[step];
            notes.push(format!(
                "{} {} came because \"{came}\", not because \"{model}\"",
                spec.task_id,
                spec.what()
            ));
        }
    }
    notes.truncate(8);
    notes
}
