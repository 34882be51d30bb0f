//! What the harness says of adapters that are wrong on purpose, and that the rest of a run goes on.
//!
//! The wrong adapters are this very program, started with `agent KIND ROLE`.

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
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(agent(&arguments[2], &arguments[3..]));
    }
    let trials = vec![
        Trial::test("a_handle_that_was_inherited_is_named_with_its_holder_and_its_line", inherited),
        Trial::test("a_wake_up_that_was_lost_is_a_hang", || {
            hangs(
                "deaf",
                "task/neighbour-runs-while-one-waits",
                "main's loop turns, and get r does not end",
            )
        }),
        Trial::test("a_loop_that_is_blocked_is_a_hang_with_the_call_it_sleeps_in", || {
            hangs(
                "blocking",
                "task/neighbour-runs-while-one-waits",
                "main's loop does not turn: it sleeps in poll",
            )
        }),
        Trial::test("one_that_cannot_be_started_is_an_error", || {
            check("absent", "cannot start", "")
        }),
        Trial::test("one_that_dies_is_an_error_with_what_it_printed", || {
            check("dies", "ended before it said hello", "I die here")
        }),
        Trial::test("one_that_never_dials_is_an_error_and_not_a_hang", || {
            check("mute", "did not dial", "")
        }),
        Trial::test("one_of_another_protocol_is_an_error", || {
            check("version", "speaks protocol 99", "")
        }),
        Trial::test("one_without_the_token_is_an_error", || check("token", "token", "")),
        Trial::test("one_that_sends_garbage_is_an_error", || {
            check("garbage", "no message of protocol", "")
        }),
        Trial::test("one_that_sends_no_end_of_a_line_is_an_error", || {
            check("endless", "more than 65536", "")
        }),
        Trial::test("one_that_ends_a_step_it_was_not_told_is_an_error", || {
            check("eager", "spoke of step", "")
        }),
        Trial::test("one_that_dies_in_the_middle_is_not_a_pass", || check("half", "", "")),
        Trial::test("a_known_failure_is_expected_as_long_as_it_is_that_one", known),
        Trial::test("what_is_skipped_is_a_list_that_does_not_change_unseen", skips),
        Trial::test("for_programs_each_result_is_a_line_of_json", json_lines),
        Trial::test("evidence_that_cannot_be_kept_is_said_and_hides_no_verdict", unwritable),
        Trial::test("a_report_that_nobody_could_read_is_no_pass", full_disk),
        Trial::test("the_screens_are_as_they_were", screens),
        Trial::test("an_unknown_adapter_is_a_usage_error", unknown),
        Trial::test("a_new_adapter_keeps_the_contract", scaffold),
        Trial::test("who_does_not_keep_the_contract_is_shown_his_own_words", inspected),
        Trial::test("exploring_what_is_right_finds_nothing", explored_without_a_finding),
        Trial::test("exploring_what_is_wrong_finds_a_few_lines", explored_with_a_finding),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

// The adapters.

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
        // Dies when it is told its first step.
        if kind == "half" && line.is_ok_and(|line| line.contains("step")) {
            return 7;
        }
    }
    0
}

// The questions.

/// Runs scenarios on a wrong adapter of this kind. Returns what the terminal shows, and the exit code.
fn run(kind: &str, what: &[&str]) -> Result<(String, i32), Failed> {
    run_with(kind, "", what)
}

/// The same with more lines in the manifest.
fn run_with(kind: &str, more: &str, what: &[&str]) -> Result<(String, i32), Failed> {
    let folder = folder(kind, more)?;
    let record = folder.path().join("record");
    let mut arguments = vec!["run", "--adapter", folder.path().to_str().ok_or("a path")?];
    arguments.extend(["--record", record.to_str().ok_or("a path")?]);
    arguments.extend(what);
    let (text, code) = harness(&arguments)?;
    Ok((text.replace(folder.path().to_str().ok_or("a path")?, "FOLDER"), code))
}

/// A folder with the manifest of a wrong adapter.
fn folder(kind: &str, more: &str) -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let program = if kind == "absent" { Path::new("/nowhere/at-all") } else { own.as_path() };
    let manifest =
        format!("name = \"{kind}\"\ncommand = [{program:?}, \"agent\", \"{kind}\"]\n{more}");
    fs::write(folder.path().join("adapter.toml"), manifest)?;
    Ok(folder)
}

