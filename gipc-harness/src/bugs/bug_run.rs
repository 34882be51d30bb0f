//! Runs the scenario of a reported bug on a release that has the bug and on one that does not.

use super::bug_file::BugFile;
use crate::adapter::{Adapter, AdapterError};
use crate::environment::Environment;
use crate::error::Error;
use crate::record::Record;
use crate::suite::Suite;
use crate::suite_run::{FinishedRun, RunEvent, RunRequest, SuiteRun};
use crate::verdict::Status;
use std::fs;

/// What an implementation did with the scenario of a bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It failed as the file says.
    Bug,
    /// The record of an earlier run fails as the file says; the implementation cannot run here.
    RecordedBug,
    /// It passed each time.
    Pass,
    /// It failed in another way: step, outcome and verdict.
    Other([String; 3]),
    /// It cannot run here, and there is no record.
    Absent(String),
}

/// What was observed of a bug.
#[derive(Clone, Debug)]
pub struct BugResult {
    /// What happened on the release that has the bug.
    pub broken: Seen,
    /// What happened on the release that does not have it.
    pub passes: Seen,
}

impl BugResult {
    /// Whether the first release failed as it should and the second one passed or cannot run here.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        matches!(self.broken, Seen::Bug | Seen::RecordedBug)
            && matches!(self.passes, Seen::Pass | Seen::Absent(_))
    }
}

/// Runs a bug on both releases. With `keep`, the record of the failure is written beside the scenario.
pub fn run_bug(suite: &Suite, bug: &BugFile, keep: bool) -> Result<BugResult, Error> {
    let broken = run_on(suite, bug, &bug.broken, bug.times, keep)?;
    let broken = match broken {
        Seen::Absent(_) if bug.record().is_file() => judge_record(bug)?,
        seen => seen,
    };
    Ok(BugResult { broken, passes: run_on(suite, bug, &bug.passes, 1, false)? })
}

/// Judges the record of a bug again, without a baseline.
fn judge_record(bug: &BugFile) -> Result<Seen, Error> {
    let file = bug.record();
    let (_, verdict) =
        Record::read(&file)?.judge(None).map_err(|reason| Record::refuse(&file, &reason))?;
    let other = || [String::new(), String::new(), verdict.status.to_string()];
    let seen = verdict.failed_as.clone().unwrap_or_else(other);
    Ok(if bug.is_failure(&seen) { Seen::RecordedBug } else { Seen::Other(seen) })
}

/// Runs the scenario on an adapter, at most `times` times, until it fails.
fn run_on(suite: &Suite, bug: &BugFile, name: &str, times: u32, keep: bool) -> Result<Seen, Error> {
    let adapter = suite.load_adapter(name)?;
    if let Err(AdapterError::Absent(reason)) = adapter.ready() {
        return Ok(Seen::Absent(reason));
    }
    for _ in 0..times {
        let Some((run, record)) = run_once(suite, bug, &adapter)? else {
            return Err(Error::unable("error: interrupted"));
        };
        match run.verdict.status {
            Status::Pass => {}
            status => {
                let other = [String::new(), String::new(), status.to_string()];
                let seen = run.verdict.failed_as.clone().unwrap_or(other);
                if !bug.is_failure(&seen) {
                    return Ok(Seen::Other(seen));
                }
                if keep {
                    let file = bug.record();
                    fs::write(&file, record.to_lines())
                        .map_err(|error| Error::unwritable(&file, &error))?;
                }
                return Ok(Seen::Bug);
            }
        }
    }
    Ok(Seen::Pass)
}

/// One run, with its record; `None` if a signal ended it.
fn run_once(
    suite: &Suite,
    bug: &BugFile,
    adapter: &Adapter,
) -> Result<Option<(Box<FinishedRun>, Record)>, Error> {
    let request = RunRequest {
        names: vec![bug.path.to_string_lossy().into_owned()],
        adapter: Some(adapter.asked.clone()),
        timeout: 10,
        ..RunRequest::default()
    };
    let run = SuiteRun::prepare(suite, request)?;
    let mut found = None;
    run.execute(&mut |event| {
        if let RunEvent::Finished(finished) = event {
            found = Some(finished);
        }
        true
    })?;
    Ok(found.map(|run| {
        // What was found about this system does not matter, since the record may be judged on another machine.
        let environment = Environment::default();
        let record = Record::new(&run.job, &run.output, &adapter.asked, None, &environment);
        (run, record)
    }))
}
