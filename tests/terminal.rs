//! The command on a terminal, and what a user types to select and repeat runs: width, progress, patterns, `--last-failed`,
//! names and folders that do not exist, files that cannot be written, and the page that `run --help` prints.

use gipc_harness::verdict::Status;
use nix::pty::{Winsize, openpty};
use rstest::rstest;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A scenario that passes with `"a"` for `OUTCOME`.
const OWN: &str = "# A message in one process.\n# covers MSG-1\n\nmain        pipe r w\nmain        put w \"a\"\n\
                   main        get r                       => OUTCOME\n";
/// The outcome that comes, and another one.
const RIGHT: &str = "\"a\"";
const WRONG: &str = "\"b\"";

fn harness(cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
    command
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("GIPC_HARNESS_CACHE", cache)
        .env("NO_COLOR", "1");
    command
}

/// Runs the harness. Returns its exit code, and what it printed to stdout and stderr.
fn output(cache: &Path, arguments: &[&str]) -> (i32, String) {
    let output = harness(cache, arguments).output().expect("the harness starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it exits"), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn check(cache: &Path, arguments: &[&str], code: i32, says: &str) -> String {
    let (found, text) = output(cache, arguments);
    assert_eq!(found, code, "{arguments:?}: {text}");
    assert!(text.contains(says), "{arguments:?} does not print {says:?}: {text}");
    text
}

/// Runs the harness on a terminal of so many columns. Returns what it wrote to it.
fn on_terminal(columns: u16, arguments: &[&str]) -> String {
    let cache = temporary_folder();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).expect("a terminal can be made");
    let end = || Stdio::from(terminal.slave.try_clone().expect("a descriptor is free"));
    let mut command = harness(cache.path(), arguments);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(end()).stderr(end());
    let mut child = command.spawn().expect("the harness starts");
    // The end of the output comes when no process has the other side any more.
    drop((command, terminal.slave));
    let mut bytes = Vec::new();
    // Linux reports that end as an error.
    let _ = File::from(terminal.master).read_to_end(&mut bytes);
    assert!(child.wait().expect("it ends").success());
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

fn temporary_folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[rstest]
#[case(&["list", "close"])]
#[case(&["adapter", "list"])]
#[case(&["run", "--help"])]
#[case(&["spec", "EOF"])]
fn lines_are_as_wide_as_the_terminal(#[case] arguments: &[&str]) {
    let text = on_terminal(60, arguments);
    assert!(text.lines().count() > 5, "{text}");
    for line in text.lines() {
        // A command that can be typed stays in one piece.
        let is_command = line.contains("gipc-harness adapter setup");
        assert!(line.chars().count() <= 60 || is_command, "{line:?} in\n{text}");
    }
}

#[test]
fn lines_for_a_program_are_not_wrapped_on_a_terminal() {
    let text = on_terminal(40, &["list", "close/twice", "--format", "json"]);
    let object: serde_json::Value = serde_json::from_str(text.trim()).expect("one line of JSON");
    assert_eq!(object["scenario"], "close/twice");
}

#[test]
fn the_progress_says_how_far_the_run_is_and_what_runs() {
    let folder = temporary_folder();
    let long = folder.path().join("a-long-wait.scenario");
    let text = "# A get with a time limit.\n# covers MSG-1\n\nmain        pipe r w\n\
                main        get r within 1500ms         => timeout\n";
    fs::write(&long, text).expect("written");
    let text = on_terminal(80, &["run", &long.display().to_string()]);
    assert!(text.contains("0 of 1 on gipc-core"), "{text}");
    assert!(text.contains("  a-long-wait"), "{text}");
    assert!(text.contains("1 of 1 ran"), "{text}");
}

#[test]
fn what_failed_last_is_run_again_until_it_passes() {
    let (cache, folder) = (temporary_folder(), temporary_folder());
    let own = folder.path().join("own.scenario");
    fs::write(&own, OWN.replace("OUTCOME", WRONG)).expect("written");
    let own_name = own.display().to_string();
    let again = ["run", "--unchecked", "--last-failed"];
    check(cache.path(), &again, 2, "no run on gipc-core is remembered");
    check(cache.path(), &["run", "--unchecked", "close/twice", &own_name], 1, "1 FAILED");
    check(cache.path(), &again, 1, "1 of 1 ran");
    check(
        cache.path(),
        &["run", "close/twice", "--last-failed"],
        0,
        "none of these scenarios failed",
    );
    fs::write(&own, OWN.replace("OUTCOME", RIGHT)).expect("written");
    check(
        cache.path(),
        &["run", "--last-failed"],
        2,
        "own.scenario --unchecked --adapter gipc-core",
    );
    check(cache.path(), &again, 0, "1 of 1 ran");
    check(cache.path(), &again, 0, "none of these scenarios failed");
}

#[test]
fn a_run_survives_a_cache_that_cannot_be_written_or_is_damaged() {
    let (cache, folder) = (temporary_folder(), temporary_folder());
    let own = folder.path().join("own.scenario");
    fs::write(&own, OWN.replace("OUTCOME", WRONG)).expect("written");
    let own_name = own.display().to_string();
    let failing = ["run", "--unchecked", &own_name];
    let nowhere = Path::new("/dev/null/cache");
    let text = check(nowhere, &["run", "close/twice"], 0, "1 of 1 ran");
    assert!(!text.contains("remember"), "{text}");
    check(nowhere, &failing, 1, "cannot remember the failures");
    check(cache.path(), &failing, 1, "1 FAILED");
    for entry in fs::read_dir(cache.path().join("last-runs")).expect("it was made").flatten() {
        fs::write(entry.path(), "{\"version\":").expect("written");
    }
    check(cache.path(), &["run", "--last-failed"], 2, "no run on gipc-core is remembered");
    check(cache.path(), &["run", "close/twice"], 0, "1 of 1 ran");
    check(cache.path(), &["run", "--last-failed"], 0, "none of these scenarios failed");
}

#[rstest]
#[case::a_pattern(&["run", "close/eof-*"], 0, "4 of 4 ran")]
#[case::a_requirement(&["run", "EOF-6", "--skip", "children/*"], 0, "1 of 1 ran")]
#[case::all_is_skipped(&["run", "close", "--skip", "close"], 2, "--skip names all that is selected")]
#[case::fail_fast(&["run", "close/twice", "--fail-fast"], 0, "1 of 1 ran")]
#[case::a_capacity_that_the_system_rounds(&["run", "close/twice", "--capacity", "1"], 0, "--capacity 1: here ")]
#[case::slowest(&["run", "close/twice", "close/use-after-close", "--slowest=1"], 0, "  slowest\n")]
#[case::timings(&["run", "close/twice", "--timings"], 0, " %  waiting for quiescence\n")]
fn runs_are_selected_and_reported_as_asked(
    #[case] arguments: &[&str],
    #[case] code: i32,
    #[case] says: &str,
) {
    check(temporary_folder().path(), arguments, code, says);
}

#[rstest]
#[case::junit(&["run", "close/twice", "--junit", "FOLDER/no/such.xml"])]
#[case::matrix(&["matrix", "close/twice", "--adapter", "gipc-core", "--output", "FOLDER"])]
#[case::explore(&["explore", "--count", "1", "--out", "FOLDER/matrix.md/file/out"])]
fn a_file_that_cannot_be_written_is_reported_before_the_run(#[case] arguments: &[&str]) {
    let folder = temporary_folder();
    let used = folder.path().join("matrix.md/file");
    fs::create_dir(folder.path().join("matrix.md")).expect("made");
    fs::write(&used, "not a folder").expect("written");
    let place = folder.path().display().to_string();
    let arguments: Vec<String> =
        arguments.iter().map(|word| word.replace("FOLDER", &place)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = check(folder.path(), &arguments, 3, "error: cannot write");
    assert!(
        !text.contains("ran in") && !text.contains("PASS") && !text.contains("scenarios in"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_named_without_its_extension_is_suggested() {
    let folder = temporary_folder();
    let file = folder.path().join("relay.scenario");
    fs::write(file, OWN.replace("OUTCOME", RIGHT)).expect("written");
    let mut command = harness(folder.path(), &["check", "relay"]);
    let output = command.current_dir(folder.path()).output().expect("the harness starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("is it relay.scenario?"), "{text}");
}

/// A folder that does not exist is refused also where the command does not need it, as with the adapter inside the program.
#[test]
fn a_folder_that_is_named_and_missing_is_refused_unless_the_command_makes_it() {
    let folder = temporary_folder();
    let place = folder.path().join("gipc-harness.toml");
    fs::write(&place, "scenarios = \"mine\"\n").expect("written");
    let there = |arguments: &[&str]| {
        let mut command = harness(folder.path(), arguments);
        let output = command.current_dir(folder.path()).output().expect("the harness starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), text)
    };
    let says = "error: --adapters /nonexistent: cannot read this folder: No such file";
    for adapter in ["gipc-core", "asyncio"] {
        let run = ["run", "close/twice", "--adapter", adapter, "--adapters", "/nonexistent"];
        check(folder.path(), &run, 2, says);
    }
    let (code, text) = there(&["run", "close/twice"]);
    let says = format!("error: {}: scenarios = \"mine\": cannot read", place.display());
    assert!(code == 2 && text.contains(&says), "{code}: {text}");
    let (code, text) = there(&["adapter", "new", "own", "--lang", "python", "--adapters", "here"]);
    assert_eq!(code, 0, "{text}");
    fs::create_dir(folder.path().join("mine")).expect("made");
    let (code, text) = there(&["scenarios", "new", "mine/first.scenario"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = there(&["run", "first", "--adapters", "here"]);
    assert_eq!(code, 0, "{text}");
}

#[rstest]
#[case::no_project(&["bugs", "nope"], "no bug in bugs is called nope; is it node? the projects are anyio, asyncio, ")]
#[case::no_bug_of_a_project(&["bugs", "gipc/what-is-this"], "is called gipc/what-is-this; gipc has a-handle-in-a-message, ")]
#[case::a_bug_that_is_nearly_right(&["bugs", "gipc/killed-gat"], "is it gipc/killed-get?")]
#[case::one_of_two(&["bugs", "gipc/issue-12", "nope"], "no bug in bugs is called nope")]
#[case::a_folder_elsewhere(
    &["bugs", "nope", "--folder", "/nonexistent"],
    "no folder /nonexistent with reported bugs here; it is part of the repository of gipc-harness: run this in a clone"
)]
fn an_unknown_bug_is_refused_with_those_that_there_are(
    #[case] arguments: &[&str],
    #[case] says: &str,
) {
    check(temporary_folder().path(), arguments, 2, says);
}

#[test]
fn a_broken_manifest_takes_one_line_of_the_list_of_adapters() {
    let folder = temporary_folder();
    let write = |name: &str, text: &str| {
        fs::create_dir(folder.path().join(name)).expect("made");
        fs::write(folder.path().join(name).join("adapter.toml"), text).expect("written");
    };
    write("one", "name = \"one\"\ncommand = [\"sh\"\nneeds = []\n");
    write("two", "name = \"two\"\ncommand = [\"sh\"]\nprofiles = [\"cores\"]\n");
    let shown = folder.path().display().to_string();
    let (code, text) = output(folder.path(), &["adapter", "list", "--adapters", &shown]);
    assert_eq!(code, 0, "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let says = format!("broken  {shown}/one/adapter.toml:3:1: missing comma");
    assert!(line("one ").contains(&says), "{text}");
    let says = format!("broken  {shown}/two/adapter.toml: cores is no profile; there are core, ");
    assert!(line("two ").contains(&says), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
}

#[test]
fn evidence_that_cannot_be_kept_hides_no_verdict() {
    let (cache, folder) = (temporary_folder(), temporary_folder());
    let own = folder.path().join("own.scenario");
    fs::write(&own, OWN.replace("OUTCOME", WRONG)).expect("written");
    let (own, records) = (own.display().to_string(), "/dev/null/records".to_owned());
    let arguments = ["run", "--unchecked", &own, "--record", &records];
    let text = check(cache.path(), &arguments, 1, "choose another folder with --record DIR");
    assert!(text.contains("FAIL  own") && text.contains("1 of 1 ran"), "{text}");
}

#[test]
fn the_variants_of_an_adapter_share_a_line() {
    let (code, text) = output(temporary_folder().path(), &["adapter", "list"]);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("gipc-python@"), "{text}");
    let variants: Vec<&str> = text.lines().filter(|line| line.contains("@0.1.0")).collect();
    assert_eq!(variants.len(), 1, "{text}");
    assert!(text.contains("@spawn, @forkserver"), "{text}");
}

#[test]
fn the_help_of_run_explains_each_verdict_and_exit_code() {
    let (code, text) = output(temporary_folder().path(), &["run", "--help"]);
    assert_eq!(code, 0, "{text}");
    for status in Status::ALL {
        let explained = text.lines().filter(|line| line.starts_with(&format!("  {status:<11}  ")));
        assert_eq!(explained.count(), 1, "{status} is not explained once in\n{text}");
    }
    for code in 0..=3 {
        assert!(text.contains(&format!("\n  {code}  ")), "{code} is not explained in\n{text}");
    }
}

#[test]
fn the_documented_exit_codes_are_those_of_the_verdicts() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/output.md");
    let page = fs::read_to_string(file).expect("the page can be read");
    for status in Status::ALL {
        let code = status.exit_code();
        let row = page.lines().find(|line| line.starts_with(&format!("| {code} |")));
        let row = row.unwrap_or_else(|| panic!("no row for {code}"));
        assert!(row.contains(&status.to_string()), "{status} is not in {row}");
    }
}
