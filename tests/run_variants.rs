//! The options with which scenarios are run and judged, as typed on the command line: in batch mode, in other orders,
//! with processes killed and stopped, with small pipes, from a record, and in shards of a matrix.

use rstest::rstest;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the harness with these arguments, and compares its exit code and a part of its output.
#[track_caller]
fn check(arguments: &str, exit: i32, says: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("NO_COLOR", "1")
        .args(arguments.split_whitespace())
        .output()
        .expect("the harness starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(exit), "{arguments}: {text}");
    assert!(text.contains(says), "{arguments} does not print {says:?}: {text}");
}

#[rstest]
#[case::sharded("run close --shard 2/3", 0, "This is part 2 of 3")]
#[case::no_such_shard("run close --shard 4/3", 2, "write which part of how many")]
#[case::junit_in_a_missing_folder(
    "run close/twice --junit /nowhere/at-all",
    3,
    "cannot write /nowhere/at-all"
)]
#[case::batch("run race close/eof-after-close --batch", 0, "9 of 9 ran")]
#[case::batch_of_a_stepwise_scenario(
    "run task/cancelled-get-loses-nothing --batch",
    2,
    "step by step only"
)]
#[case::random_order("run race --order random:7", 0, "11 passed")]
#[case::every_order("run race/two-readers-share --order all", 0, "passed")]
#[case::unknown_order("run race --order backwards", 2, "write file, all, or random: and a number")]
#[case::one_kill("run close/eof-after-close --kill child@1", 0, "1 passed")]
#[case::kill_at_every_point("run close/eof-after-close --kill all", 0, "4 passed")]
#[case::kill_at_a_missing_point(
    "run close/eof-after-close --kill child@99",
    2,
    "has a moment child@99 at which a child can be hit: child has "
)]
#[case::kill_of_an_unknown_role(
    "run close/eof-after-close --kill unknown@1",
    2,
    "has a moment unknown@1"
)]
#[case::kill_without_a_point("run close --kill child", 2, "child@3 is its third moment")]
#[case::one_fd_exhaustion("run close/eof-after-close --starve main@1", 0, "1 passed")]
#[case::fd_exhaustion_at_every_point("run close/eof-after-close --starve all", 0, "2 passed")]
#[case::fd_exhaustion_at_a_missing_point(
    "run close/eof-after-close --starve main@9",
    2,
    "number 9 that can fail"
)]
#[case::fd_exhaustion_without_the_profile(
    "run close --adapter node --starve all",
    2,
    "does not have the profile limits"
)]
#[case::stopped_and_continued("run close/eof-after-close --freeze all", 0, "4 passed")]
#[case::small_pipes("run duplex deadlock --capacity 4096", 0, "passed")]
#[case::pipes_of_size_zero("run duplex --capacity 0", 2, "0 is not in 1..=1048576")]
#[case::conflicting_options("run close --batch --kill all", 2, "cannot be used with")]
#[case::judge_of_a_file_that_is_no_record(
    "judge Cargo.toml",
    2,
    "its last line is not the case of a run"
)]
#[case::matrix_from_a_file_that_is_no_matrix(
    "matrix --from Cargo.toml --output target/none",
    2,
    "Cargo.toml is no matrix"
)]
#[case::matrix_from_a_missing_file(
    "matrix --from nowhere --output target/none",
    2,
    "cannot read nowhere"
)]
#[case::matrix_of_a_missing_adapter(
    "matrix --adapter missing --output target/none",
    2,
    "cannot read adapter missing"
)]
#[case::judge_of_a_missing_record("judge nowhere.jsonl", 2, "No such file")]
#[case::check_of_a_folder_without_scenarios(
    "check gipc-core/src",
    2,
    "error: no file in gipc-core/src or below ends in .scenario"
)]
#[case::run_of_a_folder_without_scenarios(
    "run close/twice gipc-core/src",
    2,
    "error: no file in gipc-core/src or below ends in .scenario"
)]
#[case::a_suite_without_scenarios(
    "run --scenarios gipc-core/src",
    2,
    "error: no scenarios in gipc-core/src; name a folder with --scenarios"
)]
fn options_are_followed_or_refused_with_a_reason(
    #[case] arguments: &str,
    #[case] exit: i32,
    #[case] says: &str,
) {
    check(arguments, exit, says);
}

