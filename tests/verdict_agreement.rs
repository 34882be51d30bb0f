//! Tests that a run has the same verdict everywhere: from `run`, from `judge` of its record, from `run` of its record,
//! from `show` of its record and from the library. There is a case for each status.
//!
//! The faulty agents are this program, started with `agent KIND ROLE`; the run through the library is this program too,
//! started with `library ADAPTER FLAGS SCENARIO`.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

mod support {
    pub(crate) mod faulty_agent;
}

use gipc_harness::suite::Suite;
use gipc_harness::suite_run::{RunEvent, RunRequest, SuiteRun};
use gipc_harness::{ConformanceTests, embedded_agent};
use libtest_mimic::{Arguments, Failed, Trial};
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The environment variable that makes this program the conformance tests of an adapter, which is its value.
const CONFORMANCE_OF: &str = "CONFORMANCE_OF";
/// The scenario of these tests.
const NOT_ASKED: &str = "task/cancelled-get-loses-nothing";
const HARNESS: &str = env!("CARGO_BIN_EXE_gipc-harness");

/// A run, and the verdict that it must have.
struct Case {
    /// The expected status.
    status: &'static str,
    name: &'static str,
    /// The kind of the faulty agent, or `gipc-core`.
    agent: &'static str,
    /// Further lines of the manifest.
    manifest: &'static str,
    /// The lines of the skip list, if there is one.
    skips: Option<&'static str>,
    /// The id of a scenario of the suite, or the text of one.
    scenario: &'static str,
    /// Flags of `run`.
    flags: &'static str,
    /// The limit on the number of descriptors of each process, if there is one.
    descriptors: Option<u32>,
}

const BASE: Case = Case {
    status: "PASS",
    name: "",
    agent: "gipc-core",
    manifest: "",
    skips: None,
    scenario: "close/eof-after-close",
    flags: "",
    descriptors: None,
};
const LEAK: &str = "close/sibling-does-not-inherit";
const LEAK_IS_KNOWN: &str = "[[known]]\nscenario = \"close/sibling-does-not-inherit\"\nstep = \"reader get r\"\n\
     outcome = \"blocks\"\nverdict = \"DEADLOCK\"\nsort = \"defect\"\nreason = \"it inherits\"\n";
const EOF_IS_KNOWN: &str = "[keeps]\ninherited = true\nreason = \"it inherits\"\n[[known]]\nscenario = \"close/eof-after-close\"\nstep = \"main get r\"\n\
     outcome = \"blocks\"\nverdict = \"FAIL\"\nsort = \"defect\"\nreason = \"it did\"\n";
/// The parent keeps a copy of the reader, which no outcome shows.
const UNSEEN_LEAK: &str = "main        pipe r w\nmain        spawn child r\nmain        put w \"a\"\n\
     child       get r                       => \"a\"\nmain        join child                  => exit 0\n";
