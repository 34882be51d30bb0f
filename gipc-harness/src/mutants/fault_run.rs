//! Runs the suite on an adapter once for each of its faults.

use super::fault_list::{Fault, FaultList};
use super::kill_matrix::{Catch, FaultResult};
use crate::adapter::Adapter;
use crate::error::Error;
use crate::suite::{Suite, own_program};
use crate::suite_run::{RunEvent, RunRequest, SuiteRun};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The variable that chooses a fault.
const VARIABLE: &str = "GIPC_FAULT";

/// The request for a run on faults.
#[derive(Clone, Debug)]
pub struct MutantRequest {
    /// Only these faults; all if none is named.
    pub faults: Vec<String>,
    /// Run only one part of the faults: the number of the part, from 1, and the number of parts.
    pub shard: Option<(usize, usize)>,
    /// Also run the faults whose scenario is heavy. A fault in `faults` always runs.
    pub heavy: bool,
    /// Run only the scenario that is named for each fault.
    pub named_only: bool,
    /// Reuse results in `folder` that are newer than the programs and the list.
    pub resume: bool,
    /// The folder for the results.
    pub folder: PathBuf,
    /// How many scenarios run at once; two for each processor if not given.
    pub jobs: Option<usize>,
    /// How many seconds to wait where no evidence of a stall can be found.
    pub timeout: u64,
}

/// Runs the suite on the faults of the adapter `name`. `on_result` gets each result when it is complete. Returns `false` if
/// a signal ended the run early.
///
/// Fails if the adapter or its list cannot be used, or if a scenario fails although no fault is chosen: then the results
/// would be meaningless.
pub fn run_faults(
    suite: &Suite,
    name: &str,
    request: &MutantRequest,
    on_result: &mut dyn FnMut(&Fault, FaultResult),
) -> Result<bool, Error> {
    let list = FaultList::read(&suite.load_adapter(name)?.here)?;
    let adapter = suite.adapter(&format!("{name}@{}", list.variant))?;
    if let Some(unknown) =
        request.faults.iter().find(|name| list.faults.iter().all(|fault| fault.name != **name))
    {
        let path = list.path.display();
        return Err(Error::usage(format!("error: {path}: there is no fault {unknown}")));
    }
    let is_wanted = |fault: &&Fault| match request.faults.is_empty() {
        true => request.heavy || !fault.heavy,
        false => request.faults.contains(&fault.name),
    };
    let mut chosen: Vec<&Fault> = list.faults.iter().filter(is_wanted).collect();
    if let Some((part, parts)) = request.shard {
        chosen = chosen.into_iter().skip(part - 1).step_by(parts).collect();
    }
    let session = Session { suite, adapter, request, newest: newest_input(&list)? };
    let mut is_baseline_checked = false;
    for fault in chosen.iter().copied() {
        let kept = session.folder().join(format!("{}.json", fault.name));
        if let Some(result) = session.kept_result(fault, &kept) {
            on_result(fault, result);
            continue;
        }
        if !is_baseline_checked {
            session.check_baseline(&chosen)?;
            is_baseline_checked = true;
        }
        let Some(result) = session.run(Some(fault), &session.names_for(fault))? else {
            return Ok(false);
        };
        let text = serde_json::to_string(&result).unwrap_or_default();
        fs::create_dir_all(session.folder())
            .and_then(|()| fs::write(&kept, text))
            .map_err(|error| Error::unwritable(&kept, &error))?;
        on_result(fault, result);
    }
    Ok(true)
}

struct Session<'a> {
    suite: &'a Suite,
    adapter: Adapter,
    request: &'a MutantRequest,
    /// When the newest of the files that results depend on was written.
    newest: Option<SystemTime>,
}

impl Session<'_> {
    fn folder(&self) -> PathBuf {
        let kind = if self.request.named_only { "named" } else { "whole" };
        self.request.folder.join(&self.adapter.manifest.name).join(kind)
    }

    /// The scenarios that run on a fault; the whole suite if the list is empty.
    fn names_for(&self, fault: &Fault) -> Vec<String> {
        match self.request.named_only || fault.heavy {
            true => vec![fault.scenario.clone()],
            false => Vec::new(),
        }
    }

    /// A result of an earlier run that still counts.
    fn kept_result(&self, fault: &Fault, file: &Path) -> Option<FaultResult> {
        let agent = self.adapter.command.iter().filter_map(|word| modified(Path::new(word)));
        let newest = agent.chain(self.newest).max()?;
        if !self.request.resume || modified(file)? <= newest {
            return None;
        }
        let result: FaultResult = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        (result.fault == fault.name && result.named == fault.scenario).then_some(result)
    }

    /// Runs the scenarios for these faults without any fault. Leaves out heavy ones.
    fn check_baseline(&self, faults: &[&Fault]) -> Result<(), Error> {
        let light = faults.iter().filter(|fault| !fault.heavy);
        let names: BTreeSet<&String> = light.map(|fault| &fault.scenario).collect();
        let names = match self.request.named_only {
            true if names.is_empty() => return Ok(()),
            true => names.into_iter().cloned().collect(),
            false => Vec::new(),
        };
        let Some(result) = self.run(None, &names)? else { return Ok(()) };
        match result.caught_by.first() {
            None => Ok(()),
            Some(first) => Err(Error::unable(format!(
                "error: {} of {} is not as expected without any fault, so no fault can be judged",
                first.scenario, self.adapter.asked
            ))),
        }
    }

    /// Runs scenarios on a fault, or without one; `None` if a signal ended the run.
    fn run(&self, fault: Option<&Fault>, names: &[String]) -> Result<Option<FaultResult>, Error> {
        let began = Instant::now();
        let mut adapter = self.adapter.clone();
        if let Some(fault) = fault {
            adapter.manifest.env.insert(VARIABLE.to_owned(), fault.name.clone());
        }
        let mut suite = self.suite.clone();
        let request = RunRequest {
            names: names.to_vec(),
            adapter: Some(adapter.manifest.name.clone()),
            jobs: self.request.jobs,
            timeout: self.request.timeout,
            // If only the named scenario runs, it runs until it catches the fault.
            repeat: fault.filter(|_| names.len() == 1).map_or(1, |fault| fault.runs),
            until_failure: fault.is_some() && names.len() == 1,
            ..RunRequest::default()
        };
        suite.own_adapter = Some(adapter);
        let run = SuiteRun::prepare(&suite, request)?;
        let mut result = FaultResult::new(fault);
        let end = run.execute(&mut |event| match event {
            RunEvent::Finished(finished) => {
                result.ran += 1;
                let catch = Catch::of(&finished.job.scenario.id, &finished.verdict);
                let is_expected = catch.is_none();
                result.caught_by.extend(catch);
                is_expected
            }
            RunEvent::Started(..) | RunEvent::Silent(..) | RunEvent::Interrupted(..) => true,
        })?;
        result.caught_by.sort_by(|a, b| a.scenario.cmp(&b.scenario));
        result.caught_by.dedup_by(|a, b| a.scenario == b.scenario);
        result.seconds = began.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        Ok((!end.interrupted).then_some(result))
    }
}

/// When the list or this program was last written, whichever is later.
fn newest_input(list: &FaultList) -> Result<Option<SystemTime>, Error> {
    Ok([modified(&list.path), modified(&own_program()?)].into_iter().flatten().max())
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
