//! Runs scenarios from a program: a builder for the request.

use crate::adapter::Adapter;
use crate::error::Error;
use crate::process_role::is_initialized;
use crate::report::Report;
use crate::suite::Suite;
use crate::suite_run::{RunEvent, RunRequest, SuiteRun};
use crate::variant::VariantRequest;
use std::path::PathBuf;

/// A run of scenarios on one implementation.
///
/// By default it runs the built-in suite on the embedded implementation, gipc-core.
///
/// ```no_run
/// use gipc_harness::Harness;
///
/// fn main() -> Result<(), gipc_harness::Error> {
///     gipc_harness::init();
///     let report = Harness::new()?.adapter("adapters/mine")?.scenarios(["close/"])?.run()?;
///     report.assert_expected();
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Harness {
    suite: Suite,
    request: RunRequest,
}

impl Harness {
    /// Creates a run. Looks for `gipc-harness.toml` in the current folder and above it, as the command does.
    ///
    /// Fails if `main` of this program did not call `init`, which is needed because the harness starts the program again for
    /// its own processes, or if `gipc-harness.toml` cannot be read.
    pub fn new() -> Result<Self, Error> {
        if !is_initialized() {
            return Err(Error::usage(
                "error: this program did not call gipc_harness::init()\n  \
                 call it first in main; a test needs `harness = false` in Cargo.toml, and gipc_harness::conformance! does the rest",
            ));
        }
        Ok(Self { suite: Suite::find(None, None)?, request: RunRequest::default() })
    }

    /// Selects an adapter by its name or folder, followed by `@VARIANT` for a variant of it.
    ///
    /// Fails if there is no such adapter, its manifest is invalid, or something that it needs is missing on this machine.
    pub fn adapter(mut self, name: &str) -> Result<Self, Error> {
        self.suite.adapter(name)?;
        self.request.adapter = Some(name.to_owned());
        Ok(self)
    }

    /// Selects the agent that this program gave to `init_with_agent`. `name` is shown in reports. The agent may answer
    /// `unsupported` to every command that it does not implement: such scenarios are skipped.
    ///
    /// Fails if the program has no agent.
    pub fn agent(mut self, name: &str) -> Result<Self, Error> {
        self.suite.own_adapter = Some(Adapter::of_this_program(name)?);
        self.request.adapter = Some(name.to_owned());
        Ok(self)
    }

    /// Takes the scenarios of a folder instead of the built-in ones.
    #[must_use]
    pub fn suite(mut self, folder: impl Into<PathBuf>) -> Self {
        self.suite.scenarios = Some(folder.into());
        self
    }

    /// Selects scenarios: ids (`close/twice`), themes (`close/`), patterns (`*/eof-*`), requirements (`EOF-6`),
    /// `profile:NAME`, or paths of files and folders. All scenarios run if none is selected. May be called several times.
    ///
    /// Fails if a name selects nothing.
    pub fn scenarios<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if !names.is_empty() {
            self.suite.select(&names)?;
        }
        self.request.names.extend(names);
        Ok(self)
    }

    /// Sets how many scenarios run at once. The default is two for each processor.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.request.jobs = Some(jobs.max(1));
        self
    }

    /// Sets how many times each scenario runs.
    #[must_use]
    pub fn repeat(mut self, times: u32) -> Self {
        self.request.repeat = times.max(1);
        self
    }

    /// Runs variants of each scenario, such as one with a killed child at each step.
    #[must_use]
    pub fn variant(mut self, variant: VariantRequest) -> Self {
        self.request.variant = variant;
        self
    }

    /// Sets the capacity of each pipe in bytes, where the system allows it.
    #[must_use]
    pub fn capacity(mut self, bytes: u32) -> Self {
        self.request.capacity = Some(bytes);
        self
    }

    /// Runs heavy scenarios too, which take minutes or many processes.
    #[must_use]
    pub fn heavy(mut self, heavy: bool) -> Self {
        self.request.heavy = heavy;
        self
    }

    /// Changes the whole request, for settings that have no method here.
    #[must_use]
    pub fn request(mut self, change: impl FnOnce(&mut RunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Runs everything that was selected and judges it. Blocks until the last process has ended.
    ///
    /// A failed scenario is not an error; the report shows it. Fails if nothing could be run, because a scenario is invalid
    /// or the system refuses.
    pub fn run(self) -> Result<Report, Error> {
        let run = SuiteRun::prepare(&self.suite, self.request)?;
        let mut report = Report::of(&run);
        let end = run.execute(&mut |event| match event {
            RunEvent::Finished(finished) => report.add(*finished),
            RunEvent::Started(..) | RunEvent::Silent(..) | RunEvent::Interrupted(..) => true,
        })?;
        report.end(end);
        Ok(report)
    }
}
