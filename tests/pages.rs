//! The pages of the matrix and of a run in a real browser, opened from disk: at the width of a desktop and of a phone, light and dark.
//! Rows can be filtered, a cell leads to its evidence, Back returns to the same place, and the browser reports no error.
//!
//! The tests need no browser automation: a script that is added to a copy of a page does what a reader does and records what
//! is shown. Without Chromium the tests are skipped, and print that.

#[path = "support/browser.rs"]
mod browser;

use browser::{Screen, open_in_chromium};
use rstest::rstest;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A cell whose trace the tests add, since the stored matrix has none.
const ADAPTER: &str = "gipc-python";
const SCENARIO: &str = "frame/truncated-stays-so";
const CAME: &str = "\
main        pipe r w                    ok
main        cut w \"half\" at header+2    ok
main        close w                     ok
main        get r                       truncated main closed w
main        get r                       eof      main closed w
main        get r                       eof      main closed w

main        ends                        exit 0
";

/// Searches and filters like a reader.
const FILTER: &str = r##"
const shown = (rows) => [...document.querySelectorAll(rows)].filter((row) => row.checkVisibility()).length;
const form = document.querySelector(".controls");
const set = (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
};
const filtered = (name, value) => {
  set(name, value);
  const left = shown(".rows tbody tr");
  set(name, "");
  return left;
};
seen.all = shown(".rows tbody tr");
seen.searched = filtered("text", "truncated");
seen.of_theme = filtered("theme", "close");
seen.failing = filtered("verdict", "known");
seen.unfiltered = shown(".rows tbody tr");
const cells = shown(".rows tbody tr:first-child td");
set("column", "3");
seen.columns = [cells, shown(".rows tbody tr:first-child td")];
set("column", "");
report();
"##;

/// The evidence that the address names.
const EVIDENCE: &str = r##"
const article = document.querySelector(":target");
seen.at = article?.id;
seen.visible = article?.checkVisibility();
seen.marked = [...document.querySelectorAll(".first-difference")]
  .map((row) => [...row.children].filter((cell) => cell.checkVisibility()).map((cell) => cell.textContent));
seen.inside = [...document.querySelectorAll(".trace td, .trace th")]
  .every((cell) => cell.getBoundingClientRect().right <= innerWidth + 1);
seen.sources = [...document.querySelectorAll("a.source")].map((link) => link.href);
report();
"##;

/// Filters, scrolls down, opens a cell, and when it is shown again compares. The name of a window survives navigation.
const BACK: &str = r##"
const form = document.querySelector(".controls");
if (window.name === "") {
  form.elements.text.value = "EOF";
  form.elements.text.dispatchEvent(new Event("input", { bubbles: true }));
  const links = [...document.querySelectorAll(".rows td.known a")];
  const link = links.filter((link) => link.checkVisibility())[40];
  link.scrollIntoView({ block: "center" });
  window.name = String(scrollY);
  link.click();
} else {
  setTimeout(() => {
    seen.scroll = [Number(window.name), scrollY];
    seen.text = form.elements.text.value;
    seen.rows = document.querySelector(".controls output").textContent;
    report();
  }, 500);
}
"##;

/// Goes back at once.
const RETURN: &str = "history.back();";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder with the pages of the stored matrix, to which the trace of one cell is added. They are made once.
fn pages() -> &'static Path {
    static PAGES: OnceLock<PathBuf> = OnceLock::new();
    PAGES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        make_pages(&folder)
    })
}