#[test]
fn a_record_is_judged_like_its_run_and_a_changed_record_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = "close/eof-after-close";
    let shown = folder.path().display();
    check(&format!("run {id} --keep --record {shown}"), 0, "1 passed");
    let record = folder.path().join("gipc-core").join(id).join("record.jsonl");
    let judge = format!("judge {}", record.display());
    check(&judge, 0, "PASS  close/eof-after-close");

    let text = fs::read_to_string(&record).expect("the record was kept");
    let (events, case) = text.trim_end().rsplit_once('\n').expect("the record has several lines");
    // The last outcome of the case becomes that of an implementation that reports the end of the pipe as truncation.
    let (before, after) = case.rsplit_once("\"Eof\"").expect("the case has an outcome Eof");
    fs::write(&record, format!("{events}\n{before}\"Truncated\"{after}\n"))
        .expect("the file is written");
    check(&judge, 1, "got truncated");
    fs::write(&record, &text[..text.len() / 2]).expect("the file is written");
    check(&judge, 2, "is no record");
}

/// The words after `# order:` in a scenario.
#[rstest]
#[case("main main main", 0, "1 passed")]
#[case("main*3", 0, "1 passed")]
#[case("main*x", 2, "main*x")]
#[case("main unknown", 2, "unknown")]
fn an_order_line_is_followed_or_refused(
    #[case] order: &str,
    #[case] exit: i32,
    #[case] says: &str,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ordered.scenario");
    let lines = "main        pipe r w\nmain        close w\nmain        get r                       => eof\n";
    fs::write(&file, format!("# The pipe ends.\n# order: {order}\n\n{lines}"))
        .expect("the file is written");
    check(&format!("run {}", file.display()), exit, says);
}

/// Scenarios that `explore` once reported as failures although they are none.
#[rstest]
#[case("schedule-not-followed", "--repeat 5", 0, "5 passed")]
#[case("child-runs-before-spawn-returns", "", 0, "1 passed")]
#[case("child-runs-before-spawn-returns", "--batch", 2, "step by step only")]
#[case("truncated-twice-in-a-stream", "--repeat 2", 0, "2 passed")]
#[case("truncated-twice-in-a-program", "", 0, "1 passed")]
#[case("numbers-of-a-pipe-are-used-again", "--concurrent --repeat 3", 0, "3 passed")]
#[case("numbers-that-a-stream-uses-again", "--concurrent --repeat 20", 0, "20 passed")]
#[case("one-end-for-two-streams", "", 0, "1 passed")]
#[case("a-step-behind-one-that-was-to-wait", "--repeat 10", 0, "10 passed")]
#[case("a-message-cut-in-the-input-of-a-program", "", 0, "1 passed")]
#[case("named-twice-beside-a-shared-one-in-use", "", 0, "1 passed")]
#[case("a-task-behind-an-unfulfilled-until", "--repeat 5", 0, "5 passed")]
#[case("the-first-step-of-a-task", "--repeat 20", 0, "20 passed")]
#[case("an-until-that-was-to-wait", "--repeat 20", 0, "20 passed")]
#[case("two-untils-for-one-task", "--repeat 20", 0, "20 passed")]
#[case("two-untils-for-one-task", "--order all", 0, "passed")]
#[case("begun-and-ended-before-it-wrote", "--repeat 40", 0, "40 passed")]
fn former_false_positives_pass(
    #[case] name: &str,
    #[case] options: &str,
    #[case] exit: i32,
    #[case] says: &str,
) {
    check(&format!("run tests/regressions/{name}.scenario {options}"), exit, says);
}

