//! Tests what the harness reports about faulty adapters, and that a run continues after them; and tests the baseline,
//! the output formats, `adapter check` and `explore`.
//!
//! The faulty agents are this program, started with `agent KIND ROLE`.

mod support {
    pub(crate) mod faulty_agent;
}

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == "agent") {
        std::process::exit(agent(&arguments[2], &arguments[3..]));
    }
    let trials = vec![
        Trial::test(
            "an_inherited_handle_is_reported_with_its_holder_and_the_line_of_the_spawn",
            inherited,
        ),
        Trial::test("a_lost_wake_up_is_a_hang", || {
            hangs(
                "deaf",
                "task/neighbour-runs-while-one-waits",
                "main's loop turns, and get r does not end",
            )
        }),
        Trial::test(
            "a_blocked_event_loop_is_a_hang_with_the_system_call_that_it_sleeps_in",
            || {
                hangs(
                    "blocking",
                    "task/neighbour-runs-while-one-waits",
                    "main's loop does not turn: it sleeps in poll",
                )
            },
        ),
        Trial::test("an_agent_whose_program_does_not_exist_is_one_error", absent),
        Trial::test("a_supervisor_that_cannot_start_a_thread_reports_the_error", starved),
        Trial::test("an_agent_that_exits_before_hello_is_an_error_with_its_output", || {
            check("dies", "ended before it said hello", "I die here")
        }),
        Trial::test("an_agent_that_never_connects_is_an_error_and_not_a_hang", || {
            check("mute", "did not connect", "")
        }),
        Trial::test("an_agent_of_another_protocol_version_is_an_error", || {
            check("version", "uses protocol 99", "")
        }),
        Trial::test("an_agent_with_the_wrong_token_is_an_error", || check("token", "token", "")),
        Trial::test("an_agent_that_sends_no_message_of_the_protocol_is_an_error", || {
            check("garbage", "no message of protocol", "")
        }),
        Trial::test("an_agent_that_sends_an_endless_line_is_an_error", || {
            check("endless", "more than 65536", "")
        }),
        Trial::test("an_agent_that_ends_a_step_that_was_not_released_is_an_error", || {
            check("eager", "reported on step", "")
        }),
        Trial::test("an_agent_that_exits_in_its_first_step_is_not_a_pass", || {
            check("half", "", "")
        }),
        Trial::test("a_known_failure_is_expected_only_with_its_fingerprint", known),
        Trial::test("a_skip_must_be_in_the_skip_list_and_accept_updates_the_list", skips),
        Trial::test("with_format_json_each_result_is_one_line", json_lines),
        Trial::test("a_record_that_cannot_be_written_is_reported_and_hides_no_verdict", unwritable),
        Trial::test("a_report_that_cannot_be_written_is_not_a_pass", full_disk),
        Trial::test("the_terminal_output_matches_its_snapshot", screens),
        Trial::test("an_unknown_adapter_is_a_usage_error", unknown),
        Trial::test("a_failed_contract_check_shows_the_messages", inspected),
        Trial::test("exploring_a_correct_implementation_finds_nothing", explored_without_a_finding),
        Trial::test(
            "exploring_a_faulty_implementation_finds_a_small_scenario",
            explored_with_a_finding,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The main function of a faulty agent. Returns the exit code.
fn agent(kind: &str, rest: &[String]) -> i32 {
    match kind {
        "inheriting" | "deaf" | "blocking" => return support::faulty_agent::play(kind, rest),
        "dies" => {
            writeln!(std::io::stdout(), "I die here").expect("a file");
            return 1;
        }
        "mute" => loop {
            std::thread::park();
        },
        _ => {}
    }
    let socket = std::env::var("GIPC_HARNESS_SOCKET").expect("started by the harness");
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let token = std::env::var("GIPC_HARNESS_TOKEN").expect("started by the harness");
    let hello = json!({
        "type": "hello",
        "protocol": if kind == "version" { 99 } else { 1 },
        "token": if kind == "token" { "stolen".into() } else { token },
        "role": rest[0],
        "pid": std::process::id(),
        "implementation": { "name": kind, "version": "0" },
        "profiles": ["core"],
        "control": "loop",
    });
    writeln!(stream, "{hello}").expect("it listens");
    match kind {
        "garbage" => writeln!(stream, "Segmentation fault").expect("it listens"),
        "endless" => drop(stream.write_all(&vec![b'x'; 1 << 20])),
        "eager" => {
            writeln!(stream, r#"{{"type":"end","id":3,"pid":1,"outcome":{{"is":"ok"}}}}"#)
                .expect("it listens");
        }
        _ => {}
    }
    for line in BufReader::new(stream.try_clone().expect("a copy")).lines() {
        // Exits when its first step is released.
        if kind == "half" && line.is_ok_and(|line| line.contains("step")) {
            return 7;
        }
    }
    0
}

/// Runs scenarios on a faulty adapter of this kind. Returns the terminal output and the exit code.
fn run(kind: &str, scenarios: &[&str]) -> Result<(String, i32), Failed> {
    run_with(kind, "", scenarios)
}

/// Like `run`, with more lines in the manifest.
fn run_with(kind: &str, more: &str, scenarios: &[&str]) -> Result<(String, i32), Failed> {
    let folder = folder(kind, more)?;
    let record = folder.path().join("record");
    let mut arguments = vec!["run", "--adapter", folder.path().to_str().ok_or("a path")?];
    arguments.extend(["--record", record.to_str().ok_or("a path")?]);
    arguments.extend(scenarios);
    let (text, code) = harness(&arguments)?;
    Ok((text.replace(folder.path().to_str().ok_or("a path")?, "FOLDER"), code))
}

/// Creates the folder of a faulty adapter, with its manifest.
fn folder(kind: &str, more: &str) -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let program = if kind == "absent" { Path::new("/nowhere/at-all") } else { own.as_path() };
    let manifest =
        format!("name = \"{kind}\"\ncommand = [{program:?}, \"agent\", \"{kind}\"]\n{more}");
    fs::write(folder.path().join("adapter.toml"), manifest)?;
    Ok(folder)
}

/// Runs the embedded implementation as an external adapter whose skip list and known failures are wrong at first.
fn skips() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let adapter = folder.path().to_str().ok_or("a path")?;
    // Without profiles the manifest makes no statement, so that each skip must be listed.
    let own = include_str!("../adapters/gipc-core/adapter.toml");
    let own = own.lines().filter(|line| !line.starts_with("profiles"));
    let own = own.collect::<Vec<_>>().join("\n");
    let command = json!([env!("CARGO_BIN_EXE_gipc-harness"), "gipc-harness:embedded-agent"]);
    let manifest = format!("command = {command}\n{own}");
    fs::write(folder.path().join("adapter.toml"), &manifest)?;
    fs::write(folder.path().join("skips.txt"), "close/twice\n")?;
    let check = |arguments: &[&str], expected: i32, part: &str| {
        let (text, code) = harness(&[&["run", "--adapter", adapter], arguments].concat())?;
        match code == expected && text.contains(part) {
            true => Ok(()),
            false => Err(Failed::from(format!(
                "{arguments:?}: exit {code}, not {expected}, and\n{text}"
            ))),
        }
    };
    check(&["close/twice"], 1, "skips.txt lists it")?;
    check(&["scope/closed-before"], 3, "skips.txt does not list it")?;
    check(&["scope/closed-before"], 3, "--accept")?;
    check(&["close/twice", "scope/closed-before", "--accept"], 0, "skips.txt is changed")?;
    let text = fs::read_to_string(folder.path().join("skips.txt"))?;
    if text != "close/twice two-loops\nscope/closed-before default\n" {
        return Err(format!("skips.txt contains {text:?}").into());
    }
    check(&["close/twice", "scope/closed-before"], 0, "1 passed, 1 skipped")?;
    let known = "scenario = \"close/thrice\"\nstep = \"*\"\noutcome = \"*\"\nverdict = \"FAIL\"\nsort = \"choice\"";
    let manifest = format!("{manifest}\n[[known]]\n{known}\nreason = \"it was there\"\n");
    fs::write(folder.path().join("adapter.toml"), &manifest)?;
    check(&["close/twice"], 2, "names the scenario close/thrice, which does not exist")?;
    check(&["close/twice", "--accept"], 0, "removed    close/thrice: there is no such scenario")?;
    check(&["close/twice"], 0, "1 passed")
}

fn inspected() -> Result<(), Failed> {
    let folder = folder("eager", "")?;
    let (text, code) = harness(&["adapter", "check", folder.path().to_str().ok_or("a path")?])?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("the conversation") && text.contains("did not refuse"), "{text}");
    Ok(())
}

