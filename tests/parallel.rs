//! Scenarios, seeds and faults that are executed side by side, or divided among several machines, have the same results as
//! in one run after the other.

use rstest::rstest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Runs the harness with these arguments. Returns its exit code and what it prints to stdout.
fn harness(arguments: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments.split_whitespace())
        .output()
        .expect("the harness starts");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a run says of each scenario, without times and paths.
fn verdicts(arguments: &str) -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, text) =
        harness(&format!("run {arguments} --format json --record {}", folder.path().display()));
    let objects = text.lines().map(|line| {
        let mut object: Value = serde_json::from_str(line).expect("each line is an object");
        let fields = object.as_object_mut().expect("an object");
        fields.retain(|name, _| !matches!(name.as_str(), "seconds" | "record" | "environment"));
        (object["scenario"].as_str().unwrap_or("all").to_owned(), object)
    });
    objects.collect()
}

#[rstest]
#[case::as_many_as_processors("--jobs 2")]
#[case::many_more_than_processors("--jobs 16")]
fn verdicts_do_not_depend_on_how_many_scenarios_run_at_once(#[case] jobs: &str) {
    static ALONE: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    let what = "close deadlock race task";
    let alone = ALONE.get_or_init(|| verdicts(&format!("{what} --jobs 1")));
    assert!(alone.len() > 40, "{}", alone.len());
    assert_eq!(verdicts(&format!("{what} {jobs}")), *alone);
}

/// How many scenarios a search has executed.
fn explored(arguments: &str) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) =
        harness(&format!("explore {arguments} --out {}", folder.path().join("out").display()));
    assert_eq!(code, Some(0), "{text}");
    let count = text.split_once(" scenarios in ").and_then(|(count, _)| count.parse().ok());
    count.unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn ranges_of_seeds_find_together_what_one_range_finds() {
    let all = explored("--seed-range 1..16");
    assert!(all > 0);
    assert_eq!(explored("--seed-range 1..5") + explored("--seed-range 6..16"), all);
}

#[test]
fn a_range_of_seeds_that_was_not_tried_to_its_end_is_no_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display();
    let (code, text) = harness(&format!("explore --seed-range 1..100000000 --for 1 --out {out}"));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("PARTIAL: the time was over before all seeds were tried"), "{text}");
}

#[rstest]
#[case::descending("9..1")]
#[case::one_number("7")]
fn a_range_of_seeds_that_is_none_is_refused(#[case] range: &str) {
    assert_eq!(harness(&format!("explore --seed-range {range}")).0, Some(2));
}

#[test]
fn parts_of_the_faults_are_merged_without_running_any_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display();
    let faults =
        "--fault the-end-is-an-error --fault children-inherit-all --fault alive-until-joined";
    let mutants = format!("mutants asyncio --named {faults} --format json --out {out}");
    let names = |arguments: &str| -> Vec<String> {
        let (code, text) = harness(arguments);
        assert_eq!(code, Some(0), "{text}");
        let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        objects.filter_map(|object| Some(object["fault"].as_str()?.to_owned())).collect()
    };
    let mut parts = names(&format!("{mutants} --shard 1/2"));
    parts.extend(names(&format!("{mutants} --shard 2/2")));
    assert_eq!(parts.len(), 3, "{parts:?}");
    let mut merged = names(&format!("{mutants} --resume"));
    parts.sort();
    merged.sort();
    assert_eq!(merged, parts);
}
