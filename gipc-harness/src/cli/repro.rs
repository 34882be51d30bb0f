//! `repro`, which packs a failing run, and `run BUNDLE`, which runs it again and says what the results mean.

use super::record_args::{Repro, ReproFormat};
use super::run_args::Run;
use crate::bundle::redact::Redaction;
use crate::bundle::reproduction::{Conclusion, Runs, conclusion, report};
use crate::bundle::{Bundle, issue};
use crate::error::Error;
use crate::program;
use crate::record::Record;
use crate::report::ReportOptions;
use crate::report::console::Console;
use crate::suite::Suite;
use crate::suite_run::{RunEvent, RunRequest, SuiteRun};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How many times a bundle runs in each condition, if no number is given.
const TIMES: u32 = 10;

pub(super) fn repro(suite: &Suite, args: &Repro, console: &mut Console) -> Result<u8, Error> {
    let (adapter, records) = (args.adapter.as_deref(), args.record.as_deref());
    let bundle = bundle(suite, &args.name, adapter, records, args.private)?;
    match args.format {
        ReproFormat::Issue => console.verbatim(&issue::issue(&bundle)),
        ReproFormat::Folder => {
            let folder = args.output.clone().unwrap_or_else(|| default_folder(&bundle));
            let files = bundle.write(&folder)?;
            let shown = folder.display();
            console.line(&format!("{shown}\n  {}", files.join("  ")));
            console.line("");
            console.line(&format!("  again    {}", program::command(&format!("run {shown}"))));
            let shrink = program::command(&format!("shrink {shown}"));
            console.line(&format!("  smaller  {shrink}"));
            let issue = program::command(&format!("repro {shown} --format issue"));
            console.line(&format!("  issue    {issue}"));
        }
    }
    Ok(0)
}

/// The bundle that a name stands for: a bundle, a record, or a scenario whose last run failed.
pub(super) fn bundle(
    suite: &Suite,
    name: &str,
    adapter: Option<&str>,
    records: Option<&Path>,
    private: bool,
) -> Result<Bundle, Error> {
    let named = Path::new(name);
    if Bundle::is_one(named) {
        return Bundle::read(named);
    }
    let file = if Record::is_one(named) {
        named.to_owned()
    } else {
        last_record(suite, name, adapter, records)?
    };
    Bundle::new(&file, packed(suite, Record::read(&file)?, private)?, !private)
}

/// The record as it is packed: without what is private to this machine, unless that is to be kept, and with the name of its
/// adapter that another machine can find.
pub(super) fn packed(suite: &Suite, record: Record, private: bool) -> Result<Record, Error> {
    let asked = record.case.adapter.clone();
    let mut record = if private { record } else { redacted(&record)? };
    let is_removed = record.case.adapter != asked;
    // An adapter in a folder of its own is known by its name, which `--adapters` finds. As long as the path is in the record,
    // the name replaces it only if it is found here.
    let name = suite.adapter(&asked).map(|adapter| adapter.manifest.name).ok();
    if let Some(name) = name.filter(|name| is_removed || suite.adapter(name).is_ok()) {
        record.case.adapter = name;
    }
    Ok(record)
}

/// The record without paths and the values of environment variables.
fn redacted(record: &Record) -> Result<Record, Error> {
    Redaction::new(variables()).record(record)
}

/// The environment variables whose values are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The record that the last failing run of a scenario left.
fn last_record(
    suite: &Suite,
    scenario: &str,
    adapter: Option<&str>,
    records: Option<&Path>,
) -> Result<PathBuf, Error> {
    let request = RunRequest { adapter: adapter.map(str::to_owned), ..RunRequest::default() };
    let asked = request.adapter_in(suite)?;
    let name = suite.adapter(&asked)?.manifest.name;
    let records = records.map_or(ReportOptions::default().records, Path::to_owned);
    // A scenario may be named by its file, as for `run`.
    let id = match suite.select(&[scenario.to_owned()]).as_deref() {
        Ok([file]) => file.id.clone(),
        _ => scenario.to_owned(),
    };
    let file = records.join(&name).join(&id).join("record.jsonl");
    if file.is_file() {
        return Ok(file);
    }
    let run = program::command(&format!("run {scenario} --adapter {asked}"));
    let mut message = format!(
        "error: no failing run of {scenario} on {name} is recorded in {}; run it first, or name a record.jsonl\n  run      {run}",
        records.display(),
    );
    let others = adapters_with_record(&records, &id);
    if !others.is_empty() {
        let _ = write!(message, "\n  adapter  a run is recorded of {}", others.join(", "));
    }
    Err(Error::usage(message))
}

