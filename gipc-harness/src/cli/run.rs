//! `run` and `judge`.

use super::attach;
use super::last_failed::LastFailed;
use super::next;
use super::repro::{named_bundle, run_bundle};
use super::run_args::Run;
use crate::bundle::Bundle;
use crate::error::Error;
use crate::record::Record;
use crate::report::console::Console;
use crate::report::{LastRuns, RunReporter, ScenarioReport, Tally, check_writable, terminal};
use crate::suite::Suite;
use crate::suite_run::SuiteRun;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How many seconds a run with a debugger may take.
const DEBUGGER_TIMEOUT: u64 = 7 * 24 * 3600;

pub(super) fn run(suite: &Suite, args: &Run, console: &mut Console) -> Result<u8, Error> {
    if let Some(folder) = named_bundle(args) {
        if args.has_tool() {
            return Err(Error::usage(format!(
                "error: a bundle runs several times, and a tool is attached to one run; name {}",
                Bundle::record_in(folder).display()
            )));
        }
        return run_bundle(suite, args, folder, console);
    }
    let (mut request, options) = (args.request(), args.report_options());
    let tool = attach::tool(args)?;
    request.tool.clone_from(&tool);
    if !args.debugger.is_empty() {
        // If a debugger holds a process, that is not the fault of the implementation.
        request.timeout = DEBUGGER_TIMEOUT;
    }
    let last_failed = match args.last_failed {
        true => Some(LastFailed::of(suite, &request)?),
        false => None,
    };
    if let Some(last_failed) = &last_failed {
        request.names = last_failed.names(suite, &request)?;
        request.skip.clear();
        if request.names.is_empty() {
            console.line(&last_failed.nothing());
            return Ok(0);
        }
    }
    let mut run = SuiteRun::prepare(suite, request)?;
    if let Some(last_failed) = &last_failed {
        last_failed.narrow(&mut run)?;
    }
    if let Some(tool) = &tool {
        attach::check(tool, &run)?;
    }
    let seconds = LastRuns::of(suite, run.adapter.as_deref()).seconds();
    run.start_longest_first(|job| {
        seconds.get(&suite.lasting_name_of(&job.scenario.id, &job.path)).copied()
    });
    for file in options.junit.iter().chain(&options.platform).chain(&options.html) {
        check_writable(file)?;
    }
    if let Some(folder) = &args.record {
        // The verdicts do not depend on it, so the run begins even if this fails.
        if let Err(error) = fs::create_dir_all(folder) {
            let folder = folder.display();
            console.complain(&format!(
                "no records can be written to {folder}: {error}; choose another folder with --record DIR"
            ));
        }
    }
    let mut reporter = RunReporter::new(&run, options, console, None);
    let end = run.execute(&mut |event| reporter.handle(event))?;
    let code = reporter.finish(end)?.exit_code();
    if let Some(tool) = &tool {
        attach::finish(tool, args, console);
    }
    match args.adapter() {
        _ if !args.is_for_people() => {}
        Some(adapter) if args.names().is_empty() => next::after_adapter(suite, adapter, console),
        None if code == 0 => next::after_pass(suite, args.names(), console),
        _ => {}
    }
    Ok(code)
}

pub(super) fn judge(suite: &Suite, files: &[PathBuf], console: &mut Console) -> Result<u8, Error> {
    let mut tally = Tally { planned: files.len(), ..Tally::default() };
    for file in files {
        let file = &Bundle::record_named(file).unwrap_or_else(|| file.clone());
        let record = Record::read(file)?;
        // An adapter that no longer exists here has no baseline.
        let adapter = suite.adapter(&record.case.adapter).ok();
        let (job, verdict) =
            record.judge(adapter.as_ref()).map_err(|reason| Record::refuse(file, &reason))?;
        tally.add(&job.scenario.id, &verdict);
        let report = ScenarioReport {
            flags: job.flags(),
            name: suite.name_of(&job.scenario.id, &job.path),
            path: job.path,
            scenario: job.scenario,
            adapter: record.case.adapter.clone(),
            asked: record.case.adapter,
            verdict,
            time: Duration::ZERO,
            record: Some(file.clone()),
        };
        match report.verdict.status {
            status if status.is_expected() => {
                console.line(&format!("{status}  {}", report.scenario.id));
            }
            _ => console.line(&terminal::failure(&report)),
        }
    }
    Ok(tally.exit_code())
}