#[test]
fn shards_of_a_matrix_are_marked_partial_and_can_be_merged_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (one, two, both) = (path("one"), path("two"), path("both"));
    let matrix = "matrix close race --adapter gipc-core";
    check(&format!("{matrix} --shard 1/2 --output {one}"), 0, "PARTIAL: gipc-core ran 15 of 295");
    check(&format!("{matrix} --shard 2/2 --output {two}"), 0, "PARTIAL: gipc-core ran 15 of 295");
    check(&format!("{matrix} --shard 1/2 --output {one} --whole"), 3, "PARTIAL");
    check(&format!("matrix --from {one} {two} --output {both}"), 0, "gipc-core ran 30 of 295");
    for file in ["matrix.json", "matrix.md", "evidence.json", "html/index.html"] {
        let text = fs::read_to_string(folder.path().join("both").join(file)).expect("written");
        assert!(
            file.ends_with("json") || text.contains("PARTIAL"),
            "{file} is not marked as partial"
        );
    }
    check(&format!("matrix --from {both} --output {one} --against {both}"), 0, "0 changes");
    let better = folder.path().join("both/matrix.json");
    let text = fs::read_to_string(&better).expect("written");
    let failure = "\"cells\": {\"close/twice\": {\"verdict\": \"FAIL\"}}";
    fs::write(&better, text.replacen("\"cells\": {}", failure, 1)).expect("written");
    check(&format!("matrix --from {one} --output {two} --against {both}"), 0, "better");
    check(&format!("matrix --from {both} --output {two} --against {one}"), 1, "worse");
}

/// What the file says must be what the model can yield, to the names of the processes that a step waits for.
#[rstest]
#[case::another_process(
    "main        get r                       => blocks on santa-claus",
    "the model says blocks on main"
)]
#[case::one_process_too_many(
    "main        get r                       => blocks on main, child",
    "the model says blocks on main"
)]
#[case::no_such_error(
    "main        close w                     => ok or os:ENONSENSE",
    "no correct implementation returns os:ENONSENSE here"
)]
#[case::an_impossible_alternative(
    "main        close w                     => ok or eof",
    "no correct implementation returns eof here"
)]
fn an_outcome_that_the_model_never_yields_is_refused(#[case] line: &str, #[case] said: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("it.scenario");
    let asks = "main        close r                     => ok or closed\n";
    let text = format!("# A question.\n\nmain        pipe r w\n{line}\n");
    let text = if line.contains("get") { text } else { format!("{text}{asks}") };
    fs::write(&file, text).expect("a file");
    check(&format!("check {}", file.display()), 2, said);
    check(&format!("run {}", file.display()), 2, said);
}

/// A child that exits with another code than the file says, among lines that have nothing to do with it.
const WRONG_EXIT: &str = "\
# The exit code of a child is the one that it exits with.
main        pipe r w
main        spawn other w
other       put w \"hello\"
other       exit 0
main        get r                       => \"hello\"
main        join other                  => exit 0
main        spawn child
child       exit 3
main        join child                  => exit 4
";

/// The scenario is named by its file, as for `run`.
#[test]
fn a_bundle_that_is_packed_from_the_file_of_a_scenario_is_shown_and_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("wrong.scenario"), WRONG_EXIT).expect("written");
    let (file, records, bundle) = (path("wrong.scenario"), path("records"), path("bundle"));
    let pack = format!("repro {file} --record {records} --output {bundle}");
    check(&pack, 2, "no failing run of");
    check(&format!("run --unchecked {file} --record {records}"), 1, "1 FAILED");
    check(&pack, 0, "reproduce.scenario");
    check(&format!("show {bundle}"), 0, "line 10, main join child: got exit 3, expected exit 4");
    check(&format!("judge {bundle}"), 1, "FAIL  wrong");
    fs::remove_file(path("bundle/record.jsonl")).expect("it is there");
    check(&format!("judge {bundle}"), 2, "bundle/record.jsonl");
}

#[test]
fn a_failing_run_is_shrunk_to_the_lines_that_matter() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("wrong.scenario"), WRONG_EXIT).expect("written");
    let (file, records, small) = (path("wrong.scenario"), path("records"), path("small"));
    check(&format!("run --unchecked {file} --record {records}"), 1, "1 FAILED");
    let record = format!("{records}/gipc-core/wrong/record.jsonl");
    check(&format!("shrink {record} --output {small}"), 0, "3 of 9 lines are left");
    let text = fs::read_to_string(Path::new(&small).join("reproduce.scenario")).expect("written");
    let steps = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let steps: Vec<String> =
        steps.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(steps, ["main spawn child", "child exit 3", "main join child => exit 4"]);
    check(&format!("run {small} --times 3"), 1, "GENUINE");
}

