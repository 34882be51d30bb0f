//! `run --last-failed`: runs what was not as expected when it last ran.

use crate::adapter::MODEL;
use crate::error::Error;
use crate::program;
use crate::report::LastRuns;
use crate::suite::Suite;
use crate::suite_run::{RunRequest, SuiteRun};
use std::collections::BTreeSet;
use std::path::Path;

/// How many commands an error lists.
const MAX_LISTED: usize = 5;

/// The scenarios that were not as expected in their last run on one adapter.
pub(super) struct LastFailed {
    asked: String,
    last_runs: LastRuns,
}

impl LastFailed {
    /// What failed on the adapter of a request. Fails if no run on it is remembered, since then no failures are known.
    pub(super) fn of(suite: &Suite, request: &RunRequest) -> Result<Self, Error> {
        let asked = request.adapter_in(suite)?;
        let adapter = (asked != MODEL).then(|| suite.adapter(&asked)).transpose()?;
        let last_runs = LastRuns::of(suite, adapter.as_ref());
        if last_runs.is_empty() {
            let place = match last_runs.file() {
                Some(file) => format!("{} does not exist or cannot be read", file.display()),
                None => "there is no cache folder; name one with GIPC_HARNESS_CACHE".to_owned(),
            };
            return Err(Error::usage(format!(
                "error: no run on {asked} is remembered: {place}\n  run it once without --last-failed"
            )));
        }
        Ok(Self { asked, last_runs })
    }

    /// The scenarios that failed, among those that a request selects. Scenarios that no longer exist are left out.
    pub(super) fn names(&self, suite: &Suite, request: &RunRequest) -> Result<Vec<String>, Error> {
        let failed = self.last_runs.failed().map(|(name, _)| name.to_owned());
        let failed = failed.filter(|name| suite.select(std::slice::from_ref(name)).is_ok());
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() || (request.names.is_empty() && request.skip.is_empty()) {
            return Ok(failed);
        }
        // Without names, files outside the suite that failed are selected too.
        let among = if request.names.is_empty() { &failed } else { &request.names };
        let selected = suite.select_without(among, &request.skip)?;
        let lasting = selected.iter().map(|file| suite.lasting_name_of(&file.id, &file.path));
        let selected: BTreeSet<String> = lasting.collect();
        Ok(failed.into_iter().filter(|name| selected.contains(name)).collect())
    }

    /// The message for the case that nothing failed.
    pub(super) fn nothing(&self) -> String {
        format!("none of these scenarios failed when it last ran on {}", self.asked)
    }

    /// Keeps only the jobs of a run that failed in the same way. If there are only failures in other ways, the error lists
    /// the commands for them.
    pub(super) fn narrow(&self, run: &mut SuiteRun) -> Result<(), Error> {
        let suite = run.suite.clone();
        let flags_of = |name: &str| {
            self.last_runs.failed().find(|(failed, _)| *failed == name).map(|(_, flags)| flags)
        };
        let mut others = BTreeSet::new();
        run.retain(|job| {
            let name = suite.lasting_name_of(&job.scenario.id, &job.path);
            let Some(flags) = flags_of(&name) else { return false };
            let is_failed = flags.contains(&job.flags());
            let typed = program::path(Path::new(&name));
            others.extend(flags.iter().map(|flags| format!("{typed} {flags}")));
            is_failed
        });
        if run.jobs().is_empty() {
            let mut lines = vec!["error: what failed last failed in other ways:".to_owned()];
            let command = |words: &String| {
                let words = format!("run {} --adapter {}", words.trim_end(), self.asked);
                format!("  again    {}", program::command(&words))
            };
            lines.extend(others.iter().take(MAX_LISTED).map(command));
            if others.len() > MAX_LISTED {
                lines.push(format!("  and {} more", others.len() - MAX_LISTED));
            }
            return Err(Error::usage(lines.join("\n")));
        }
        Ok(())
    }
}
