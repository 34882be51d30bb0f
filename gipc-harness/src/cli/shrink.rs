//! `shrink`: makes the scenario of a failing run smaller while it still fails in the same way.

use super::interrupt;
use super::record_args::Shrink;
use super::repro;
use crate::adapter::Adapter;
use crate::bundle::Bundle;
use crate::environment::{self, Environment};
use crate::error::Error;
use crate::explore;
use crate::program;
use crate::record::Record;
use crate::report::console::Console;
use crate::runner::{RunOutput, Settings};
use crate::scenario::{Item, Scenario, Script, parse};
use crate::suite::{Suite, own_program};
use crate::suite_run::{execute_one, settings_for_one};
use crate::trace::disagreement;
use crate::variant::{Job, Variant};
use crate::verdict::{Baseline, judge};
use std::time::{Duration, Instant};

/// How many runs show whether the failure occurs each time.
const FIRST_RUNS: usize = 3;
/// The number of runs in which an intermittent failure must occur at least once.
const MORE_RUNS: usize = 10;
/// The time after which the smallest script so far is used.
const TIME: Duration = Duration::from_secs(300);

/// Shrinks the scenario of a failing run and writes it as a bundle. If a signal interrupts that, the smallest scenario so far
/// is written, and the exit code is 3.
pub(super) fn shrink(suite: &Suite, args: &Shrink, console: &mut Console) -> Result<u8, Error> {
    let (asked, records) = (args.adapter.as_deref(), args.record.as_deref());
    let bundle = repro::bundle(suite, &args.name, asked, records, args.private)?;
    let mut trials = Trials::new(suite, &bundle, asked)?;
    let script = bundle.record.scenario().map_err(|reason| unable(&reason))?.script;
    let script = script.as_ref().clone();
    let before = lines(&script);
    trials.measure_failure_rate(&script)?;
    let mut small = explore::shrink(script, |candidate| trials.still_fails(candidate));
    if let Some(error) = trials.error.take() {
        return Err(error);
    }
    if let Some(stop) = trials.stopped {
        add_to_first_comment(&mut small, stop.sentence());
    }
    let output = trials.smallest.as_ref().ok_or_else(|| unable("no run was kept"))?;
    let job = trials.job(&small).ok_or_else(|| unable("the smallest script is not valid"))?;
    let case = &bundle.record.case;
    let ran_on = &trials.adapter.asked;
    let record = Record::new(&job, output, ran_on, case.capacity, &trials.environment);
    let record = repro::packed(suite, record, args.private)?;
    let shrunk = Bundle::new(&case.path, record, !args.private)?;
    let folder = args.output.clone().unwrap_or_else(|| {
        let mut folder = repro::default_folder(&bundle).into_os_string();
        folder.push("-small");
        folder.into()
    });
    let files = shrunk.write(&folder)?;
    let shown = folder.display();
    let [step, outcome, status] = &bundle.manifest.fingerprint;
    console.line(&format!("{status}: {step} gave {outcome}"));
    console.line(&format!(
        "  {} of {before} lines are left, after {} runs\n",
        lines(&small),
        trials.runs
    ));
    console.verbatim(&format!("{}\n", small.to_string().trim_end()));
    console.line(&format!("\n{shown}\n  {}\n", files.join("  ")));
    console.line(&format!("  again    {}", program::command(&format!("run {shown}"))));
    let Some(stop) = trials.stopped else { return Ok(0) };
    console.line(&format!("  smaller  {}\n", program::command(&format!("shrink {shown}"))));
    console.line(stop.sentence());
    Ok(stop.exit_code())
}

/// Why the search for a smaller script ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Interrupted,
    TimeIsOver,
}

impl Stop {
    fn sentence(self) -> &'static str {
        match self {
            Self::Interrupted => {
                "PARTIAL: shrinking was interrupted, and more lines may be superfluous"
            }
            Self::TimeIsOver => {
                "PARTIAL: shrinking took too long, and more lines may be superfluous"
            }
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Interrupted => 3,
            Self::TimeIsOver => 0,
        }
    }
}

/// Adds a line at the end of the first comment of a script.
fn add_to_first_comment(script: &mut Script, line: &str) {
    let is_comment = |item: &&Item| matches!(item, Item::Comment(_));
    let place = script.items.iter().take_while(is_comment).count();
    script.items.insert(place, Item::Comment(line.to_owned()));
}

fn unable(reason: &str) -> Error {
    Error::unable(format!("error: {reason}"))
}

/// The number of lines of a script that are steps.
fn lines(script: &Script) -> usize {
    script.items.iter().filter(|item| matches!(item, Item::Line(_))).count()
}