fn explored_without_a_finding() -> Result<(), Failed> {
    let (text, code) = harness(&["explore", "--seed", "1", "--count", "15", "--for", "600"])?;
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("15 scenarios in "), "{text}");
    Ok(())
}

/// The file that `explore` writes is small, says how the failure was found, and fails in the same way when it is run.
fn explored_with_a_finding() -> Result<(), Failed> {
    let folder = folder("deaf", "")?;
    let path = folder.path().to_str().ok_or("a path")?;
    let out = folder.path().join("found");
    let out = out.to_str().ok_or("a path")?;
    let arguments = ["explore", "--adapter", path, "--seed", "1", "--for", "600", "--out", out];
    let (text, code) = harness(&arguments)?;
    assert_eq!(code, 1, "{text}");
    let file = fs::read_dir(out)?.flatten().next().ok_or("a file")?.path();
    let script = fs::read_to_string(&file)?;
    assert!(script.starts_with("# Found by `explore --seed "), "{script}");
    let lines = script.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    assert!(lines <= 6, "{script}");
    let (text, code) = harness(&["run", "--adapter", path, file.to_str().ok_or("a path")?])?;
    let verdict = script.split([':', ',']).nth(1).unwrap_or("?").trim();
    assert!(code == 1 && text.starts_with(verdict), "{script}\n{text}");
    Ok(())
}