/// The adapters on which a run of the scenario is recorded, in the order of their names.
fn adapters_with_record(records: &Path, scenario: &str) -> Vec<String> {
    let folders = fs::read_dir(records).into_iter().flatten().flatten();
    let recorded =
        folders.filter(|folder| folder.path().join(scenario).join("record.jsonl").is_file());
    let mut names: Vec<String> =
        recorded.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(super) fn default_folder(bundle: &Bundle) -> PathBuf {
    let name =
        format!("{}-{}", bundle.manifest.adapter, bundle.manifest.scenario.replace('/', "-"));
    Path::new("target/gipc-harness/repro").join(name)
}

/// The folder of the bundle to run, if one is named.
pub(super) fn named_bundle(args: &Run) -> Option<&Path> {
    let folders = args.names().iter().map(Path::new);
    folders.into_iter().find(|folder| Bundle::is_one(folder))
}

/// Runs a bundle again, alone and if necessary under load, and says what the runs mean.
pub(super) fn run_bundle(
    suite: &Suite,
    args: &Run,
    folder: &Path,
    console: &mut Console,
) -> Result<u8, Error> {
    if args.names().len() > 1 {
        return Err(Error::usage("error: a bundle is run alone; leave out the other names"));
    }
    let bundle = Bundle::read(folder)?;
    let request = RunRequest {
        names: vec![Bundle::record_in(folder).display().to_string()],
        jobs: Some(1),
        repeat: args.repeat_or(TIMES),
        capacity: bundle.manifest.capacity,
        ..args.request()
    };
    let mut interrupted = false;
    let alone = match runs(suite, &request, &bundle, &mut interrupted) {
        // If an adapter cannot run here, say so before anything is started.
        Err(Error::Unable(reason)) => {
            let found = Conclusion::Environment;
            console.line(&format!("{found}  {}\n\n  {reason}", found.meaning()));
            return Ok(found.exit_code());
        }
        runs => runs?,
    };
    let loaded = match conclusion(&alone, None) {
        Conclusion::Gone | Conclusion::Sometimes if !interrupted => {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            let load = u16::try_from(2 * processors).unwrap_or(u16::MAX).max(request.load);
            Some(runs(suite, &RunRequest { load, ..request }, &bundle, &mut interrupted)?)
        }
        _ => None,
    };
    if interrupted {
        let all = alone.all + loaded.as_ref().map_or(0, |runs| runs.all);
        return Err(Error::unable(format!(
            "error: interrupted after {all} runs, too few for a conclusion; run the bundle again"
        )));
    }
    let found = conclusion(&alone, loaded.as_ref());
    let [step, outcome, status] = &bundle.manifest.fingerprint;
    console.line(&format!("{} on {}", bundle.manifest.scenario, bundle.manifest.adapter));
    console.line(&format!("  {status}: {step} gave {outcome}\n"));
    console.text(&report(found, &alone, loaded.as_ref()));
    Ok(found.exit_code())
}

/// Runs a bundle. Sets `interrupted` if a signal ended that early.
fn runs(
    suite: &Suite,
    request: &RunRequest,
    bundle: &Bundle,
    interrupted: &mut bool,
) -> Result<Runs, Error> {
    let run = SuiteRun::prepare(suite, request.clone())?;
    let mut runs = Runs::default();
    let end = run.execute(&mut |event| {
        if let RunEvent::Finished(run) = event {
            runs.add(&run.verdict, &bundle.manifest.fingerprint);
        }
        true
    })?;
    *interrupted |= end.interrupted;
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::adapters_with_record;
    use std::fs;

    #[test]
    fn the_adapters_on_which_a_scenario_is_recorded_are_named() {
        let records = tempfile::tempdir().expect("a folder");
        for file in [
            "go/close/twice/record.jsonl",
            "asyncio/close/twice/record.jsonl",
            "node/close/twice/other",
        ] {
            let file = records.path().join(file);
            fs::create_dir_all(file.parent().expect("a parent")).expect("made");
            fs::write(file, "").expect("written");
        }
        assert_eq!(adapters_with_record(records.path(), "close/twice"), ["asyncio", "go"]);
        assert!(adapters_with_record(records.path(), "close/other").is_empty());
        assert!(adapters_with_record(&records.path().join("missing"), "close/twice").is_empty());
    }
}