const LATE: &str = "main        pipe r w\nmain        get r within 20ms           => timeout\n";
const CASES: [Case; 18] = [
    Case { name: "a_pass", ..BASE },
    Case { name: "a_kill", flags: "--kill child@1", ..BASE },
    Case { name: "a_pause", flags: "--pause child@2", ..BASE },
    Case { name: "an_exhausted_descriptor_table", flags: "--exhaust-fds main@1", ..BASE },
    Case { name: "another_order", flags: "--order random:7", ..BASE },
    Case { name: "a_concurrent_run", flags: "--concurrent", ..BASE },
    Case {
        status: "SKIP",
        name: "a_skip_by_the_skip_list",
        scenario: "scope/closed-before",
        skips: Some("scope/closed-before\n"),
        ..BASE
    },
    Case {
        status: "ERROR",
        name: "a_skip_that_the_skip_list_lacks",
        agent: "inheriting",
        scenario: "duplex/half-close",
        skips: Some(""),
        ..BASE
    },
    Case {
        status: "SKIP",
        name: "a_skip_by_a_declared_choice",
        agent: "multiprocessing",
        scenario: "frame/a-length-of-minus-one",
        ..BASE
    },
    Case { status: "FAIL", name: "a_leak", agent: "keeps", scenario: UNSEEN_LEAK, ..BASE },
    Case { status: "FAIL", name: "a_late_limit", agent: "late", scenario: LATE, ..BASE },
    Case { status: "DEADLOCK", name: "a_deadlock", agent: "inheriting", scenario: LEAK, ..BASE },
    Case {
        status: "KNOWN",
        name: "a_known_failure",
        agent: "inheriting",
        scenario: LEAK,
        manifest: LEAK_IS_KNOWN,
        ..BASE
    },
    Case {
        status: "FIXED",
        name: "a_known_failure_that_passes",
        agent: "inheriting",
        manifest: EOF_IS_KNOWN,
        ..BASE
    },
    Case {
        status: "HANG",
        name: "a_hang",
        agent: "deaf",
        scenario: "task/neighbour-runs-while-one-waits",
        ..BASE
    },
    Case {
        status: "ERROR",
        name: "a_verb_that_a_declared_profile_lacks",
        agent: "inheriting",
        scenario: "duplex/half-close",
        manifest: "profiles = [\"core\"]\n",
        ..BASE
    },
    Case {
        status: "FAIL",
        name: "an_unchecked_file_that_is_wrong",
        scenario: "main        pipe r w\nmain        close w\nmain        get r                       => \"a\"\n",
        flags: "--unchecked",
        ..BASE
    },
    Case {
        status: "SLOW",
        name: "a_run_without_evidence",
        agent: "computes",
        scenario: "main        pipe r w\nmain        spawn child w\nchild       put w \"a\"\nmain        get r                       => \"a\"\n",
        flags: "--timeout 1 --slow-factor 1",
        ..BASE
    },
];

/// What these tests do to a process, or look up about it, only Linux can do.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    gipc_harness::init();
    if let Ok(adapter) = std::env::var(CONFORMANCE_OF) {
        let tests = ConformanceTests::new("it").adapter(adapter).scenarios([NOT_ASKED]);
        std::process::exit(i32::from(tests.main() != ExitCode::SUCCESS));
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let argument = |index: usize| {
        let argument = arguments.get(index);
        argument.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let code = match (argument(0).as_str(), arguments.len()) {
        ("agent", 2) => embedded_agent::main_agent(&argument(1)),
        ("agent", _) => {
            let rest: Vec<String> = (2..arguments.len()).map(argument).collect();
            support::faulty_agent::play(&argument(1), &rest)
        }
        ("library", _) => library(&argument(1), &argument(2), &argument(3)),
        _ => {
            let trial = |case: &'static Case| {
                Trial::test(format!("{}_has_one_verdict", case.name), move || case.check())
            };
            let mut trials: Vec<Trial> = CASES.iter().map(trial).collect();
            trials.push(Trial::test("a_lack_of_descriptors_has_one_verdict", environment));
            trials.push(Trial::test("too_many_outcomes_have_one_verdict", unknown));
            let name = "a_scenario_that_is_not_asked_is_an_ignored_test_with_its_reason";
            trials.push(Trial::test(name, ignored));
            libtest_mimic::run(&Arguments::from_args(), trials).exit();
        }
    };
    std::process::exit(code);
}

