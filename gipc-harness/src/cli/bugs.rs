//! `bugs`: runs reported bugs on the releases that have them and on those that do not.

use super::args::Bugs;
use super::run_args::ReportFormat;
use crate::bugs::{BugFile, BugResult, Seen, run_bug};
use crate::error::Error;
use crate::report::console::Console;
use crate::similar::closest;
use crate::suite::Suite;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs each bug and prints the table. Returns the exit code: 1 if a release does not behave as the file says, 3 if one
/// cannot run here and has no record.
pub(super) fn bugs(suite: &Suite, args: &Bugs, console: &mut Console) -> Result<u8, Error> {
    let bugs = selected(&args.folder, &args.names)?;
    let (mut shown, mut wrong, mut absent) = (0, 0, 0);
    for bug in &bugs {
        let result = run_bug(suite, bug, args.record)?;
        match result.broken {
            Seen::Absent(_) => absent += 1,
            _ if result.is_as_expected() => shown += 1,
            _ => wrong += 1,
        }
        match args.format {
            ReportFormat::Json => console.verbatim(&format!("{}\n", json_line(bug, &result))),
            _ => console.verbatim(&row(bug, &result)),
        }
    }
    if args.format != ReportFormat::Json {
        console.line(&format!(
            "\n  {shown} of {} bugs fail as recorded and pass where they are fixed; {wrong} do not, {absent} cannot run here",
            bugs.len()
        ));
    }
    Ok(match (wrong, absent) {
        (0, 0) => 0,
        (0, _) => 3,
        _ => 1,
    })
}

/// The bugs in a folder that a name begins; all bugs if nothing is named.
fn selected(folder: &Path, names: &[String]) -> Result<Vec<BugFile>, Error> {
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Error::usage(format!(
            "error: there is no folder {shown} with reported bugs here; it is part of the repository of gipc-harness: \
             run this in a clone, or name the folder with --folder DIR"
        )));
    }
    let mut bugs = BugFile::all(folder)?;
    if bugs.is_empty() {
        return Err(Error::usage(format!("error: no folder in {shown} has a scenario of a bug")));
    }
    if let Some(name) = names.iter().find(|name| !bugs.iter().any(|bug| is_of(bug, name))) {
        return Err(unknown(&shown.to_string(), name, &bugs));
    }
    bugs.retain(|bug| names.is_empty() || names.iter().any(|name| is_of(bug, name)));
    Ok(bugs)
}

fn is_of(bug: &BugFile, name: &str) -> bool {
    bug.id.starts_with(name)
}

/// The error for a name that is not a project and not a bug: what may be meant, and what there is.
fn unknown(folder: &str, name: &str, bugs: &[BugFile]) -> Error {
    let of_projects: BTreeMap<&str, Vec<&str>> = bugs
        .iter()
        .filter_map(|bug| bug.id.split_once('/'))
        .fold(BTreeMap::new(), |mut projects, (project, bug)| {
            projects.entry(project).or_default().push(bug);
            projects
        });
    let project = name.split('/').next().unwrap_or_default();
    let ids = bugs.iter().map(|bug| bug.id.as_str()).chain(of_projects.keys().copied());
    let meant = closest(name, ids).map_or(String::new(), |meant| format!("is it {meant}? "));
    let existing = match of_projects.get(project) {
        Some(bugs) => format!("{project} has {}", bugs.join(", ")),
        None => {
            let projects: Vec<&str> = of_projects.keys().copied().collect();
            format!("the projects are {}", projects.join(", "))
        }
    };
    Error::usage(format!("error: no bug in {folder} is called {name}; {meant}{existing}"))
}

fn row(bug: &BugFile, result: &BugResult) -> String {
    let ours = if bug.is_ours { "; found by this suite" } else { "" };
    format!(
        "  {:<44} {} ({}{ours})\n      {:<28} {}\n      {:<28} {}\n",
        bug.id,
        bug.bug,
        bug.versions,
        bug.broken,
        words(&result.broken, bug),
        bug.passes,
        words(&result.passes, bug)
    )
}

fn words(seen: &Seen, bug: &BugFile) -> String {
    let fingerprint = |[step, outcome, verdict]: &[String; 3]| match step.as_str() {
        "" => verdict.clone(),
        _ => format!("{verdict}: {step} got {outcome}"),
    };
    let recorded = || bug.fails.iter().map(fingerprint).collect::<Vec<_>>().join(", or ");
    match seen {
        Seen::Bug => format!("fails as recorded, {}", recorded()),
        Seen::RecordedBug => format!("its record fails, {}", recorded()),
        Seen::Pass => "passes".to_owned(),
        Seen::Other(seen) => format!("OTHERWISE: {}", fingerprint(seen)),
        Seen::Absent(reason) => format!("not here: {reason}"),
    }
}

fn json_line(bug: &BugFile, result: &BugResult) -> serde_json::Value {
    json!({
        "bug": bug.id, "report": bug.bug, "versions": bug.versions, "cause": bug.cause,
        "found_by_this_suite": bug.is_ours, "broken": bug.broken, "passes": bug.passes,
        "as_expected": result.is_as_expected(),
        "on_broken": words(&result.broken, bug), "on_passes": words(&result.passes, bug),
    })
}