/// The beginning of an adapter in Python, beside a copy of the kit. The one in Rust takes a minute to build: CI does it.
/// The embedded implementation as a stranger's, whose lists say too much and too little.
fn skips() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let here = folder.path().to_str().ok_or("a path")?;
    let own = include_str!("../adapters/gipc-core/adapter.toml");
    let command = json!([env!("CARGO_BIN_EXE_gipc-harness"), "agent"]);
    let manifest = format!("command = {command}\n{own}");
    fs::write(folder.path().join("adapter.toml"), &manifest)?;
    fs::write(folder.path().join("skips.txt"), "close/twice\n")?;
    let check = |words: &[&str], code: i32, says: &str| {
        let (text, came) = harness(&[&["run", "--adapter", here], words].concat())?;
        match came == code && text.contains(says) {
            true => Ok(()),
            false => Err(Failed::from(format!("{words:?}: exit {came}, not {code}, and\n{text}"))),
        }
    };
    check(&["close/twice"], 1, "skips.txt lists it")?;
    check(&["scope/closed-before"], 3, "skips.txt does not list it")?;
    check(&["scope/closed-before"], 3, "--accept")?;
    check(&["close/twice", "scope/closed-before", "--accept"], 0, "skips.txt is written anew")?;
    let text = fs::read_to_string(folder.path().join("skips.txt"))?;
    if text != "scope/closed-before\n" {
        return Err(format!("skips.txt says {text:?}").into());
    }
    check(&["close/twice", "scope/closed-before"], 0, "1 passed, 1 skipped")?;
    let known = "scenario = \"close/thrice\"\nstep = \"*\"\noutcome = \"*\"\nverdict = \"FAIL\"\nsort = \"choice\"";
    let manifest = format!("{manifest}\n[[known]]\n{known}\nreason = \"it was there\"\n");
    fs::write(folder.path().join("adapter.toml"), &manifest)?;
    check(&["close/twice"], 2, "speaks of close/thrice, and there is no such scenario")?;
    check(&["close/twice", "--accept"], 0, "adapter.toml is written anew")?;
    check(&["close/twice"], 0, "1 passed")
}

fn scaffold() -> Result<(), Failed> {
    let adapters = tempfile::tempdir()?;
    let folder = adapters.path().to_str().ok_or("a path")?;
    let named = |words: &[&str]| harness(&[&["--adapters", folder, "adapter"], words].concat());
    let check = |words: &[&str], code: i32, says: &str| {
        let (text, came) = named(words)?;
        match came == code && text.contains(says) {
            true => Ok(()),
            false => Err(Failed::from(format!("{words:?}: exit {came}, and\n{text}"))),
        }
    };
    for (lang, program) in [("python", "python3"), ("node", "node")] {
        if Command::new(program).arg("--version").output().is_err() {
            writeln!(std::io::stdout(), "not asked: there is no {program}")?;
            continue;
        }
        let kit = adapters.path().join("kit").join(lang);
        fs::create_dir_all(&kit)?;
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/kit").join(lang);
        for file in fs::read_dir(from)?.flatten().filter(|file| file.path().is_file()) {
            fs::copy(file.path(), kit.join(file.file_name()))?;
        }
        let name = format!("in-{lang}");
        check(
            &["new", &name, "--lang", lang],
            0,
            &format!("next: cargo harness adapter check {name}"),
        )?;
        check(&["check", &name], 0, "it keeps the contract")?;
        check(&["new", &name, "--lang", lang], 2, "is there already")?;
    }
    check(&["new", "My Own", "--lang", "rust"], 2, "is no name of an adapter")
}

fn inspected() -> Result<(), Failed> {
    let folder = folder("eager", "")?;
    let (text, code) = harness(&["adapter", "check", folder.path().to_str().ok_or("a path")?])?;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the conversation") && text.contains("spoke of step"), "{text}");
    Ok(())
}

fn explored_without_a_finding() -> Result<(), Failed> {
    let (text, code) = harness(&["explore", "--seed", "1", "--count", "15", "--for", "600"])?;
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("15 scenarios in "), "{text}");
    Ok(())
}

/// What is found is small, says how it was found, can be read, and fails in the same way when it is run.
fn explored_with_a_finding() -> Result<(), Failed> {
    let folder = folder("deaf", "")?;
    let path = folder.path().to_str().ok_or("a path")?;
    let out = folder.path().join("found");
    let out = out.to_str().ok_or("a path")?;
    let arguments = ["explore", "--adapter", path, "--seed", "1", "--for", "600", "--out", out];
    let (text, code) = harness(&arguments)?;
    assert_eq!(code, 1, "{text}");
    let file = fs::read_dir(out)?.flatten().next().ok_or("a file")?.path();
    let found = fs::read_to_string(&file)?;
    assert!(found.starts_with("# Found by `explore --seed "), "{found}");
    let lines = found.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    assert!(lines <= 6, "{found}");
    let (text, code) = harness(&["run", "--adapter", path, file.to_str().ok_or("a path")?])?;
    let verdict = found.split([':', ',']).nth(1).unwrap_or("?").trim();
    assert!(code == 1 && text.starts_with(verdict), "{found}\n{text}");
    Ok(())
}