/// Starts the harness at the root of the project. Returns stdout, then stderr, and the exit code.
fn harness(arguments: &[&str]) -> Result<(String, i32), Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = text + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.code().unwrap_or(-1)))
}

/// Runs two scenarios on a faulty adapter and expects both texts in the output.
fn check(kind: &str, reason: &str, printed: &str) -> Result<(), Failed> {
    let (text, code) = run(kind, &["close/eof-after-close", "message/empty-is-not-eof"])?;
    let expected = if kind == "half" { 1 } else { 3 };
    if code != expected
        || !text.contains(reason)
        || !text.contains(printed)
        || !text.contains("2 of 2 ran")
    {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

/// What no run could start is said once, before anything runs.
fn absent() -> Result<(), Failed> {
    let (text, code) = run("absent", &["close/eof-after-close", "message/empty-is-not-eof"])?;
    let expected = "error: absent cannot run here: there is no /nowhere/at-all";
    match code == 3 && text.trim_end() == expected {
        true => Ok(()),
        false => Err(format!("exit {code}, and\n{text}").into()),
    }
}

/// The environment of an adapter is that of its supervisor, too: no system has room for a stack of a pebibyte.
fn starved() -> Result<(), Failed> {
    let folder = folder("mute", "env = { RUST_MIN_STACK = \"1125899906842624\" }\n")?;
    let adapter = folder.path().to_str().ok_or("a path")?;
    let (text, code) = harness(&["run", "--adapter", adapter, "close/twice"])?;
    match code == 3 && text.contains("cannot start: no thread of the supervisor: ") {
        true => Ok(()),
        false => Err(format!("exit {code}, and\n{text}").into()),
    }
}

fn inherited() -> Result<(), Failed> {
    let (text, code) = run("inheriting", &["close/sibling-does-not-inherit"])?;
    let sentence = "sleeper was never given w; it inherited it, as fd ";
    let is_reported = text
        .split(sentence)
        .nth(1)
        .is_some_and(|rest| rest.contains("when it was spawned (line 7)"));
    if code != 1 || !is_reported || !text.contains("DEADLOCK  close/sibling-does-not-inherit") {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

/// Runs a scenario on a faulty adapter and expects a hang with this sentence.
fn hangs(kind: &str, id: &str, sentence: &str) -> Result<(), Failed> {
    let (text, code) = run(kind, &[id])?;
    if code != 1 || !text.contains(&format!("HANG  {id}")) || !text.contains(sentence) {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

/// The terminal output of several commands in one snapshot, so that a change of texts is reviewed as a whole.
fn screens() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let illegal = folder.path().join("wrong.scenario");
    fs::write(&illegal, "# A mistake.\n\nmain        pipe r w\nmain        put r \"a\"\n")?;
    let illegal = illegal.to_str().ok_or("a path")?;
    let wrong_outcome = folder.path().join("author.scenario");
    fs::write(
        &wrong_outcome,
        "# A wrong belief.\n\nmain        pipe r w\nmain        close w\nmain        get r                       => \"a\"\n",
    )?;
    let wrong_outcome = wrong_outcome.to_str().ok_or("a path")?;
    let mut all = String::new();
    let mut show = |title: &str, (text, code): (String, i32)| {
        all += &format!("## {title}\n\n{}\nexit {code}\n\n", text.trim_end());
    };
    show("a leak", run("inheriting", &["close/sibling-does-not-inherit"])?);
    show("a lost wake-up", run("deaf", &["task/neighbour-runs-while-one-waits"])?);
    show("an adapter that dies", run("dies", &["close/eof-after-close"])?);
    show("a scenario that cannot be meant", harness(&["run", illegal])?);
    show("an author who is wrong", harness(&["check", wrong_outcome])?);
    show("a name that is nearly right", harness(&["run", "eof-after"])?);
    show("a passing run", harness(&["run", "close", "deadlock", "--adapter", "model"])?);
    show("lanes", harness(&["show", "close/half-message"])?);
    let all = all.replace(folder.path().to_str().ok_or("a path")?, "FOLDER");
    let all = number_after(&number_after(&all, "as fd ", "N"), " ran in ", "0.0");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("screens", all));
    Ok(())
}

/// Replaces the number after each mark, since times and descriptors differ from run to run.
fn number_after(text: &str, mark: &str, instead: &str) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += mark;
        out += instead;
        out += part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    }
    out
}

fn known() -> Result<(), Failed> {
    let entry = |scenario: &str, step: &str, outcome: &str, more: &str| {
        format!(
            "[[known]]\nscenario = {scenario:?}\nstep = {step:?}\noutcome = {outcome:?}\nverdict = \"DEADLOCK\"\nsort = \"defect\"\n{more}\n"
        )
    };
    let (fails, passes) = ("close/sibling-does-not-inherit", "close/eof-after-close");
    let reason = "reason = \"it inherits\"";
    let sometimes = "reason = \"it inherits\"\nsometimes = true";
    let keeps = "[keeps]\ninherited = true\nreason = \"it inherits\"\n";
    for (manifest, scenario, expected, part) in [
        (entry(fails, "reader get r", "blocks", reason), fails, 0, "1 known"),
        (
            entry(fails, "reader get r", "eof", reason),
            fails,
            1,
            "lists another failure of this scenario",
        ),
        (entry(passes, "main get r", "blocks", reason), passes, 1, "delete the entry"),
        (entry(passes, "main get r", "blocks", sometimes), passes, 0, "1 passed"),
        (
            entry(fails, "reader get r", "blocks", "reason = \"\""),
            fails,
            1,
            "its sort or its reason is empty",
        ),
        (
            entry(fails, "reader get r", "blocks", reason).replace("defect", ""),
            fails,
            1,
            "its sort or its reason is empty",
        ),
        (
            entry(fails, "reader get r", "blocks", reason).replace("defect", "mishap"),
            fails,
            2,
            "expected one of `defect`, `choice`, `adapter`, `suite`",
        ),
        ("[surprise]".into(), fails, 2, "unknown field `surprise`"),
    ] {
        let (text, code) = run_with("inheriting", &format!("{keeps}{manifest}"), &[scenario])?;
        if code != expected || !text.contains(part) {
            return Err(format!("{manifest}exit {code}, and\n{text}").into());
        }
    }
    Ok(())
}

fn json_lines() -> Result<(), Failed> {
    let (text, code) = harness(&["run", "close", "--adapter", "model", "--format", "json"])?;
    let lines: Vec<serde_json::Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (summary, results) = lines.split_last().ok_or("the output is empty")?;
    let passed = results.iter().filter(|result| result["verdict"] == "PASS").count();
    if code != 0
        || passed != results.len()
        || summary["done"] != passed
        || summary["partial"] != false
    {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

fn unwritable() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "not a folder")?;
    let own = std::env::current_exe()?;
    fs::write(
        folder.path().join("adapter.toml"),
        format!("name = \"deaf\"\ncommand = [{own:?}, \"agent\", \"deaf\"]\n"),
    )?;
    let (folder, file) = (folder.path().to_string_lossy(), file.to_string_lossy());
    let id = "task/neighbour-runs-while-one-waits";
    let (text, code) = harness(&["run", id, "--adapter", &folder, "--record", &file])?;
    if code != 1 || !text.contains("cannot write the record to") || !text.contains("HANG") {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

fn full_disk() -> Result<(), Failed> {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else { return Ok(()) };
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["run", "close", "--adapter", "model"])
        .stdout(full)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(3) || !text.contains("cannot write the report") {
        return Err(format!("{}: {text}", output.status).into());
    }
    Ok(())
}

fn unknown() -> Result<(), Failed> {
    let (text, code) = harness(&["run", "--adapter", "nobody"])?;
    if code != 2 || !text.contains("adapters here are ") {
        return Err(text.into());
    }
    Ok(())
}
