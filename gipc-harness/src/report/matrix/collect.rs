//! Fills a matrix by running the suite on many adapters. Also reads, merges and writes the files of a matrix.

use super::stored::{self, key};
use super::{Change, Column, Matrix, ScenarioInfo, markdown, pages};
use crate::adapter::AdapterError;
use crate::error::Error;
use crate::model::{self, Choices};
use crate::program;
use crate::report::console::Console;
use crate::report::{ReportOptions, RunReporter, check_writable};
use crate::suite::{ScenarioFile, Suite};
use crate::suite_run::{RunRequest, SuiteRun};
use crate::trace::{snapshot_class_text, snapshot_text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Runs the suite on each adapter. `adapters` are names or paths, with `NAME@*` for an adapter and all its variants. If none
/// is named, all adapters that are here are used, without their variants. `request` says what runs on each of them.
pub fn collect(
    suite: &Suite,
    adapters: &[String],
    request: &RunRequest,
    console: &mut Console,
) -> Result<Matrix, Error> {
    let files = suite.select(&[])?;
    suite.select_without(&request.names, &request.skip)?;
    let names = suite.adapters_named(adapters)?;
    let columns = names.iter().map(|name| new_column(suite, name));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let scenarios: BTreeMap<String, ScenarioInfo> =
        files.iter().map(described).collect::<Result<_, _>>()?;
    let mut matrix = Matrix::new(timestamp(), scenarios);
    for (name, mut column) in names.into_iter().zip(columns) {
        if let Some(reason) = &column.absent {
            console.complain(&format!("{name}: {reason}"));
            matrix.columns.push(column);
            continue;
        }
        let request = RunRequest { adapter: Some(name.clone()), ..request.clone() };
        let options = ReportOptions { shard: request.shard, ..ReportOptions::default() };
        let run = SuiteRun::prepare(suite, request)?;
        let target = Some((&mut column, &matrix.scenarios));
        let mut reporter = RunReporter::new(&run, options, console, target);
        let end = run.execute(&mut |event| reporter.handle(event))?;
        let tally = reporter.finish(end)?;
        let words: Vec<String> =
            tally.statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
        console.complain(&format!("{name}: {}", words.join(", ")));
        matrix.columns.push(column);
        if tally.interrupted {
            return Err(Error::unable("error: interrupted; no result is written"));
        }
    }
    Ok(matrix)
}

/// Reads `matrix.json`, given the file or its folder.
pub fn read(path: &Path) -> Result<Matrix, Error> {
    let file = if path.is_dir() { path.join("matrix.json") } else { path.to_owned() };
    let shown = file.display();
    let text = fs::read_to_string(&file)
        .map_err(|error| Error::usage(format!("error: cannot read {shown}: {error}")))?;
    let mut matrix = stored::parse(&text).map_err(|error| {
        Error::usage(format!(
            "error: {shown} is no matrix: {error}; `{}` writes one",
            program::command("matrix --output DIR")
        ))
    })?;
    let beside = file.with_file_name(EVIDENCE);
    if let Ok(text) = fs::read_to_string(&beside) {
        stored::add_evidence(&mut matrix, &text).map_err(|error| {
            Error::usage(format!("error: {} is no evidence: {error}", beside.display()))
        })?;
    }
    Ok(matrix)
}

/// Adds the text and the snapshot of each scenario that is unchanged in the suite, if the matrix was read without them.
pub fn add_texts(matrix: &mut Matrix, suite: &Suite) -> Result<(), Error> {
    for file in suite.select(&[])? {
        let Some(info) = matrix.scenarios.get_mut(&file.id) else { continue };
        if info.text.is_empty() && info.digest == key(&file.text) {
            *info = described(&file)?.1;
        }
    }
    Ok(())
}

/// Merges several matrices.
pub fn merge(first: &Path, others: &[PathBuf]) -> Result<Matrix, Error> {
    let mut matrix = read(first)?;
    for path in others {
        matrix.merge(read(path)?).map_err(|error| {
            Error::usage(format!("error: {} does not fit: {error}", path.display()))
        })?;
    }
    Ok(matrix)
}

/// The results, and a page about them in Markdown.
const RESULTS: [&str; 2] = ["matrix.json", "matrix.md"];
/// The texts that only the HTML pages show.
const EVIDENCE: &str = "evidence.json";
/// The folder of the HTML pages.
const PAGES: &str = "html";

/// Checks that a matrix can be written into a folder. Makes the folder.
pub fn check_folder(folder: &Path) -> Result<(), Error> {
    let pages = folder.join(PAGES);
    fs::create_dir_all(&pages).map_err(|error| Error::unwritable(&pages, &error))?;
    let files = RESULTS.iter().chain([&EVIDENCE]);
    files.into_iter().try_for_each(|name| check_writable(&folder.join(name)))?;
    check_writable(&index_page(folder))
}

/// The HTML page that links to all others.
#[must_use]
pub fn index_page(folder: &Path) -> PathBuf {
    folder.join(PAGES).join("index.html")
}

/// Writes the files of a matrix into a folder: `matrix.json` and `matrix.md`, which are small, `evidence.json`, and the HTML
/// pages.
pub fn write(folder: &Path, matrix: &Matrix, changes: Option<&[Change]>) -> Result<(), Error> {
    let texts = [stored::results(matrix), markdown(matrix, changes)];
    let results = RESULTS.map(|name| folder.join(name)).into_iter().zip(texts);
    let evidence = (folder.join(EVIDENCE), stored::evidence(matrix));
    let pages = pages(matrix, changes).into_iter();
    let pages = pages.map(|(name, text)| (folder.join(PAGES).join(name), text));
    for (file, text) in results.chain([evidence]).chain(pages) {
        fs::write(&file, text).map_err(|error| Error::unwritable(&file, &error))?;
    }
    Ok(())
}

/// What a scenario tests, and which traces the model allows.
fn described(file: &ScenarioFile) -> Result<(String, ScenarioInfo), Error> {
    let scenario = file.parse()?;
    let allowed = model::allowed(&scenario, Choices::default());
    let model = match allowed.traces.len() {
        2.. => snapshot_class_text(&scenario, &allowed.traces),
        _ => snapshot_text(&scenario, allowed.in_file_order()),
    };
    let info = ScenarioInfo {
        about: scenario.about(),
        text: file.text.clone(),
        covers: scenario.covers().into_iter().map(str::to_owned).collect(),
        heavy: scenario.heavy().is_some(),
        model,
        digest: key(&file.text),
    };
    Ok((file.id.clone(), info))
}

/// A column without results: what the adapter is and, if it cannot run here, why.
fn new_column(suite: &Suite, name: &str) -> Result<Column, Error> {
    let adapter = suite.load_adapter(name)?;
    let mut column = Column {
        adapter: adapter.manifest.name.clone(),
        about: adapter.manifest.about.clone(),
        sources: adapter.manifest.sources.clone(),
        here: root(suite),
        ..Column::default()
    };
    match adapter.ready() {
        Ok(()) => {}
        Err(AdapterError::Absent(reason)) => column.absent = Some(column.shown(&reason)),
        Err(error) => return Err(error.into()),
    }
    Ok(column)
}

/// The folder whose path no report should contain.
fn root(suite: &Suite) -> String {
    let adapters = suite.adapters.canonicalize().unwrap_or_default();
    adapters.parent().map(|root| format!("{}/", root.display())).unwrap_or_default()
}

/// The current time as RFC 3339, or the time that a reproducible build sets (`SOURCE_DATE_EPOCH`).
fn timestamp() -> String {
    let set = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let time = set.map_or_else(SystemTime::now, |seconds| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    });
    humantime::format_rfc3339_seconds(time).to_string()
}
