//! Stalls of several kinds, each on implementations in several languages: the harness must report the right verdict,
//! wait-for cycle and holders of the pipe ends for each of them.
//!
//! A stall is a file of `tests/stalls`: a scenario whose comments state the fault that is injected into the
//! implementation, if it needs one, the verdict, and parts of the output. `GIPC_HARNESS_LOAD=8` runs eight busy
//! processes meanwhile. `-- --test-threads=1` also prints how long the runs took, which means little if several compete
//! for processors.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

mod support {
    pub(crate) mod faulty_agent;
}

use gipc_harness::adapter::Adapter;
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

/// A correct implementation, and the command of its faulty variant.
struct Language {
    name: &'static str,
    /// The adapter of the correct implementation.
    adapter: &'static str,
    /// The command of the faulty variant, without the fault; empty for the agent in this test program.
    faulty: &'static [&'static str],
}

const LANGUAGES: [Language; 4] = [
    Language { name: "tokio", adapter: "gipc-core", faulty: &[] },
    Language {
        name: "gevent",
        adapter: "gipc-python",
        faulty: &["adapters/gipc-python/.venv/bin/python", "tests/stalls/faulty_gevent.py"],
    },
    Language {
        name: "blocking",
        adapter: "multiprocessing@spawn",
        faulty: &["python3", "tests/stalls/faulty_multiprocessing.py"],
    },
    Language {
        name: "node",
        adapter: "node",
        faulty: &["node", "--no-memory-reducer", "tests/stalls/faulty_node.mjs"],
    },
];

/// How long each run took, in seconds.
static TIMES: Mutex<Vec<f64>> = Mutex::new(Vec::new());

/// What these tests do to a process, or look up about it, only Linux can do.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::faulty_agent::play(&arguments[2], &arguments[3..]));
    }
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/stalls"))
        .expect("the folder of stalls")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "scenario"))
        .collect();
    files.sort();
    let trials = LANGUAGES.iter().flat_map(|language| {
        let readiness = check_ready(language);
        if let Err(reason) = &readiness {
            print(&format!("{} is skipped: {reason}", language.name));
        }
        files.iter().map(move |file| trial(language, file, &readiness)).collect::<Vec<_>>()
    });
    let arguments = Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let mut times = TIMES.lock().expect("no trial panics while it holds the lock").clone();
    times.sort_by(f64::total_cmp);
    if let (Some(1), Some(median), Some(longest)) =
        (arguments.test_threads, times.get(times.len() / 2), times.last())
    {
        print(&format!("from start to verdict: median {median:.2} s, longest {longest:.2} s"));
    }
    conclusion.exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn print(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("stdout is open");
}

/// Checks whether an implementation can run on this machine. If it cannot, its trials are skipped, or fail if
/// `GIPC_HARNESS_REQUIRE` lists its adapter.
fn check_ready(language: &Language) -> Result<(), String> {
    let harness = Path::new(env!("CARGO_BIN_EXE_gipc-harness"));
    let adapter = Adapter::load(language.adapter, &root().join("adapters"), harness);
    adapter.and_then(|adapter| adapter.ready()).map_err(|reason| reason.to_string())
}

fn is_required(language: &Language) -> bool {
    std::env::var("GIPC_HARNESS_REQUIRE")
        .is_ok_and(|names| names.split(',').any(|name| name == language.adapter))
}

fn trial(language: &'static Language, file: &Path, readiness: &Result<(), String>) -> Trial {
    let stall = file.file_stem().expect("a file name").to_string_lossy().into_owned();
    let text = fs::read_to_string(file).expect("the scenario can be read");
    let missing = readiness.clone().err();
    let excluded = keyword(&text, "not on").iter().any(|words| words.starts_with(language.name));
    let ignored = excluded || (missing.is_some() && !is_required(language));
    let (name, file) = (format!("{stall} on {}", language.name), file.to_owned());
    let test = move || match missing {
        Some(reason) => Err(Failed::from(reason)),
        None => check(language, &stall, &file, &text).map_err(Failed::from),
    };
    Trial::test(name, test).with_ignored_flag(ignored)
}

/// Returns all values of a keyword in the comments of a scenario: `# KEYWORD: value` or `# KEYWORD value`.
fn keyword<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# ")?.strip_prefix(name));
    lines
        .filter_map(|rest| rest.trim_start().strip_prefix(": ").or(rest.strip_prefix(' ')))
        .collect()
}

fn check(language: &Language, stall: &str, file: &Path, text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let adapter = match keyword(text, "fault")[..] {
        [fault] => {
            fs::write(folder.path().join("adapter.toml"), manifest(language, fault))
                .expect("the manifest is written");
            folder.path().display().to_string()
        }
        _ => language.adapter.to_owned(),
    };
    let load = std::env::var("GIPC_HARNESS_LOAD").unwrap_or_else(|_| "0".into());
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(root())
        .env("NO_COLOR", "1")
        .args(["run", "--unchecked", "--load", &load, "--adapter", &adapter, "--record"])
        .arg(folder.path().join("record"))
        .arg(file)
        .output()
        .expect("the harness starts");
    let seconds = start.elapsed().as_secs_f64();
    TIMES.lock().expect("no trial panics while it holds the lock").push(seconds);
    let shown = String::from_utf8_lossy(&output.stdout);
    let verdict = shown.split_whitespace().next().unwrap_or_default();
    print(&format!("{stall:<36} {:<9} {verdict:<9} {seconds:>5.2} s", language.name));
    let expected = keyword(text, "verdict");
    let missing: Vec<_> =
        keyword(text, "says").into_iter().filter(|words| !shown.contains(words)).collect();
    match expected == [verdict] && missing.is_empty() && output.status.code() == Some(1) {
        true => Ok(()),
        false => Err(format!("expected {expected:?}; missing words: {missing:?}\n{shown}")),
    }
}

/// The manifest of the faulty variant.
fn manifest(language: &Language, fault: &str) -> String {
    let this_program = std::env::current_exe().expect("the path of this program");
    let program = match language.faulty {
        [] => vec![this_program.display().to_string(), "agent".into()],
        // Files of the project get absolute paths; other words are programs on the path, or options.
        words => words
            .iter()
            .map(|word| match root().join(word) {
                file if file.exists() => file.display().to_string(),
                _ => (*word).to_owned(),
            })
            .collect(),
    };
    let words: Vec<String> =
        program.iter().map(String::as_str).chain([fault]).map(|word| format!("{word:?}")).collect();
    format!("name = \"{}\"\ncommand = [{}]\n", language.name, words.join(", "))
}