/// Starts the harness at the root of the project. Returns stdout, then stderr, and the exit code.
fn harness(arguments: &[&str]) -> Result<(String, i32), Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = text + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.code().unwrap_or(-1)))
}

fn check(kind: &str, why: &str, printed: &str) -> Result<(), Failed> {
    let (text, code) = run(kind, &["close/eof-after-close", "message/empty-is-not-eof"])?;
    let expected = if kind == "half" { 1 } else { 3 };
    if code != expected
        || !text.contains(why)
        || !text.contains(printed)
        || !text.contains("2 of 2 ran")
    {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

fn inherited() -> Result<(), Failed> {
    let (text, code) = run("inheriting", &["close/sibling-does-not-inherit"])?;
    let sentence = "sleeper was never given w; it inherited it, as fd ";
    let named = text
        .split(sentence)
        .nth(1)
        .is_some_and(|rest| rest.contains("when it was spawned (line 7)"));
    if code != 1 || !named || !text.contains("DEADLOCK  close/sibling-does-not-inherit") {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

fn hangs(kind: &str, id: &str, sentence: &str) -> Result<(), Failed> {
    let (text, code) = run(kind, &[id])?;
    if code != 1 || !text.contains(&format!("HANG  {id}")) || !text.contains(sentence) {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

/// What people see, in one place, so that a change of words is read once and as a whole.
fn screens() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let wrong = folder.path().join("wrong.scenario");
    fs::write(&wrong, "# A mistake.\n\nmain        pipe r w\nmain        put r \"a\"\n")?;
    let wrong = wrong.to_str().ok_or("a path")?;
    let author = folder.path().join("author.scenario");
    fs::write(
        &author,
        "# A wrong belief.\n\nmain        pipe r w\nmain        close w\nmain        get r                       => \"a\"\n",
    )?;
    let author = author.to_str().ok_or("a path")?;
    let mut all = String::new();
    let mut show = |title: &str, (text, code): (String, i32)| {
        all += &format!("## {title}\n\n{}\nexit {code}\n\n", text.trim_end());
    };
    show("a leak", run("inheriting", &["close/sibling-does-not-inherit"])?);
    show("a lost wake-up", run("deaf", &["task/neighbour-runs-while-one-waits"])?);
    show("an adapter that dies", run("dies", &["close/eof-after-close"])?);
    show("a scenario that cannot be meant", harness(&["run", wrong])?);
    show("an author who is wrong", harness(&["check", author])?);
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

/// Times and descriptors are the only things on a screen that differ from run to run.
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
    for (manifest, what, code, says) in [
        (entry(fails, "reader get r", "blocks", reason), fails, 0, "1 known"),
        (entry(fails, "reader get r", "eof", reason), fails, 1, "knows another failure here"),
        (entry(passes, "main get r", "blocks", reason), passes, 1, "delete that entry"),
        (entry(passes, "main get r", "blocks", sometimes), passes, 0, "1 passed"),
        (entry(fails, "reader get r", "blocks", "reason = \"\""), fails, 2, "has no reason"),
        (
            entry(fails, "reader get r", "blocks", reason).replace("defect", ""),
            fails,
            2,
            "expected one of `defect`, `choice`, `adapter`, `suite`",
        ),
        ("surprise = 1".into(), fails, 2, "unknown field `surprise`"),
    ] {
        let (text, came) = run_with("inheriting", &manifest, &[what])?;
        if came != code || !text.contains(says) {
            return Err(format!("{manifest}exit {came}, and\n{text}").into());
        }
    }
    Ok(())
}

fn json_lines() -> Result<(), Failed> {
    let (text, code) = harness(&["run", "close", "--adapter", "model", "--format", "json"])?;
    let lines: Vec<serde_json::Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (summary, results) = lines.split_last().ok_or("nothing was said")?;
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
    if code != 3 || !text.contains("cannot keep the evidence in") || !text.contains("HANG") {
        return Err(format!("exit {code}, and\n{text}").into());
    }
    Ok(())
}

fn full_disk() -> Result<(), Failed> {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else { return Ok(()) };
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
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
