//! Scenario files with mistakes, as beginners wrote them: each is refused with the place, the cause and the cure of each
//! mistake. `tests/mistakes` has the files, and the screen that each of them gives.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The files in which nothing is wrong, or nothing that can be found without running them.
const ACCEPTED: [&str; 5] = ["29-tabs-crlf", "b2-06-never-joined", "b3-j", "b5-2", "tiny"];
/// The files that are not refused, and get a warning.
const WARNED: [&str; 1] = ["b2-18-timeout-race"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mistakes")
}

/// The names of all files with mistakes, without their extension.
fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("the entry can be read").path());
    let scenarios = paths.filter(|path| path.extension().is_some_and(|it| it == "scenario"));
    let name = |path: PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names: BTreeSet<String> = scenarios.map(name).collect();
    assert!(names.len() >= 75, "files are missing: {}", names.len());
    names.into_iter().collect()
}

/// What `check` says of a file, called as a user calls an installed program beside it.
fn check(name: &str, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .arg("check")
        .arg(format!("{name}.scenario"))
        .args(flags)
        .current_dir(folder())
        .env_remove("CARGO_PKG_NAME")
        .output()
        .expect("the harness starts")
}

/// What `check` says of a file: as text, and as JSON.
struct Checked {
    name: String,
    text: Output,
    json: Output,
}

/// All files, checked once and several at a time.
fn all_checked() -> &'static [Checked] {
    static ALL: OnceLock<Vec<Checked>> = OnceLock::new();
    ALL.get_or_init(|| {
        let (names, next) = (names(), AtomicUsize::new(0));
        let check_some = || {
            let mut checked = Vec::new();
            while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (text, json) = (check(name, &[]), check(name, &["--format", "json"]));
                checked.push(Checked { name: name.clone(), text, json });
            }
            checked
        };
        let threads = thread::available_parallelism().map_or(1, |count| count.get());
        let mut all: Vec<Checked> = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(check_some)).collect();
            handles.into_iter().flat_map(|one| one.join().expect("a file was checked")).collect()
        });
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    })
}

fn text(bytes: &[u8]) -> String {
    let program = env!("CARGO_BIN_EXE_gipc-harness");
    String::from_utf8(bytes.to_vec()).expect("the output is text").replace(program, "gipc-harness")
}

#[test]
fn the_screen_of_each_mistake_is_as_it_was_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("mistakes/screens");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for Checked { name, text: output, .. } in all_checked() {
        let screen = format!("{}{}", text(&output.stdout), text(&output.stderr));
        insta::assert_snapshot!(name.as_str(), screen);
    }
}

#[test]
fn every_refusal_names_the_place_the_cause_and_the_cure() {
    for Checked { name, text: screen, json: output } in all_checked() {
        let lines = text(&output.stdout);
        let mistakes: Vec<Value> = lines
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"))
            })
            .collect();
        let is_refused = !ACCEPTED.contains(&name.as_str()) && !WARNED.contains(&name.as_str());
        let screen = text(&screen.stderr);
        assert_eq!(output.status.code(), Some(if is_refused { 2 } else { 0 }), "{name}\n{screen}");
        assert_eq!(mistakes.is_empty(), ACCEPTED.contains(&name.as_str()), "{name}\n{screen}");
        let source =
            fs::read(folder().join(format!("{name}.scenario"))).expect("the file is there");
        let source = String::from_utf8_lossy(&source);
        for mistake in &mistakes {
            let number = |key: &str| {
                let number =
                    mistake[key].as_u64().unwrap_or_else(|| panic!("{name}: {key}: {mistake}"));
                usize::try_from(number).expect("the number is small")
            };
            let string = |key: &str| {
                let text = mistake[key].as_str().unwrap_or_default();
                assert!(!text.trim().is_empty(), "{name} has no {key}: {mistake}");
                text
            };
            assert_eq!(string("file"), format!("{name}.scenario"));
            let severity = if is_refused { "error" } else { "warning" };
            assert_eq!(string("severity"), severity, "{name}");
            let line = source.lines().nth(number("line") - 1).unwrap_or_default();
            let end = number("column") + number("width");
            let is_inside = number("width") >= 1 && end <= line.chars().count() + 2;
            assert!(is_inside, "{name}: the mark is outside of the line: {mistake}");
            for key in ["message", "hint"] {
                assert!(screen.contains(string(key)), "{name}: {mistake}\n{screen}");
            }
            let place = format!("{name}.scenario:{}:{}", number("line"), number("column"));
            assert!(screen.contains(&place), "{name}: {place}\n{screen}");
        }
    }
}

#[test]
fn a_file_with_three_mistakes_shows_all_three() {
    let output = check("b2-17-three-errors", &["--format", "json"]);
    let lines: Vec<u64> = text(&output.stdout)
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["line"].as_u64().unwrap_or(0)
        })
        .collect();
    assert_eq!(lines, [3, 4, 5]);
}
