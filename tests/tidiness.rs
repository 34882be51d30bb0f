//! Checks of the source tree: formatting, the form of files, the dependencies between modules, retired names, and
//! documents that must agree with the code.

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
    let bytes = fs::read(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    // One of the scenario files with mistakes is not text.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The files of the project with one of these endings, as sorted paths from the root. Build outputs are left out.
fn files(endings: &[&str]) -> Vec<String> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let is_ours = !["target", ".git", "node_modules", "__pycache__"]
                .contains(&name.as_str())
                && !name.starts_with(".venv");
            if path.is_dir() && !path.is_symlink() && is_ours {
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
fn all_code_is_formatted() {
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
fn each_file_begins_with_a_header_and_has_at_most_450_lines() {
    for path in files(&["rs", "py", "mjs", "go"]) {
        let text = read(&path);
        let header = match path.rsplit_once('.') {
            Some((_, "py")) => "\"\"\"",
            Some((_, "rs")) => "//! ",
            _ => "// ",
        };
        // The crate that is published shows its README as its documentation.
        let shows_readme = text.starts_with("#![doc = include_str!(");
        assert!(text.starts_with(header) || shows_readme, "{path} does not begin with {header}");
        let lines = text.lines().count();
        assert!(lines <= 450, "{path} has {lines} lines: split it");
    }
}

#[test]
fn unsafe_blocks_are_only_in_the_listed_files() {
    let allowed_files = [
        "gipc-core/src/platform.rs",
        "gipc-core/src/arrival.rs",
        "gipc-core/src/channel.rs",
        "gipc-harness/src/proc/platform.rs",
        "gipc-harness/src/proc/platform/linux.rs",
        "adapters/kit/rust/src/signals.rs",
        "adapters/posix/src/faults.rs",
    ];
    // Adapters start processes and act on the system without the implementation, as the contract demands.
    let is_system_code = |path: &str| {
        path.starts_with("adapters/")
            && ["/src/start.rs", "/src/os_actions.rs"].iter().any(|file| path.ends_with(file))
    };
    for path in files(&["rs"]) {
        let block = ["uns", "afe {"].concat();
        let is_allowed = allowed_files.contains(&path.as_str())
            || is_system_code(&path)
            || path.contains("tests/");
        assert!(is_allowed || !read(&path).contains(&block), "{path}");
    }
}

/// FreeBSD and others have the same few names in /dev/fd, whatever is open.
#[test]
fn no_agent_and_no_test_of_gipc_core_relies_on_a_list_of_descriptors() {
    let folder = ["/dev", "/fd"].concat();
    for path in files(&["rs", "py", "mjs", "go"]) {
        let counts = path.starts_with("adapters/") || path.starts_with("gipc-core/tests/");
        let code = read(&path);
        let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert!(
            !counts
                || !lines.any(|line| line.contains(&format!("{folder}/"))
                    || line.contains(&format!("{folder}\""))),
            "{path}"
        );
    }
}

/// The modules of the harness, and the modules that each may use.
#[rstest]
#[case("similar", &[])]
#[case("program", &[])]
#[case("scenario", &["similar"])]
#[case("trace", &["scenario"])]
#[case("adapter", &["process_role", "program", "similar"])]
#[case("environment", &["process_role", "proc"])]
#[case("process_role", &[])]
#[case("init", &["process_role", "embedded_agent", "program_agent", "environment", "runner", "suite_run"])]
#[case("harness", &["process_role", "init", "adapter", "error", "report", "suite", "suite_run", "variant", "Harness"])]
#[case("requirements", &[])]
#[case("error", &["adapter"])]
#[case("embedded_agent", &["process_role", "program_agent"])]
#[case("program_agent", &[])]
#[case("proc", &["trace"])]
#[case("model", &["scenario", "trace"])]
#[case("variant", &["scenario", "trace", "adapter", "model"])]
#[case("deadlock", &["scenario", "trace"])]
#[case("runner", &["process_role", "scenario", "trace", "adapter", "proc"])]
#[case("verdict", &["scenario", "trace", "deadlock", "adapter", "environment", "model", "variant"])]
#[case("record", &["scenario", "trace", "adapter", "environment", "model", "variant", "runner", "verdict", "error", "program"])]
#[case("suite", &["scenario", "trace", "adapter", "model", "requirements", "deadlock", "verdict", "error", "program", "similar"])]
#[case("suite_run", &["process_role", "scenario", "trace", "adapter", "environment", "model", "variant", "deadlock", "runner", "proc", "verdict", "record", "suite", "error", "program"])]
#[case("explore", &["scenario", "trace", "adapter", "environment", "model", "variant", "runner", "verdict", "suite", "suite_run", "error"])]
#[case("report", &["environment", "requirements", "scenario", "trace", "deadlock", "runner", "variant", "verdict", "adapter", "record", "suite", "suite_run", "model", "diagram", "error", "program"])]
#[case("diagram", &["scenario", "trace", "environment", "deadlock", "model", "variant", "verdict", "runner"])]
#[case("bundle", &["scenario", "trace", "environment", "model", "variant", "verdict", "runner", "record", "diagram", "report", "error"])]
#[case("mutants", &["adapter", "error", "suite", "suite_run", "verdict"])]
#[case("bugs", &["adapter", "environment", "error", "record", "suite", "suite_run", "verdict"])]
fn each_module_uses_only_the_modules_it_may(#[case] module: &str, #[case] may: &[&str]) {
    for path in files(&["rs"]) {
        let inside = path.strip_prefix("gipc-harness/src/").unwrap_or_default();
        if !inside.starts_with(&format!("{module}/")) && inside != format!("{module}.rs") {
            continue;
        }
        for (before, _) in read(&path).match_indices("crate::") {
            let text = read(&path);
            let used: String = text[before + 7..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            assert!(used == module || may.contains(&used.as_str()), "{path} uses {used}");
        }
    }
}

#[test]
fn only_one_module_of_the_harness_names_the_implementation() {
    let name = ["gipc", "_core"].concat();
    let files: BTreeSet<String> = files(&["rs"])
        .into_iter()
        .filter(|path| path.starts_with("gipc-harness/src/") && read(path).contains(&name))
        .collect();
    let expected = ["", "/codecs", "/second_loop"]
        .map(|file| format!("gipc-harness/src/embedded_agent{file}.rs"));
    assert_eq!(files, BTreeSet::from(expected));
}

#[test]
fn no_file_contains_an_absolute_path_of_one_machine() {
    for path in files(&["rs", "md", "toml", "py", "scenario", "snap"]) {
        let text = read(&path);
        for folder in ["work/", "home/", "root/", "tmp/"] {
            let folder = format!("/{folder}");
            assert!(
                !text.contains(&format!(" {folder}")) && !text.contains(&format!("\"{folder}")),
                "{path}: {folder}"
            );
        }
    }
}

#[test]
fn relative_links_in_documents_lead_to_files() {
    for path in files(&["md"]) {
        let folder = root().join(&path).parent().expect("a folder").to_owned();
        for part in read(&path).split("](").skip(1) {
            let link = part.split([')', '#']).next().unwrap_or_default();
            let is_relative = !link.is_empty() && !link.contains("://");
            assert!(!is_relative || folder.join(link).exists(), "{path} links to {link}");
        }
    }
}

#[test]
fn the_documented_verbs_are_those_of_the_parser() {
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
fn the_terminal_output_that_documents_quote_is_in_the_snapshot() {
    let screens = read("tests/snapshots/screens.snap")
        .replace("as fd N", "as fd 12")
        .replace("FOLDER", "tests/inheriting");
    for path in ["README.md", "scenarios/README.md"] {
        let page = read(path);
        let from = page.find("\nDEADLOCK").expect("a quoted report");
        let quoted = page[from..].split("```").next().unwrap_or_default();
        for line in quoted.lines().filter(|line| !line.trim().is_empty()) {
            assert!(
                screens.contains(line.trim()),
                "{path}: the snapshot does not contain {line:?}"
            );
        }
    }
}

#[test]
fn lock_files_outside_the_workspace_match_their_manifests() {
    for path in files(&["lock"]).into_iter().filter(|path| path.ends_with("/Cargo.lock")) {
        let manifest = root().join(&path).with_file_name("Cargo.toml");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
            .arg(&manifest)
            .output()
            .expect("cargo runs the tests");
        let error = String::from_utf8_lossy(&output.stderr);
        // Other errors are ignored: packages that were never fetched cannot be examined without a network.
        let is_outdated = error.contains("because --locked was passed");
        assert!(
            !is_outdated,
            "{path} is outdated: run `cargo metadata --manifest-path {}`",
            manifest.display()
        );
    }
}

/// Whether a reason names a source line, a document or an issue.
fn names_a_source(reason: &str) -> bool {
    let words = ["documentation", "documented", "changelog", "issue ", "gh-", "PEP "];
    let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    words.iter().any(|word| reason.contains(word)) || reason.split(':').skip(1).any(is_number)
}

/// A reason may also refer to the scenario of another known failure that names a source.
#[test]
fn the_reason_of_each_known_failure_names_a_source() {
    for path in files(&["toml"]) {
        if !path.starts_with("adapters/") || !path.ends_with("/adapter.toml") {
            continue;
        }
        let manifest =
            Manifest::parse(&read(&path), &path).unwrap_or_else(|error| panic!("{error}"));
        let mut with_source: BTreeSet<&str> = BTreeSet::new();
        loop {
            let before = with_source.len();
            for known in &manifest.known {
                let refers = || with_source.iter().any(|id| known.reason.contains(*id));
                if names_a_source(&known.reason) || refers() {
                    with_source.extend(known.scenarios.iter().map(String::as_str));
                }
            }
            if with_source.len() == before {
                break;
            }
        }
        let without =
            manifest.known.iter().find(|known| !with_source.contains(known.scenarios[0].as_str()));
        assert!(
            without.is_none(),
            "{path}: {} names no line, document or issue",
            without.map_or("", |known| &known.scenarios[0])
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

/// Whether code uses a word as an identifier: as a whole word outside of string literals and comments.
fn uses_identifier(text: &str, word: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        // String literals contain user-visible texts and JSON keys, which may differ from the identifiers.
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

/// Two files of a module that contain `use super::` of each other form a cycle.
#[test]
fn no_two_files_of_the_harness_import_each_other() {
    let imports = |path: &str| -> BTreeSet<String> {
        let text = read(path);
        // Items of the module's own `mod.rs` are shared by all its files.
        let paths = text.lines().filter_map(|line| line.trim().strip_prefix("use super::"));
        paths
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
            let other = format!("{folder}/{other}.rs");
            if root().join(&other).is_file() {
                assert!(!imports(&other).contains(own), "{path} and {other} import each other");
            }
        }
    }
}
