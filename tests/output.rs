//! The JSON that `list`, `check` and `run` print is the one that docs/output.schema.json describes, with the exit codes of
//! docs/output.md.

use rstest::rstest;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The exit code of a command, and the JSON objects that it prints.
fn objects(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let records = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
    command.env("GIPC_HARNESS_CACHE", "");
    command.args(arguments).args(["--format", "json"]).current_dir(root());
    if arguments[0] == "run" {
        command.arg("--record").arg(records.path());
    }
    let output = command.output().expect("the harness starts");
    let text = String::from_utf8(output.stdout).expect("the output is text");
    let read =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (output.status.code(), text.lines().map(read).collect())
}

/// Checks an object against a definition of the schema.
fn check(definition: &str, object: &Value) {
    let file = root().join("docs/output.schema.json");
    let text = std::fs::read_to_string(file).expect("the schema can be read");
    let mut compiler = boon::Compiler::new();
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    compiler.add_resource("output.json", schema).expect("the schema can be added");
    let mut schemas = boon::Schemas::new();
    let place = format!("output.json#/$defs/{definition}");
    let index = compiler.compile(&place, &mut schemas).expect("the schema is valid");
    if let Err(error) = schemas.validate(object, index) {
        panic!("{error}\n{object:#}");
    }
}

#[rstest]
#[case::list(&["list", "close"], 0, "listed")]
#[case::check_of_a_wrong_file(&["check", "tests/mistakes/b2-17-three-errors.scenario"], 2, "mistake")]
#[case::check_that_warns(&["check", "tests/mistakes/b2-18-timeout-race.scenario"], 0, "mistake")]
#[case::run(&["run", "close/twice", "close/eof-after-close"], 0, "result")]
#[case::run_with_timings(&["run", "close/twice", "close/eof-after-close", "--timings"], 0, "result")]
#[case::run_with_a_failure(&["run", "--unchecked", "tests/mistakes/27-join-wrong.scenario"], 1, "result")]
#[case::run_with_a_deadlock(&["run", "--unchecked", "tests/mistakes/07-deadlock-accident.scenario"], 1, "result")]
fn each_line_is_an_object_of_the_schema(
    #[case] arguments: &[&str],
    #[case] code: i32,
    #[case] definition: &str,
) {
    let (found, mut objects) = objects(arguments);
    assert_eq!(found, Some(code), "{objects:#?}");
    if definition == "result" {
        let summary = objects.pop().expect("the last line is the summary");
        check("summary", &summary);
    }
    assert!(!objects.is_empty());
    objects.iter().for_each(|object| check(definition, object));
}

/// The seconds of a phase of a run.
fn seconds(object: &Value, phase: &str) -> f64 {
    object["timings"][phase].as_f64().unwrap_or_else(|| panic!("no {phase}: {object:#}"))
}

#[test]
fn the_phases_of_a_run_are_at_most_its_time_and_only_a_stall_waits_for_quiescence() {
    let stalls = "tests/mistakes/07-deadlock-accident.scenario";
    let (_, mut objects) = objects(&["run", "--unchecked", "--timings", "close/twice", stalls]);
    let summary = objects.pop().expect("the last line is the summary");
    assert_eq!(objects.len(), 2, "{objects:#?}");
    for object in &objects {
        let of_run = ["process_start", "protocol", "implementation", "quiescence", "process_end"];
        let sum: f64 = of_run.iter().map(|phase| seconds(object, phase)).sum();
        let time = object["seconds"].as_f64().expect("a number");
        assert!(0.0 < sum && sum <= time, "{sum} of {time}: {object:#}");
        let has_stalled = object["verdict"] == "DEADLOCK";
        assert_eq!(seconds(object, "quiescence") > 0.0, has_stalled, "{object:#}");
        assert!(seconds(object, "process_start") > 0.0, "{object:#}");
    }
    let all: f64 = objects.iter().map(|object| seconds(object, "implementation")).sum();
    assert!((seconds(&summary, "implementation") - all).abs() < 1e-6, "{summary:#}");
    assert!(seconds(&summary, "model") > 0.0 && seconds(&summary, "reporting") > 0.0);
    assert!(seconds(&summary, "cpu_processes") > 0.0, "{summary:#}");
}

#[test]
fn without_the_flag_no_timings_are_printed() {
    let (_, objects) = objects(&["run", "close/twice"]);
    assert!(objects.iter().all(|object| object.get("timings").is_none()), "{objects:#?}");
}

