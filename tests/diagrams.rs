//! The pictures in docs/diagrams are what `show --format svg` draws: of predictions, and of a recorded run.
//! `GUIDES=overwrite` draws them anew.

use rstest::rstest;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// What the program prints in a folder without adapters, so that no baseline has a part in it.
fn harness(words: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .args(words)
        .current_dir(folder.path())
        .env("GIPC_HARNESS_CACHE", "")
        .output()
        .expect("the harness starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[rstest]
#[case::end_of_file("eof", "close/eof-after-close")]
#[case::two_that_write_first("duplex-deadlock", "deadlock/both-write-first")]
#[case::a_writer_in_a_bystander("leaked-writer", "docs/diagrams/leaked-writer.jsonl")]
#[case::five_in_a_ring("ring-of-five", "docs/diagrams/ring-of-five.scenario")]
#[case::a_put_that_is_cancelled("cancelled-put", "task/cancelled-put-is-finished-first")]
#[case::a_kill_inside_a_message("torn-message", "frame/torn-by-a-kill")]
#[case::a_join_before_the_output_is_read("join-before-drain", "deadlock/join-before-drain")]
#[case::a_thousand_children("thousand-children", "children/alive-1000")]
fn a_picture_in_the_documents_is_what_the_program_draws(#[case] name: &str, #[case] what: &str) {
    let path = root().join(what);
    let what = if path.exists() { path.display().to_string() } else { what.to_owned() };
    let drawn = harness(&["show", &what, "--format", "svg"]);
    let file = root().join(format!("docs/diagrams/{name}.svg"));
    if std::env::var("GUIDES").is_ok_and(|value| value == "overwrite") {
        fs::write(&file, &drawn).expect("the picture is written");
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == drawn, "{name}.svg is outdated: GUIDES=overwrite draws it anew");
    assert!(drawn.len() < 60_000, "{name}.svg has {} bytes", drawn.len());
}

#[test]
fn each_picture_is_on_the_page_about_diagrams() {
    let page = fs::read_to_string(root().join("docs/guides/diagrams.md")).expect("the page");
    for entry in fs::read_dir(root().join("docs/diagrams")).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        if name.ends_with(".svg") {
            assert!(
                page.contains(&format!("../diagrams/{name})")),
                "docs/guides/diagrams.md lacks {name}"
            );
        }
    }
}

/// A trace with the times of a real run: each flow starts and ends inside slices, and none goes back in time.
#[test]
fn the_flows_of_a_recorded_run_are_inside_its_slices() {
    let record = root().join("docs/diagrams/leaked-writer.jsonl").display().to_string();
    let text = harness(&["show", &record, "--format", "trace", "--full"]);
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let entries = trace["traceEvents"].as_array().expect("events");
    let number = |entry: &Value, key: &str| entry[key].as_u64().expect("a number");
    let is_inside = |flow: &Value| {
        entries.iter().any(|slice| {
            slice["ph"] == "X"
                && (slice["pid"] == flow["pid"] && slice["tid"] == flow["tid"])
                && number(slice, "ts") <= number(flow, "ts")
                && number(flow, "ts") <= number(slice, "ts") + number(slice, "dur")
        })
    };
    let ends = |phase: &'static str| entries.iter().filter(move |entry| entry["ph"] == *phase);
    assert!(ends("s").count() >= 4, "{} flows", ends("s").count());
    assert_eq!(ends("s").count(), ends("f").count());
    for start in ends("s") {
        let same: Vec<&Value> = ends("f").filter(|end| end["id"] == start["id"]).collect();
        assert_eq!(same.len(), 1, "{start}");
        assert!(number(start, "ts") <= number(same[0], "ts"), "{start} goes back");
        assert!(is_inside(start) && is_inside(same[0]), "{start} is outside of all slices");
    }
}

#[test]
fn two_runs_are_shown_side_by_side_with_the_first_difference_marked() {
    let record = root().join("docs/diagrams/leaked-writer.jsonl").display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("bystander.scenario");
    let text = fs::read_to_string(&record).expect("the record");
    let last: Value = serde_json::from_str(text.lines().last().expect("a case")).expect("JSON");
    fs::write(&scenario, last["is"]["text"].as_str().expect("the text")).expect("written");
    let shown = harness(&["show", &record, &scenario.display().to_string()]);
    let marked: Vec<&str> = shown.lines().filter(|line| line.starts_with('▶')).collect();
    assert!(marked[0].contains("get stop-r") && marked[0].ends_with("eof"), "{shown}");
}
