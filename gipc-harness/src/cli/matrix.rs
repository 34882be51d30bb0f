//! `matrix`: asks many adapters, or reads what was found earlier, and writes the report in all its forms.
//!
//! Does not know how a run is conducted, nor how the report looks.

use super::console::Console;
use super::suite_files::{ScenarioFile, Suite};
use super::{CommandError, Matrices, Run, own_program, run_suite};
use crate::adapter::{self, Adapter, AdapterError, MODEL};
use crate::model::{self, Choices};
use crate::report::matrix::{
    Change, Column, Direction, Matrix, ScenarioInfo, changes, markdown, page, table,
};
use crate::trace::{snapshot_class_text, snapshot_text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(super) fn matrix(
    suite: &Suite,
    asked: &Matrices,
    out: &mut Console,
) -> Result<u8, CommandError> {
    let before = asked.against.as_deref().map(read).transpose()?;
    fs::create_dir_all(&asked.output).map_err(|error| unwritable(&asked.output, &error))?;
    let matrix = match asked.from.split_first() {
        Some((first, others)) => merged(first, others)?,
        None => performed(suite, asked, out)?,
    };
    let changes = before.as_ref().map(|before| changes(before, &matrix));
    write(&asked.output, &matrix, changes.as_deref())?;
    out.text(&table(&matrix, changes.as_deref()));
    out.line(&format!("\n  {}", asked.output.join("index.html").display()));
    let worse = changes.is_some_and(|all| all.iter().any(|change| change.way == Direction::Worse));
    Ok(match matrix.exit_code() {
        _ if asked.whole && !matrix.partial().is_empty() => 3,
        0 => u8::from(worse),
        code => code,
    })
}

/// Reads `matrix.json`, or that of a folder.
fn read(path: &Path) -> Result<Matrix, CommandError> {
    let file = if path.is_dir() { path.join("matrix.json") } else { path.to_owned() };
    let shown = file.display();
    let text = fs::read_to_string(&file)
        .map_err(|error| CommandError::usage(format!("error: cannot read {shown}: {error}")))?;
    Matrix::parse(&text).map_err(|error| {
        CommandError::usage(format!(
            "error: {shown} is no matrix: {error}; `cargo harness matrix` writes one"
        ))
    })
}

fn merged(first: &Path, others: &[PathBuf]) -> Result<Matrix, CommandError> {
    let mut matrix = read(first)?;
    for path in others {
        matrix.merge(read(path)?).map_err(|error| {
            CommandError::usage(format!("error: {} does not fit: {error}", path.display()))
        })?;
    }
    Ok(matrix)
}

fn performed(suite: &Suite, asked: &Matrices, out: &mut Console) -> Result<Matrix, CommandError> {
    let scenarios = suite.select(&[])?;
    let scenarios: BTreeMap<String, ScenarioInfo> =
        scenarios.iter().map(described).collect::<Result<_, _>>()?;
    suite.select(&asked.what)?;
    let mut matrix = Matrix::new(made(), scenarios);
    for name in names(suite, &asked.adapter)? {
        let mut column = match begun(suite, &name)? {
            column if column.absent.is_some() => {
                out.complain(&format!("{name}: {}", column.absent.as_deref().unwrap_or_default()));
                matrix.columns.push(column);
                continue;
            }
            column => column,
        };
        let run = Run {
            what: asked.what.clone(),
            adapter: name.clone(),
            heavy: asked.heavy,
            jobs: asked.jobs,
            shard: asked.shard,
            slow_factor: asked.slow_factor,
            ..Run::parse_default()
        };
        let tally =
            run_suite::perform_run(suite, &run, out, Some((&mut column, &matrix.scenarios)))?;
        let words: Vec<String> =
            tally.words.iter().map(|(word, count)| format!("{count} {word}")).collect();
        out.complain(&format!("{name}: {}", words.join(", ")));
        matrix.columns.push(column);
        if tally.interrupted {
            break;
        }
    }
    Ok(matrix)
}

/// What a scenario asks, and what the model says comes of it.
fn described(source: &ScenarioFile) -> Result<(String, ScenarioInfo), CommandError> {
    let scenario = source.unchecked().map_err(CommandError::usage)?;
    let allowed = model::allowed(&scenario, Choices::default());
    let model = match allowed.traces.len() {
        2.. => snapshot_class_text(&scenario, &allowed.traces),
        _ => snapshot_text(&scenario, allowed.in_file_order()),
    };
    let asked = ScenarioInfo {
        about: scenario.about().to_owned(),
        text: source.text.clone(),
        covers: scenario.covers().into_iter().map(str::to_owned).collect(),
        heavy: scenario.heavy().is_some(),
        model,
    };
    Ok((source.id.clone(), asked))
}

/// The adapters that are meant, all that are here if none is named. `NAME@*` is that one with all its variants.
fn names(suite: &Suite, asked: &[String]) -> Result<Vec<String>, CommandError> {
    if asked.is_empty() {
        let all = adapter::names(&suite.adapters).into_iter();
        return Ok(all.filter(|name| name != MODEL).collect());
    }
    let mut names = Vec::new();
    for word in asked {
        let Some(name) = word.strip_suffix("@*") else {
            names.push(word.clone());
            continue;
        };
        let adapter = Adapter::load(name, &suite.adapters, &own_program()?)?;
        names.push(name.to_owned());
        names.extend(adapter.manifest.variant.iter().map(|one| format!("{name}@{}", one.name)));
    }
    Ok(names)
}

/// A column of which nothing is known yet but whether it can run here.
fn begun(suite: &Suite, name: &str) -> Result<Column, CommandError> {
    let adapter = Adapter::load(name, &suite.adapters, &own_program()?)?;
    let mut column = Column {
        adapter: adapter.manifest.name.clone(),
        about: adapter.manifest.about.clone(),
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

/// The folder that no report should name.
fn root(suite: &Suite) -> String {
    let adapters = suite.adapters.canonicalize().unwrap_or_default();
    adapters.parent().map(|root| format!("{}/", root.display())).unwrap_or_default()
}

/// Now, or what a build that is to be repeated says it is.
fn made() -> String {
    let set = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let time = set.map_or_else(SystemTime::now, |seconds| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    });
    humantime::format_rfc3339_seconds(time).to_string()
}

fn write(folder: &Path, matrix: &Matrix, changes: Option<&[Change]>) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(matrix)
        .map_err(|error| CommandError::unable(format!("error: {error}")))?;
    let files = [
        ("matrix.json", json + "\n"),
        ("matrix.md", markdown(matrix, changes)),
        ("index.html", page(matrix, changes)),
    ];
    for (name, text) in files {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| unwritable(&file, &error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::unable(format!("error: cannot write {}: {error}", path.display()))
}