/// Runs one scenario through the library and prints its status. Returns the exit code.
fn library(adapter: &str, flags: &str, scenario: &str) -> i32 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let suite = Suite::find(Some(root.join("scenarios")), Some(root.join("adapters")));
    let suite = suite.expect("the suite is here");
    let mut request = RunRequest {
        names: vec![scenario.to_owned()],
        adapter: Some(adapter.to_owned()),
        ..RunRequest::default()
    };
    let flags: Vec<&str> = flags.split_whitespace().collect();
    for pair in flags.windows(2) {
        if pair[0] == "--timeout" {
            (request.timeout, request.slow_factor) = (pair[1].parse().unwrap_or(60), Some(1));
        }
        let selector = || pair[1].parse().expect("a selector");
        use gipc_harness::variant::VariantRequest;
        match pair[0] {
            "--kill" => request.variant = VariantRequest::Kill(selector()),
            "--pause" => request.variant = VariantRequest::Pause(selector()),
            "--exhaust-fds" => request.variant = VariantRequest::ExhaustFds(selector()),
            "--order" => {
                let order = pair[1].parse().expect("an order");
                request.variant = VariantRequest::Order(order);
            }
            _ => {}
        }
    }
    request.unchecked = flags.contains(&"--unchecked");
    if flags.contains(&"--concurrent") {
        request.variant = gipc_harness::variant::VariantRequest::Concurrent;
    }
    let run = match SuiteRun::prepare(&suite, request) {
        Ok(run) => run,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return error.exit_code().into();
        }
    };
    let result = run.execute(&mut |event| {
        let RunEvent::Finished(run) = event else { return true };
        let _ = writeln!(std::io::stdout(), "{}", run.verdict.status);
        run.verdict.status.is_expected()
    });
    i32::from(result.is_err())
}

impl Case {
    /// Runs the case in all ways and compares the verdicts.
    fn check(&self) -> Result<(), Failed> {
        if self.agent == "multiprocessing"
            && Command::new("python3").arg("--version").output().is_err()
        {
            writeln!(std::io::stdout(), "skipped: there is no python3")?;
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let adapter = self.adapter(folder.path())?;
        let scenario = self.scenario_argument(folder.path())?;
        let records = folder.path().join("records");
        let run = |name: &str, flags: &str| {
            let mut arguments = vec!["run", name, "--format", "json", "--keep", "--record"];
            arguments.push(records.to_str().unwrap_or_default());
            arguments.extend(flags.split_whitespace());
            self.command(HARNESS, &arguments)
        };
        let flags = format!("--adapter {} {}", adapter.display(), self.flags);
        let from_run = verdict_in_json(&run(&scenario, &flags)?)?;
        let record = record_in(&records)?.ok_or("no record was kept")?;
        let record = record.to_str().ok_or("a path")?;
        let judged = self.command(HARNESS, &["judge", record])?;
        let shown = self.command(HARNESS, &["show", record])?;
        let rerun = verdict_in_json(&run(record, &rerun_flags(self.flags))?)?;
        let own = std::env::current_exe()?;
        let adapter = adapter.display().to_string();
        let own = own.to_str().ok_or("a path")?;
        let library = self.command(own, &["library", &adapter, self.flags, &scenario])?;
        let all = [
            ("run", from_run),
            ("judge", judged.split_whitespace().next().unwrap_or_default().to_owned()),
            ("show", shown.trim_end().lines().last().unwrap_or_default().to_owned()),
            ("run of the record", rerun),
            ("library", library.trim().to_owned()),
        ];
        match all.iter().all(|(_, verdict)| verdict == self.status) {
            true => Ok(()),
            false => Err(format!("expected {}, got {all:?}\n{judged}", self.status).into()),
        }
    }

    /// Creates the folder of the adapter. The embedded implementation becomes an external adapter, so that the case can
    /// have its own baseline.
    fn adapter(&self, folder: &Path) -> Result<PathBuf, Failed> {
        if self.agent == "multiprocessing" {
            return Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/multiprocessing"));
        }
        let adapter = folder.join("adapter");
        fs::create_dir(&adapter)?;
        let manifest = if self.agent == "gipc-core" {
            let own = include_str!("../adapters/gipc-core/adapter.toml");
            let (head, choices) = own.split_once("[choices]").unwrap_or((own, ""));
            let choices = match self.manifest.is_empty() {
                true => format!("[choices]{choices}"),
                false => self.manifest.to_owned(),
            };
            format!("command = [{HARNESS:?}, \"gipc-harness:embedded-agent\"]\n{head}\n{choices}")
        } else {
            let (own, kind) = (std::env::current_exe()?, self.agent);
            format!(
                "name = \"{kind}\"\ncommand = [{own:?}, \"agent\", \"{kind}\"]\n{}",
                self.manifest
            )
        };
        fs::write(adapter.join("adapter.toml"), manifest)?;
        if let Some(skips) = self.skips {
            fs::write(adapter.join("skips.txt"), skips)?;
        }
        Ok(adapter)
    }

    /// The id of the scenario, or the path of a file with its text.
    fn scenario_argument(&self, folder: &Path) -> Result<String, Failed> {
        if !self.scenario.contains('\n') {
            return Ok(self.scenario.to_owned());
        }
        let file = folder.join("case.scenario");
        fs::write(&file, self.scenario)?;
        Ok(file.display().to_string())
    }

    /// Runs a program at the root of the project, with the limit of the case. Returns its stdout.
    fn command(&self, program: &str, arguments: &[&str]) -> Result<String, Failed> {
        let mut command = match self.descriptors {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), program]);
                shell
            }
        };
        let output = command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env("GIPC_HARNESS_CACHE", "")
            .args(arguments)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text.is_empty() {
            true => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
            false => Ok(text),
        }
    }
}