/// Runs smaller and smaller scripts, and compares each run with the failure.
struct Trials<'a> {
    bundle: &'a Bundle,
    adapter: Adapter,
    environment: Environment,
    settings: Settings,
    began: Instant,
    /// How many runs there were.
    runs: usize,
    /// How many runs a script gets, and whether each of them must fail.
    attempts: (usize, bool),
    /// The run of the smallest script that failed.
    smallest: Option<RunOutput>,
    /// Why no further script is tried, although there may be smaller ones that fail.
    stopped: Option<Stop>,
    error: Option<Error>,
}

impl<'a> Trials<'a> {
    fn new(suite: &Suite, bundle: &'a Bundle, asked: Option<&str>) -> Result<Self, Error> {
        let case = &bundle.record.case;
        if !matches!(case.variant, Variant::Stepwise(_) | Variant::Concurrent) {
            let flags = case.variant.flags();
            return Err(Error::usage(format!(
                "error: the run had an injected fault ({flags}), whose place is the number of a step; shrink a run without one"
            )));
        }
        let adapter = suite.adapter(asked.unwrap_or(&case.adapter))?;
        let exe = own_program()?;
        let environment = environment::look(&exe);
        let (mut settings, stop) = settings_for_one(exe);
        settings.capacity = case.capacity;
        interrupt::at_first_signal(move || {
            stop.send_replace(true);
        })?;
        Ok(Self {
            bundle,
            adapter,
            environment,
            settings,
            began: Instant::now(),
            runs: 0,
            attempts: (FIRST_RUNS, true),
            smallest: None,
            stopped: None,
            error: None,
        })
    }

    /// Runs the script as it is. Fails if the failure does not occur.
    fn measure_failure_rate(&mut self, script: &Script) -> Result<(), Error> {
        if self.still_fails(script) {
            return Ok(());
        }
        self.attempts = (MORE_RUNS, false);
        if self.still_fails(script) {
            return Ok(());
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.stopped == Some(Stop::Interrupted) {
            return Err(Error::unable(format!(
                "error: interrupted after {} runs, before the failure was seen again; nothing was written",
                self.runs.saturating_sub(1)
            )));
        }
        let [step, outcome, _] = &self.bundle.manifest.fingerprint;
        Err(Error::unable(format!(
            "error: `{step}` gave {outcome} in none of {} runs on {}, so there is nothing to shrink",
            self.runs, self.adapter.manifest.name
        )))
    }

    /// Whether the script fails in the same way: in each run or in any run, according to `attempts`.
    fn still_fails(&mut self, script: &Script) -> bool {
        if self.began.elapsed() > TIME {
            self.stopped.get_or_insert(Stop::TimeIsOver);
        }
        if self.error.is_some() || self.is_interrupted() || self.stopped.is_some() {
            return false;
        }
        let Some(job) = self.job(script) else { return false };
        let (count, each) = self.attempts;
        let mut failed = None;
        for _ in 0..count {
            self.runs += 1;
            let output = execute_one(&job.scenario, &job.mode, &self.adapter, &self.settings);
            let output = match output {
                Ok(output) => output,
                Err(error) => {
                    self.error = Some(error.into());
                    return false;
                }
            };
            // An interrupted run was cut short, so it says nothing about the script.
            if self.is_interrupted() {
                return false;
            }
            let baseline = Baseline::default();
            let verdict = judge(&job, &output.observation, &baseline, &self.environment);
            let is_same = verdict.failed_as.as_ref() == Some(&self.bundle.manifest.fingerprint);
            failed = is_same.then_some(output);
            if is_same != each {
                break;
            }
        }
        // The run that decides ends the loop, so the last run says whether the script still fails.
        let still_fails = failed.is_some();
        self.smallest = failed.or_else(|| self.smallest.take());
        still_fails
    }

    /// Whether a signal has interrupted the runs.
    fn is_interrupted(&mut self) -> bool {
        let is_interrupted = *self.settings.interrupt.borrow();
        if is_interrupted {
            self.stopped = Some(Stop::Interrupted);
        }
        is_interrupted
    }

    /// The job of a script, executed in the same way as the failing run; `None` if the model gives the script no outcome.
    fn job(&self, script: &Script) -> Option<Job> {
        let case = &self.bundle.record.case;
        let own = parse(&case.scenario, &script.to_string()).ok()?;
        let job = |scenario: &Scenario| {
            let variant = case.variant.clone();
            Job::new(scenario, &case.path, case.choices, variant).ok()
        };
        let mut job = if case.unchecked {
            job(&own)?.with_unchecked(true)
        } else {
            let agrees = |job: &Job| {
                let mut traces = job.allowed.traces.iter();
                job.allowed.complete && traces.all(|it| disagreement(&job.scenario, it).is_none())
            };
            // The outcomes of the file may no longer be right without the removed lines.
            job(&own).filter(agrees).or_else(|| {
                let filled = explore::with_outcomes(script, case.choices)?;
                job(&parse(&case.scenario, &filled.to_string()).ok()?)
            })?
        };
        job.is_foreign = true;
        Some(job)
    }
}
