//! Ways to stand still, each on implementations in several languages: the verdict, the circle and who holds
//! what must be right in every one.
//!
//! A way is a file of `tests/stalls`: a scenario whose comments name the fault that an implementation is given, if it
//! takes one, the verdict, and parts of what is said. With `GIPC_HARNESS_LOAD=8` so many processes are busy meanwhile.

#![cfg(target_os = "linux")]

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

/// An implementation that is right, and how its wrong twin is started.
struct Language {
    name: &'static str,
    adapter: &'static str,
    program: &'static [&'static str],
}

const LANGUAGES: [Language; 4] = [
    Language { name: "tokio", adapter: "gipc-core", program: &[] },
    Language {
        name: "gevent",
        adapter: "gipc-python",
        program: &["adapters/gipc-python/.venv/bin/python", "tests/stalls/wrong_gevent.py"],
    },
    Language {
        name: "blocking",
        adapter: "multiprocessing@spawn",
        program: &["python3", "tests/stalls/wrong_multiprocessing.py"],
    },
    Language {
        name: "node",
        adapter: "node",
        program: &["node", "--no-memory-reducer", "tests/stalls/wrong_node.mjs"],
    },
];

/// How long each took, in seconds.
static TIMES: Mutex<Vec<f64>> = Mutex::new(Vec::new());

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::faulty_agent::play(&arguments[2], &arguments[3..]));
    }
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/stalls"))
        .expect("they are there")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "scenario"))
        .collect();
    files.sort();
    let trials = LANGUAGES.iter().flat_map(|language| {
        let ready = ready(language);
        if let Err(reason) = &ready {
            say(&format!("{} is not asked: {reason}", language.name));
        }
        files.iter().map(move |file| trial(language, file, &ready)).collect::<Vec<_>>()
    });
    let mut arguments = Arguments::from_args();
    // What is measured is one of them, and not two that wait for each other's processor.
    arguments.test_threads = Some(1);
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let mut times = TIMES.lock().expect("no trial panics with it").clone();
    times.sort_by(f64::total_cmp);
    if let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) {
        say(&format!(
            "to the verdict, with all that starts: median {median:.2} s, longest {longest:.2} s"
        ));
    }
    conclusion.exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("a terminal");
}

/// Why an implementation cannot be asked here; where it must be there, that fails each of its trials.
fn ready(language: &Language) -> Result<(), String> {
    let harness = Path::new(env!("CARGO_BIN_EXE_gipc-harness"));
    let adapter = Adapter::load(language.adapter, &root().join("adapters"), harness);
    adapter.and_then(|adapter| adapter.ready()).map_err(|reason| reason.to_string())
}

fn is_required(language: &Language) -> bool {
    std::env::var("GIPC_HARNESS_REQUIRE")
        .is_ok_and(|names| names.split(',').any(|name| name == language.adapter))
}

fn trial(language: &'static Language, file: &Path, ready: &Result<(), String>) -> Trial {
    let way = file.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = fs::read_to_string(file).expect("it can be read");
    let missing = ready.clone().err();
    let unasked = said(&text, "not on").iter().any(|words| words.starts_with(language.name));
    let ignored = unasked || (missing.is_some() && !is_required(language));
    let (name, file) = (format!("{way} on {}", language.name), file.to_owned());
    let ask = move || match missing {
        Some(reason) => Err(Failed::from(reason)),
        None => check(language, &way, &file, &text).map_err(Failed::from),
    };
    Trial::test(name, ask).with_ignored_flag(ignored)
}

/// What the comments of the file say behind this word.
fn said<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# ")?.strip_prefix(word));
    lines
        .filter_map(|rest| rest.trim_start().strip_prefix(": ").or(rest.strip_prefix(' ')))
        .collect()
}

fn check(language: &Language, way: &str, file: &Path, text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let adapter = match said(text, "fault")[..] {
        [fault] => {
            fs::write(folder.path().join("adapter.toml"), manifest(language, fault))
                .expect("a file");
            folder.path().display().to_string()
        }
        _ => language.adapter.to_owned(),
    };
    let load = std::env::var("GIPC_HARNESS_LOAD").unwrap_or_else(|_| "0".into());
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(root())
        .env("NO_COLOR", "1")
        .args(["run", "--unchecked", "--load", &load, "--adapter", &adapter, "--record"])
        .arg(folder.path().join("record"))
        .arg(file)
        .output()
        .expect("it is built");
    let seconds = began.elapsed().as_secs_f64();
    TIMES.lock().expect("no trial panics with it").push(seconds);
    let shown = String::from_utf8_lossy(&output.stdout);
    let got = shown.split_whitespace().next().unwrap_or_default();
    say(&format!("{way:<24} {:<9} {got:<9} {seconds:>5.2} s", language.name));
    let verdict = said(text, "verdict");
    let missing: Vec<_> =
        said(text, "says").into_iter().filter(|words| !shown.contains(words)).collect();
    match verdict == [got] && missing.is_empty() && output.status.code() == Some(1) {
        true => Ok(()),
        false => Err(format!("it should be {verdict:?} and say {missing:?}:\n{shown}")),
    }
}

/// The manifest of the wrong twin.
fn manifest(language: &Language, fault: &str) -> String {
    let own = std::env::current_exe().expect("this program").display().to_string();
    let program = match language.program {
        [] => vec![own, "agent".into()],
        // Files of ours are named whole; the rest is a program on the path, and options.
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