/// The flags that a record does not contain: the timeout.
fn rerun_flags(flags: &str) -> String {
    match flags.contains("--timeout") {
        true => flags.to_owned(),
        false => String::new(),
    }
}

/// The status in the first line of JSON.
fn verdict_in_json(text: &str) -> Result<String, Failed> {
    let line = text.lines().next().unwrap_or_default();
    let result: serde_json::Value = serde_json::from_str(line)?;
    Ok(result["verdict"].as_str().unwrap_or_default().to_owned())
}

/// The record in a folder, at any depth.
fn record_in(folder: &Path) -> Result<Option<PathBuf>, Failed> {
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path)?.flatten().map(|entry| entry.path()));
        } else if path.ends_with("record.jsonl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Runs [`NOT_ASKED`] as a test of a crate, on an adapter without the profile that the scenario needs.
fn ignored() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let case = Case { agent: "inheriting", manifest: "profiles = [\"core\"]\n", ..BASE };
    let output = Command::new(std::env::current_exe()?)
        .env(CONFORMANCE_OF, case.adapter(folder.path())?)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_ignored = text.contains("the manifest does not declare the profile tasks")
        && text.contains("1 passed; 0 failed; 1 ignored");
    match output.status.success() && is_ignored {
        true => Ok(()),
        false => Err(format!("{}\n{text}", output.status).into()),
    }
}

/// Checks a run that lacks descriptors: a hundred children need more than 120.
fn environment() -> Result<(), Failed> {
    let case = Case {
        status: "ENVIRONMENT",
        name: "",
        scenario: "children/alive-100",
        descriptors: Some(120),
        ..BASE
    };
    case.check()
}

/// Checks a run with more allowed traces than the model explores. More tasks or messages only take more time.
fn unknown() -> Result<(), Failed> {
    let puts = |at: usize| {
        let put = move |task: usize| format!("main/t{task}     put w \"message {at} of {task}\"\n");
        (1..=2).map(put).collect::<String>()
    };
    let puts: String = (1..=4).map(puts).collect();
    let gets = "main        get r                       => \"message 1 of 1\"\n".repeat(8);
    let text = format!("# Two tasks race for one pipe.\n\nmain        pipe r w\n{puts}{gets}");
    let text: &'static str = Box::leak(text.into_boxed_str());
    Case { status: "UNKNOWN", name: "", scenario: text, flags: "--unchecked", ..BASE }.check()
}
