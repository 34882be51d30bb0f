//! The house is in order: formatting, the shape of files, who knows whom, and that documents say what is.

use gipc_harness::adapter::Manifest;
use gipc_harness::scenario::VERBS;
use rstest::rstest;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of ours with one of these endings, by its path from the root.
fn files(endings: &[&str]) -> Vec<String> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("it can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let ours = !["target", ".git", "node_modules", "__pycache__"].contains(&name.as_str())
                && !name.starts_with(".venv");
            if path.is_dir() && !path.is_symlink() && ours {
                walk(&path, endings, found);
            } else if path
                .extension()
                .is_some_and(|ending| endings.iter().any(|one| ending == *one))
            {
                found.push(path.strip_prefix(root()).expect("inside").display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), endings, &mut found);
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn all_is_formatted() {
    let output =
        Command::new(env!("CARGO")).args(["fmt", "--all", "--check"]).current_dir(root()).output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("not installed") => {
            eprintln!("skipped: rustfmt is not installed here");
        }
        Ok(output) => panic!("run `cargo fmt`:\n{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn a_file_says_first_what_it_is_and_stays_short_enough_to_read() {
    for path in files(&["rs", "py", "mjs", "go"]) {
        let text = read(&path);
        let begins = match path.rsplit_once('.') {
            Some((_, "py")) => "\"\"\"",
            Some((_, "rs")) => "//! ",
            _ => "// ",
        };
        assert!(text.starts_with(begins), "{path} does not begin with {begins}");
        let lines = text.lines().count();
        assert!(lines <= 450, "{path} has {lines} lines: it is two rooms");
    }
}

#[test]
fn unsafe_stands_only_where_the_system_demands_it() {
    let places = [
        "gipc-core/src/platform.rs",
        "gipc-harness/src/proc/platform.rs",
        "adapters/kit/rust/src/signals.rs",
    ];
    // Adapters that do by hand what the contract wants done without the library.
    let by_hand = |path: &str| {
        path.starts_with("adapters/")
            && ["/src/start.rs", "/src/os_actions.rs"].iter().any(|file| path.ends_with(file))
    };
    for path in files(&["rs"]) {
        let word = ["uns", "afe {"].concat();
        let allowed = places.contains(&path.as_str()) || by_hand(&path) || path.contains("tests/");
        assert!(allowed || !read(&path).contains(&word), "{path}");
    }
}

/// The modules of the harness, and the modules that each may use.
#[rstest]
#[case("scenario", &[])]
#[case("trace", &["scenario"])]
#[case("adapter", &[])]
#[case("environment", &[])]
#[case("requirements", &[])]
#[case("error", &["adapter"])]
#[case("embedded_agent", &[])]
#[case("proc", &["trace"])]
#[case("model", &["scenario", "trace"])]
#[case("variant", &["scenario", "trace", "adapter", "model"])]
#[case("deadlock", &["scenario", "trace"])]
#[case("runner", &["scenario", "trace", "adapter", "proc"])]
#[case("verdict", &["scenario", "trace", "deadlock", "adapter", "environment", "model", "variant"])]
#[case("record", &["scenario", "trace", "adapter", "environment", "model", "variant", "runner", "verdict", "error"])]
#[case("suite", &["scenario", "trace", "adapter", "model", "requirements", "verdict", "error"])]
#[case("suite_run", &["scenario", "trace", "adapter", "environment", "model", "variant", "deadlock", "runner", "proc", "verdict", "record", "suite", "error"])]
#[case("explore", &["scenario", "trace", "adapter", "environment", "model", "variant", "runner", "verdict", "suite", "suite_run", "error"])]
#[case("report", &["environment", "requirements", "scenario", "trace", "deadlock", "runner", "variant", "verdict", "adapter", "record", "suite", "suite_run", "model", "error"])]
fn each_module_uses_only_the_modules_it_may(#[case] room: &str, #[case] may: &[&str]) {
    for path in files(&["rs"]) {
        let inside = path.strip_prefix("gipc-harness/src/").unwrap_or_default();
        if !inside.starts_with(&format!("{room}/")) && inside != format!("{room}.rs") {
            continue;
        }
        for (before, _) in read(&path).match_indices("crate::") {
            let text = read(&path);
            let known: String = text[before + 7..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            assert!(known == room || may.contains(&known.as_str()), "{path} knows {known}");
        }
    }
}

#[test]
fn the_implementation_is_named_in_one_file_of_the_harness() {
    let mark = ["gipc", "_core"].concat();
    let named: BTreeSet<String> = files(&["rs"])
        .into_iter()
        .filter(|path| path.starts_with("gipc-harness/src/") && read(path).contains(&mark))
        .collect();
    let expected = ["embedded_agent.rs"].map(|file| format!("gipc-harness/src/{file}"));
    assert_eq!(named, BTreeSet::from(expected));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    for path in files(&["rs", "md", "toml", "py", "scenario", "snap"]) {
        let text = read(&path);
        for place in ["work/", "home/", "root/", "tmp/"] {
            let place = format!("/{place}");
            assert!(
                !text.contains(&format!(" {place}")) && !text.contains(&format!("\"{place}")),
                "{path}: {place}"
            );
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for path in files(&["md"]) {
        let folder = root().join(&path).parent().expect("a folder").to_owned();
        for part in read(&path).split("](").skip(1) {
            let link = part.split([')', '#']).next().unwrap_or_default();
            let near = !link.is_empty() && !link.contains("://");
            assert!(!near || folder.join(link).exists(), "{path} links to {link}");
        }
    }
}

#[test]
fn the_page_of_the_language_lists_the_verbs_that_the_parser_knows() {
    let page = read("scenarios/README.md");
    let rows = page.lines().filter_map(|line| {
        let (usage, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((usage.replace('\\', ""), rest.split(" |").next()?.to_owned()))
    });
    let listed: Vec<(String, String)> = rows.collect();
    let known = VERBS.map(|(usage, profile)| (usage.to_owned(), profile.word().to_owned()));
    assert_eq!(listed, known);
}

#[test]
fn the_screens_in_the_pages_are_such_as_the_program_shows() {
    let screens = read("tests/snapshots/screens.snap")
        .replace("as fd N", "as fd 12")
        .replace("FOLDER", "tests/inheriting");
    for path in ["README.md", "scenarios/README.md"] {
        let page = read(path);
        let from = page.find("\nDEADLOCK").expect("a screen");
        let quoted = page[from..].split("```").next().unwrap_or_default();
        for line in quoted.lines().filter(|line| !line.trim().is_empty()) {
            assert!(screens.contains(line.trim()), "{path}: no screen says {line:?}");
        }
    }
}

#[test]
fn lock_files_beside_the_workspace_are_those_of_their_manifests() {
    for path in files(&["lock"]).into_iter().filter(|path| path.ends_with("/Cargo.lock")) {
        let manifest = root().join(&path).with_file_name("Cargo.toml");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
            .arg(&manifest)
            .output()
            .expect("cargo runs the tests");
        let error = String::from_utf8_lossy(&output.stderr);
        // What was never fetched cannot be looked at without a network.
        let is_old = error.contains("because --locked was passed");
        assert!(!is_old, "{path} is old: `cargo metadata --manifest-path {}`", manifest.display());
    }
}

/// Whether a text names a line of a source, a document or an issue.
fn names_a_place(reason: &str) -> bool {
    let words = ["documentation", "documented", "changelog", "issue ", "gh-", "PEP "];
    let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    words.iter().any(|word| reason.contains(word)) || reason.split(':').skip(1).any(is_number)
}

/// Of each, or of one that it refers to.
#[test]
fn each_known_failure_says_where_its_reason_can_be_seen() {
    for path in files(&["toml"]) {
        if !path.starts_with("adapters/") || !path.ends_with("/adapter.toml") {
            continue;
        }
        let manifest =
            Manifest::parse(&read(&path), &path).unwrap_or_else(|error| panic!("{error}"));
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        loop {
            let before = seen.len();
            for known in &manifest.known {
                let refers = || seen.iter().any(|id| known.reason.contains(*id));
                if names_a_place(&known.reason) || refers() {
                    seen.insert(&known.scenario);
                }
            }
            if seen.len() == before {
                break;
            }
        }
        let unseen = manifest.known.iter().find(|known| !seen.contains(known.scenario.as_str()));
        assert!(
            unseen.is_none(),
            "{path}: {} names no line, document or issue",
            unseen.map_or("", |known| &known.scenario)
        );
    }
}

/// Identifiers and file names that the project has retired; `docs/glossary.md` has the terms that replace them.
const RETIRED_IDENTIFIERS: [&str; 58] = [
    "Actor",
    "Blow",
    "Calm",
    "Cast",
    "Conductor",
    "Course",
    "Far",
    "Finding",
    "Frozen",
    "Heard",
    "Keeper",
    "KeeperEvent",
    "Keeping",
    "Knot",
    "Lacking",
    "Lane",
    "Library",
    "Mend",
    "Moves",
    "Nonsense",
    "Observed",
    "Owners",
    "Plan",
    "Quiet",
    "Said",
    "Scene",
    "Sort",
    "Stage",
    "Story",
    "Strike",
    "Stuck",
    "Taken",
    "Thing",
    "Tier",
    "Told",
    "Touch",
    "Track",
    "Turn",
    "Voice",
    "Way",
    "Whole",
    "Wire",
    "Woken",
    "World",
    "as_written",
    "chose_otherwise",
    "expecting",
    "frozen_but_helpers",
    "hold_to_its_skips",
    "hold_to_its_word",
    "is_meek",
    "keeper",
    "keeper_main",
    "knot",
    "note_stop",
    "puts_rest",
    "way_back",
    "what_came",
];
const RETIRED_FILES: [&str; 39] = [
    "act.rs",
    "batch.rs",
    "blow.rs",
    "busy.rs",
    "calls.rs",
    "canonical.rs",
    "cast.rs",
    "conductor.rs",
    "conversation.rs",
    "ends.rs",
    "fault.rs",
    "hear.rs",
    "honesty.rs",
    "inspect.rs",
    "keeper.rs",
    "knot.rs",
    "lanes.rs",
    "leftovers.rs",
    "liar.rs",
    "liars.rs",
    "library.rs",
    "life.rs",
    "listed.rs",
    "meant.rs",
    "nearest.rs",
    "oracle.rs",
    "owners.rs",
    "patience.rs",
    "plan.rs",
    "quiet.rs",
    "scene.rs",
    "spelling.rs",
    "starve.rs",
    "stop.rs",
    "strike.rs",
    "tell.rs",
    "tools.rs",
    "ways.rs",
    "world.rs",
];

/// Whether a text uses a word as an identifier: outside of strings and comments a whole word of code.
fn uses_identifier(text: &str, word: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        // Identifiers in string literals are user-visible words or JSON keys, which have rules of their own.
        let code: String = line.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|one| one == word)
    })
}

#[test]
fn retired_identifiers_and_file_names_do_not_return() {
    for path in files(&["rs"]) {
        let is_harness = path.starts_with("gipc-harness/") || path.starts_with("tests/");
        if !is_harness {
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(!RETIRED_FILES.contains(&name), "{path} has a retired file name");
        let text = read(&path);
        // This file lists them.
        if path == "tests/tidiness.rs" {
            continue;
        }
        for word in RETIRED_IDENTIFIERS {
            assert!(!uses_identifier(&text, word), "{path} uses the retired identifier {word}");
        }
    }
}

/// The files that import each other within a module: `use super::other` in both directions is a cycle.
#[test]
fn no_two_files_of_the_harness_import_each_other() {
    let imports = |path: &str| -> BTreeSet<String> {
        let text = read(path);
        // What stands in the module's own `mod.rs` is shared by all its files.
        let words = text.lines().filter_map(|line| line.trim().strip_prefix("use super::"));
        words
            .map(|rest| rest.split([':', ';', ' ', '{']).next().unwrap_or_default().to_owned())
            .collect()
    };
    for path in files(&["rs"]).into_iter().filter(|path| path.starts_with("gipc-harness/src/")) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let own = name.trim_end_matches(".rs");
        if own == "mod" || own == "tests" {
            continue;
        }
        for other in imports(&path).iter().filter(|other| *other != own) {
            let there = format!("{folder}/{other}.rs");
            if root().join(&there).is_file() {
                assert!(!imports(&there).contains(own), "{path} and {there} import each other");
            }
        }
    }
}
