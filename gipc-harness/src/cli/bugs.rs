//! `bugs`: runs reported bugs on the releases that have them and on those that do not.

use super::args::Bugs;
use super::run_args::ReportFormat;
use crate::bugs::{BugFile, BugResult, Seen, run_bug};
use crate::error::Error;
use crate::report::console::Console;
use crate::suite::Suite;
use serde_json::json;

/// Runs each bug and prints the table. Returns the exit code: 1 if a release does not behave as the file says, 3 if one
/// cannot run here and has no record.
pub(super) fn bugs(suite: &Suite, args: &Bugs, console: &mut Console) -> Result<u8, Error> {
    let is_wanted = |bug: &BugFile| {
        args.names.is_empty() || args.names.iter().any(|name| bug.id.starts_with(name.as_str()))
    };
    let bugs: Vec<BugFile> =
        BugFile::all(&args.folder)?.into_iter().filter(|bug| is_wanted(bug)).collect();
    if bugs.is_empty() {
        let folder = args.folder.display();
        return Err(Error::usage(format!("error: no bug in {folder} has such a name")));
    }
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
    match seen {
        Seen::Bug => format!("fails as recorded, {}", fingerprint(&bug.fails)),
        Seen::RecordedBug => format!("its record fails, {}", fingerprint(&bug.fails)),
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
