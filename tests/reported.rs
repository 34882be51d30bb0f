//! Scenarios from public bug reports, from errors that the suite once missed, and from false alarms of the harness itself:
//! what `check` says of each file, and the verdict of a run with gipc-core. `tests/reported` has the files and the screens.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The files whose outcomes in the file are a race, so that their runs differ.
const RACES: [&str; 3] =
    ["limit-inside-a-large-message", "sigint-to-a-child", "signal-to-a-child-that-may-have-ended"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reported")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("the entry can be read").path());
    let scenarios = paths.filter(|path| path.extension().is_some_and(|it| it == "scenario"));
    let name = |path: PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names: BTreeSet<String> = scenarios.map(name).collect();
    assert!(names.len() >= 50, "files are missing: {}", names.len());
    names.into_iter().collect()
}

fn harness(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .args(arguments)
        .current_dir(folder())
        .env_remove("CARGO_PKG_NAME")
        .output()
        .expect("the harness starts")
}

fn screen(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let program = env!("CARGO_BIN_EXE_gipc-harness");
    String::from_utf8(text).expect("the output is text").replace(program, "gipc-harness")
}

fn settings(folder: &str) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("reported/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn check_says_of_each_reported_scenario_what_was_reviewed() {
    let _bound = settings("checks").bind_to_scope();
    for name in names() {
        insta::assert_snapshot!(
            name.as_str(),
            screen(&harness(&["check", &format!("{name}.scenario")]))
        );
    }
}

/// No file that `check` accepts may fail with gipc-core. Of those that it refuses, the file alone counts.
#[test]
fn a_run_with_gipc_core_comes_to_what_was_reviewed() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let records = scratch.path().to_str().expect("the path is text");
    let mut verdicts = String::new();
    for name in names().into_iter().filter(|name| !RACES.contains(&name.as_str())) {
        let file = format!("{name}.scenario");
        let is_accepted = harness(&["check", &file]).status.success();
        let mut arguments = vec!["run", &file, "--record", records, "--format", "json"];
        arguments.extend((!is_accepted).then_some("--unchecked"));
        let output = screen(&harness(&arguments));
        let result = output.lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["scenario"].is_string().then_some(line)
        });
        let Some(result) = result else {
            // The file is not well-formed, which no flag changes.
            assert!(!is_accepted && output.contains("the scenario is refused"), "{name}: {output}");
            verdicts += &format!("{name}  refused\n");
            continue;
        };
        let verdict = result["verdict"].as_str().unwrap_or_default();
        let first = &result["first"];
        let wrong = match first["step"].as_str() {
            Some(step) => format!(": {step} got {}", first["got"].as_str().unwrap_or_default()),
            None => String::new(),
        };
        let why = match (verdict, result["notes"][0].as_str()) {
            ("SKIP", Some(note)) => format!(": {note}"),
            _ => String::new(),
        };
        let unchecked = if is_accepted { "" } else { " (unchecked)" };
        verdicts += &format!("{name}{unchecked}  {verdict}{wrong}{why}\n");
    }
    let _bound = settings("runs").bind_to_scope();
    insta::assert_snapshot!("gipc-core", verdicts);
}