#[test]
fn a_failure_that_does_not_come_again_is_not_shrunk() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("wrong.scenario"), WRONG_EXIT).expect("written");
    let (file, records) = (path("wrong.scenario"), path("records"));
    check(&format!("run --unchecked {file} --record {records}"), 1, "1 FAILED");
    let record = Path::new(&records).join("gipc-core/wrong/record.jsonl");
    // The record of a run in which the child exited with 3, of a script in which it exits with 4.
    let text = fs::read_to_string(&record).expect("a record").replace("exit 3\\n", "exit 4\\n");
    fs::write(&record, text).expect("written");
    check(&format!("shrink {}", record.display()), 3, "so there is nothing to shrink");
}

#[test]
fn a_run_with_a_time_limit_counts_how_often_a_scenario_ended_in_each_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("wrong.scenario"), WRONG_EXIT).expect("written");
    let run = format!("run --unchecked {} --for 2s --jobs 1", path("wrong.scenario"));
    let records = path("records");
    check(&format!("{run} --record {records}"), 1, "FAIL in 2 of 2 runs so far");
    check(&format!("{run} --record {records}"), 1, "(100 %)  FAIL: main join child gave exit 3");
}

#[test]
fn scenarios_that_always_pass_within_the_time_are_counted_together() {
    check("run close/twice close/eof-after-close --for 1s", 0, "  2 scenarios in each of ");
}

#[rstest]
#[case::a_missing_debugger(
    "run close/twice --debugger no-such-debugger main",
    3,
    "--debugger needs no-such-debugger, which is not in PATH"
)]
#[case::an_unknown_role(
    "run close/twice --debugger cat nobody",
    2,
    "close/twice has no process nobody; it has main"
)]
#[case::several_scenarios("run close --debugger cat main", 2, "name one scenario")]
#[case::several_runs("run close/twice --repeat 2 --debugger cat main", 2, "leave out --repeat")]
#[case::a_tool_that_does_not_trace(
    "run close/twice --debugger false main",
    3,
    "false ended before it traced process"
)]
fn a_tool_that_cannot_be_attached_is_reported(
    #[case] arguments: &str,
    #[case] exit: i32,
    #[case] says: &str,
) {
    check(arguments, exit, says);
}

#[test]
fn strace_and_a_debugger_see_the_steps_of_their_process() {
    if Command::new("strace").arg("-V").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calls.txt");
    let calls = || fs::read_to_string(&file).expect("strace wrote its output");
    check(&format!("run close/eof-after-close --strace={}", file.display()), 0, "1 passed");
    // The parent makes a pipe and starts a child, which is traced too.
    assert!(calls().contains("pipe2(") && calls().contains("execve("), "{}", calls());
    fs::remove_file(&file).expect("it is there");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .args(["run", "close/eof-after-close", "--debugger"])
        .arg(format!("strace -q -o {} -p {{pid}}", file.display()))
        .arg("child")
        .output()
        .expect("the harness starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(calls().contains("exit_group("), "{}", calls());
}

/// The limit expires before the message is there, so the put completes later than the schedule says. A kill that is due at
/// that moment must not wait for it until the timeout expires, which is an hour here.
#[test]
fn a_kill_whose_moment_does_not_come_waits_for_no_timeout() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("late.scenario");
    let lines = [
        "main  pipe r w",
        "main  spawn child w",
        "child put w 64MiB",
        "main  get r within 1ms => 64MiB or timeout",
        "main  get r => 64MiB or eof",
        "main  join child => exit 0",
    ];
    fs::write(&file, lines.join("\n")).expect("the scenario is written");
    check(&format!("run {} --kill all --timeout 3600", file.display()), 0, "1 passed, 1 skipped");
}