fn make_pages(folder: &Path) -> PathBuf {
    let stored = folder.join("stored");
    fs::create_dir(&stored).expect("a folder");
    let results = root().join("docs/matrix/matrix.json");
    fs::copy(&results, stored.join("matrix.json")).expect("the matrix is stored");
    let results = fs::read_to_string(results).expect("the matrix is stored");
    let results: Value = serde_json::from_str(&results).expect("the matrix is JSON");
    let came = json!({ SCENARIO: { "came": CAME } });
    let allowed = CAME
        .replace("get r                       eof     ", "get r                       truncated");
    let texts = json!({ SCENARIO: { "text": "main        get r\n", "model": allowed } });
    let evidence = json!({
        "format": 2, "made": results["made"], "scenarios": texts, "cells": { ADAPTER: came },
    });
    fs::write(stored.join("evidence.json"), evidence.to_string()).expect("it is written");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(root())
        .args(["matrix", "--from"])
        .arg(&stored)
        .arg("--output")
        .arg(folder)
        .output()
        .expect("the harness starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("html")
}

const SCREENS: [Screen; 4] = [
    Screen { width: 1280, height: 900, dark: false },
    Screen { width: 1280, height: 900, dark: true },
    Screen { width: 390, height: 844, dark: false },
    Screen { width: 390, height: 844, dark: true },
];

#[test]
fn the_tables_can_be_searched_and_filtered_on_each_screen() {
    let scripts = [("index.html", FILTER)];
    let Some(all) = open_in_chromium(pages(), "index.html", &SCREENS, &scripts) else { return };
    for (screen, seen) in SCREENS.into_iter().zip(all) {
        let number = |name: &str| seen[name].as_u64().unwrap_or(0);
        assert!(number("all") > 300, "{screen:?} {seen}");
        for part in ["searched", "of_theme", "failing"] {
            assert!((1..number("all")).contains(&number(part)), "{screen:?} {part}: {seen}");
        }
        assert_eq!(number("unfiltered"), number("all"), "{screen:?} {seen}");
        let cells = |at: usize| seen["columns"][at].as_u64().unwrap_or(0);
        assert!(cells(1) > 0 && cells(0) > 10 * cells(1), "{screen:?} {seen}");
    }
}

#[test]
fn the_evidence_of_a_cell_is_readable_on_each_screen() {
    let file = format!("{ADAPTER}.html");
    let anchor = SCENARIO.replace('/', "+");
    let address = format!("{file}#{anchor}");
    let scripts = [(file.as_str(), EVIDENCE)];
    let Some(all) = open_in_chromium(pages(), &address, &SCREENS, &scripts) else { return };
    for (screen, seen) in SCREENS.into_iter().zip(all) {
        assert_eq!((&seen["at"], &seen["visible"]), (&json!(anchor), &json!(true)), "{screen:?}");
        let difference = json!([["▶main get r", "truncated main closed w", "eof main closed w"]]);
        assert_eq!(seen["marked"], difference, "{screen:?}");
        assert_eq!(seen["inside"], true, "{screen:?}: a trace is cut off");
    }
}

#[test]
fn back_returns_to_the_same_place_of_the_filtered_tables() {
    let names = fs::read_dir(pages()).expect("the pages").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let others: Vec<String> = names.filter(|name| name != "index.html").collect();
    let mut scripts = vec![("index.html", BACK)];
    scripts.extend(others.iter().map(|name| (name.as_str(), RETURN)));
    let screens = &SCREENS[..1];
    let Some(seen) = open_in_chromium(pages(), "index.html", screens, &scripts) else { return };
    let seen = &seen[0];
    let scroll = |at: usize| seen["scroll"][at].as_f64().unwrap_or(0.0);
    assert!(scroll(0) > 500.0 && (scroll(0) - scroll(1)).abs() < 2.0, "{seen}");
    assert_eq!(seen["text"], "EOF", "{seen}");
    let rows = seen["rows"].as_str().unwrap_or_default();
    let (shown, all) = rows.trim_end_matches(" rows").split_once(" of ").expect("the counts");
    assert_ne!(shown, all, "{seen}");
}

/// The page of a run with failures.
const RUN: &str = r##"
seen.failures = document.querySelectorAll(".failure").length;
seen.diagrams = document.querySelectorAll(".failure svg").length;
seen.links = [...document.querySelectorAll("a[href^='#']")]
  .filter((link) => !document.getElementById(decodeURIComponent(link.hash.slice(1)))).map((link) => link.hash);
report();
"##;

#[test]
fn the_page_of_a_run_is_readable_on_each_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("pages");
    fs::create_dir(&pages).expect("a folder");
    let scenarios = [
        (
            "other-message",
            "# Another message.\nmain pipe r w\nmain put w \"a\"\nmain get r => \"b\"\n",
        ),
        ("no-end", "# No end.\nmain pipe r w\nmain get r => eof\n"),
    ];
    for (name, text) in scenarios {
        let file = folder.path().join(format!("{name}.scenario"));
        fs::write(file, text).expect("the scenario is written");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(folder.path())
        .args(["run", "--unchecked", "other-message.scenario", "no-end.scenario", "--report"])
        .arg(pages.join("run.html"))
        .output()
        .expect("the harness starts");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let scripts = [("run.html", RUN)];
    let Some(all) = open_in_chromium(&pages, "run.html", &SCREENS, &scripts) else { return };
    for seen in all {
        assert_eq!(seen["failures"], 2, "{seen}");
        assert_eq!(seen["failures"], seen["diagrams"], "{seen}");
        assert_eq!(seen["links"], json!([]), "{seen}");
    }
}

#[rstest]
#[case::tables("index.html")]
#[case::one_implementation("gipc-python.html")]
#[case::scenarios("scenarios.html")]
fn a_page_needs_no_script_and_loads_nothing_from_elsewhere(#[case] name: &str) {
    let html = fs::read_to_string(pages().join(name)).expect("the page was written");
    for outside in ["<link", "src=\"", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}: {name} loads something");
    }
    if name == "index.html" {
        assert!(html.contains("<form class=\"controls\" hidden"), "the controls need a script");
        assert!(html.matches("<tr").count() > 300, "the rows exist");
    } else {
        assert!(!html.contains("<script"), "{name} has a script");
    }
}

#[test]
fn the_stored_results_and_their_pages_stay_small() {
    for file in
        ["matrix/matrix.json", "matrix/matrix.md", "releases/matrix.json", "releases/matrix.md"]
    {
        let size = fs::metadata(root().join("docs").join(file)).expect("it is stored").len();
        assert!(size < 400 * 1024, "docs/{file} has {size} bytes");
    }
}