#[test]
fn the_schema_refuses_an_object_without_a_field() {
    let (_, mut objects) = objects(&["list", "close/twice"]);
    let object = objects.pop().expect("a scenario is listed");
    let mut without = object.clone();
    without.as_object_mut().expect("an object").remove("file");
    check("listed", &object);
    assert!(std::panic::catch_unwind(|| check("listed", &without)).is_err());
}

/// What a command prints to stdout with `--format github`, without the lines of the report.
fn annotations(arguments: &[&str], workspace: &Path) -> Vec<String> {
    let records = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
    command.args(arguments).args(["--format", "github"]).current_dir(root());
    command.env("GITHUB_WORKSPACE", workspace);
    if arguments[0] == "run" {
        command.arg("--record").arg(records.path());
    }
    let output = command.output().expect("the harness starts");
    let text = String::from_utf8(output.stdout).expect("the output is text");
    text.lines().filter(|line| line.starts_with("::")).map(str::to_owned).collect()
}

#[rstest]
#[case::a_failure(
    &["run", "--unchecked", "tests/mistakes/27-join-wrong.scenario"],
    "::error file=tests/mistakes/27-join-wrong.scenario,line=4,title=FAIL 27-join-wrong on gipc-core::main join child: got exit 0, expected 0%0A",
)]
#[case::a_deadlock_with_its_cycle(
    &["run", "--unchecked", "tests/mistakes/07-deadlock-accident.scenario"],
    "title=DEADLOCK 07-deadlock-accident on gipc-core::",
)]
#[case::a_mistake_with_its_columns(
    &["check", "tests/mistakes/b2-16-wrong-size-unit.scenario"],
    "::error file=tests/mistakes/b2-16-wrong-size-unit.scenario,line=",
)]
#[case::a_warning(
    &["check", "tests/mistakes/b2-18-timeout-race.scenario"],
    "::warning file=tests/mistakes/b2-18-timeout-race.scenario,line=",
)]
fn a_job_of_github_gets_annotations(#[case] arguments: &[&str], #[case] expected: &str) {
    let found = annotations(arguments, &root());
    assert!(found.iter().any(|line| line.contains(expected)), "{found:#?}");
}

#[test]
fn a_job_of_github_gets_no_annotation_for_what_is_expected() {
    assert_eq!(annotations(&["run", "close/twice"], &root()), [""; 0]);
}

#[test]
fn an_annotation_names_the_file_by_its_path_in_the_repository() {
    let file = "tests/mistakes/b2-18-timeout-race.scenario";
    let found = annotations(&["check", file], &root().join("tests"));
    assert!(found[0].starts_with("::warning file=mistakes/b2-18"), "{found:#?}");
}

/// Runs a scenario of the tests that fails with this file as its platform report, and returns the text of the report.
fn platform_report(file: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(file);
    let status = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .args(["run", "close/twice", "tests/mistakes/27-join-wrong.scenario", "--unchecked"])
        .arg("--report")
        .arg(&file)
        .arg("--record")
        .arg(folder.path())
        .current_dir(root())
        .output()
        .expect("the harness starts")
        .status;
    assert_eq!(status.code(), Some(1));
    std::fs::read_to_string(file).expect("the report was written")
}

#[test]
fn a_platform_report_has_the_system_the_verdicts_by_theme_and_the_failures_with_their_traces() {
    let text = platform_report("platform.md");
    for part in
        ["- adapter: gipc-core (gipc-core ", "| system | ", "| close | 1 |", "FAIL ", "Its trace:"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn a_platform_report_for_a_program_has_the_same() {
    let report: Value = serde_json::from_str(&platform_report("platform.json")).expect("JSON");
    assert_eq!(report["themes"]["close"]["PASS"], 1);
    assert_eq!(report["failures"][0]["verdict"], "FAIL");
    assert!(report["failures"][0]["trace"].as_str().is_some_and(|trace| !trace.is_empty()));
    assert!(!report["environment"]["facts"].as_array().expect("facts").is_empty());
}

/// The report recognizes in the reason what the system lacks, as a limit of processes.
#[test]
fn a_program_of_a_scenario_that_cannot_begin_says_why() {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .args(["gipc-harness:program", "child"])
        .env_remove("GIPC_HARNESS_SOCKET")
        .output()
        .expect("the harness starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("the program `child` of the scenario cannot begin: "), "{said}");
}
