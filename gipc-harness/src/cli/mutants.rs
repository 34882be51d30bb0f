//! `mutants`: runs the suite on adapters with deliberate faults.

use super::args::Mutants;
use super::run_args::ReportFormat;
use crate::error::Error;
use crate::mutants::{FaultList, KillMatrix, MutantRequest};
use crate::mutants::{json_line, json_summary, row, run_faults, summary};
use crate::report::console::Console;
use crate::suite::Suite;
use std::collections::BTreeSet;

/// Runs the suite on each fault and prints the kill matrix. Returns the exit code: 1 if the scenario named for a fault
/// does not catch it, 3 if the run was interrupted.
pub(super) fn mutants(suite: &Suite, args: &Mutants, console: &mut Console) -> Result<u8, Error> {
    let adapters = adapters(suite, &args.families)?;
    let request = MutantRequest {
        faults: args.fault.clone(),
        shard: args.shard,
        heavy: args.heavy,
        named_only: args.named,
        resume: args.resume,
        folder: args.out.clone(),
        jobs: args.jobs.map(usize::from),
        timeout: args.timeout,
    };
    let is_json = args.format == ReportFormat::Json;
    let ids: BTreeSet<String> = suite
        .select(&[])?
        .into_iter()
        .filter(|file| !file.is_heavy())
        .map(|file| file.id)
        .collect();
    let (mut matrix, mut is_complete) = (KillMatrix::default(), true);
    for name in &adapters {
        if !is_json {
            console.line(name);
        }
        is_complete &= run_faults(suite, name, &request, &mut |fault, result| {
            match is_json {
                true => console.verbatim(&format!("{}\n", json_line(name, fault, &result))),
                false => console.verbatim(&row(fault, &result)),
            }
            matrix.rows.push((fault.clone(), result));
        })?;
        if !is_complete {
            break;
        }
    }
    // Only runs of the whole suite show which scenarios catch nothing.
    let is_whole = !args.named && args.fault.is_empty() && args.shard.is_none() && is_complete;
    let ids = if is_whole { ids } else { BTreeSet::new() };
    match is_json {
        true => console.verbatim(&format!("{}\n", json_summary(&matrix, &ids))),
        false => console.text(&summary(&matrix, &ids)),
    }
    Ok(match matrix.missed().count() {
        _ if !is_complete => 3,
        0 => 0,
        _ => 1,
    })
}

/// The adapters that are named, or all that have a list of faults.
fn adapters(suite: &Suite, named: &[String]) -> Result<Vec<String>, Error> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let has_faults = |name: &String| {
        suite.load_adapter(name).is_ok_and(|adapter| FaultList::is_in(&adapter.here))
    };
    let all: Vec<String> = suite.adapter_names().into_iter().filter(has_faults).collect();
    match all.is_empty() {
        true => Err(Error::usage(
            "error: no adapter here has a faults.toml; name a folder of adapters with --adapters",
        )),
        false => Ok(all),
    }
}
