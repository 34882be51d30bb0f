//! The ways in which a scenario can be performed and judged, as they are typed: at once, in other orders, with processes
//! killed and stopped, with small pipes, and again from a record.

use rstest::rstest;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is typed, how it exits, and what is said.
#[track_caller]
fn check(typed: &str, exit: i32, said: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("NO_COLOR", "1")
        .args(typed.split_whitespace())
        .output()
        .expect("it is built");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(exit), "{typed}: {text}");
    assert!(text.contains(said), "{typed} does not say {said:?}: {text}");
}

#[rstest]
#[case::in_parts("run close --shard 2/3", 0, "This is part 2 of 3")]
#[case::no_part("run close --shard 4/3", 2, "write which part of how many")]
#[case::junit_nowhere("run close/twice --junit /nowhere/at-all", 3, "cannot write /nowhere/at-all")]
#[case::at_once("run race close/eof-after-close --batch", 0, "5 of 5 ran")]
#[case::never_at_once("run task/cancelled-get-loses-nothing --batch", 2, "go step by step only")]
#[case::a_random_order("run race --order random:7", 0, "7 passed")]
#[case::every_order("run race/two-readers-share --order all", 0, "passed")]
#[case::no_such_order("run race --order backwards", 2, "write story, all, or random: and a number")]
#[case::a_kill("run close/eof-after-close --kill child@1", 0, "1 passed")]
#[case::a_kill_everywhere("run close/eof-after-close --kill all", 0, "4 passed")]
#[case::a_kill_nowhere("run close/eof-after-close --kill child@99", 2, "has a moment child@99")]
#[case::a_kill_of_nobody("run close/eof-after-close --kill nobody@1", 2, "has a moment nobody@1")]
#[case::no_moment("run close --kill child", 2, "child@3 is its third moment")]
#[case::starved_once("run close/eof-after-close --starve main@1", 0, "1 passed")]
#[case::starved_everywhere("run close/eof-after-close --starve all", 0, "2 passed")]
#[case::starved_nowhere("run close/eof-after-close --starve main@9", 2, "number 9 that can fail")]
#[case::who_cannot_be_starved(
    "run close --adapter node --starve all",
    2,
    "does not have the profile limits"
)]
#[case::stopped_and_continued("run close/eof-after-close --freeze all", 0, "4 passed")]
#[case::small_pipes("run duplex deadlock --capacity 4096", 0, "passed")]
#[case::impossible_pipes("run duplex --capacity 0", 2, "0 is not in 1..=1048576")]
#[case::a_way_of_its_own("run close --batch --kill all", 2, "cannot be used with")]
#[case::a_record_that_is_none("judge Cargo.toml", 2, "its last line is not the case of a run")]
#[case::no_matrix("matrix --from Cargo.toml --output target/none", 2, "Cargo.toml is no matrix")]
#[case::no_matrix_there("matrix --from nowhere --output target/none", 2, "cannot read nowhere")]
#[case::a_matrix_of_nobody(
    "matrix --adapter nobody --output target/none",
    2,
    "cannot read adapter nobody"
)]
#[case::no_record("judge nowhere.jsonl", 2, "No such file")]
fn what_is_typed_is_done_or_refused_in_words(
    #[case] typed: &str,
    #[case] exit: i32,
    #[case] said: &str,
) {
    check(typed, exit, said);
}

#[test]
fn a_run_that_was_kept_is_judged_the_same_and_a_changed_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = "close/eof-after-close";
    let shown = folder.path().display();
    check(&format!("run {id} --keep --record {shown}"), 0, "1 passed");
    let record = folder.path().join("gipc-core").join(id).join("record.jsonl");
    let judge = format!("judge {}", record.display());
    check(&judge, 0, "PASS  close/eof-after-close");

    let text = fs::read_to_string(&record).expect("it was kept");
    let (heard, case) = text.trim_end().rsplit_once('\n').expect("some lines");
    // The last outcome of the case, as an implementation that forgets the end would have it.
    let (before, after) = case.rsplit_once("\"Eof\"").expect("the case holds the end");
    fs::write(&record, format!("{heard}\n{before}\"Truncated\"{after}\n")).expect("a file");
    check(&judge, 1, "got truncated");
    fs::write(&record, &text[..text.len() / 2]).expect("a file");
    check(&judge, 2, "is no record");
}

/// The line of an order, and what comes of it.
#[rstest]
#[case("main main main", 0, "1 passed")]
#[case("main*3", 0, "1 passed")]
#[case("main*x", 2, "main*x")]
#[case("main nobody", 2, "nobody")]
fn an_order_line_is_followed_or_refused(
    #[case] order: &str,
    #[case] exit: i32,
    #[case] said: &str,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("it.scenario");
    let lines = "main        pipe r w\nmain        close w\nmain        get r                       => eof\n";
    fs::write(&file, format!("# It ends.\n# order: {order}\n\n{lines}")).expect("a file");
    check(&format!("run {}", file.display()), exit, said);
}

/// What `explore` once took for a failure and was none.
#[rstest]
#[case("a-plan-that-was-not-gone", "--repeat 5", 0, "5 passed")]
#[case("a-child-faster-than-its-parent", "", 0, "1 passed")]
#[case("a-child-faster-than-its-parent", "--batch", 2, "go step by step only")]
fn what_was_no_failure_is_none(
    #[case] name: &str,
    #[case] how: &str,
    #[case] exit: i32,
    #[case] said: &str,
) {
    check(&format!("run tests/regressions/{name}.scenario {how}"), exit, said);
}

#[test]
fn parts_of_a_matrix_are_stamped_and_come_together_and_what_changed_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (one, two, both) = (path("one"), path("two"), path("both"));
    let some = "matrix close race --adapter gipc-core";
    check(&format!("{some} --shard 1/2 --output {one}"), 0, "PARTIAL: gipc-core ran 12 of 184");
    check(&format!("{some} --shard 2/2 --output {two}"), 0, "PARTIAL: gipc-core ran 12 of 184");
    check(&format!("{some} --shard 1/2 --output {one} --whole"), 3, "PARTIAL");
    check(&format!("matrix --from {one} {two} --output {both}"), 0, "gipc-core ran 24 of 184");
    for file in ["matrix.json", "matrix.md", "index.html"] {
        let text = fs::read_to_string(folder.path().join("both").join(file)).expect("written");
        assert!(file.ends_with("json") || text.contains("PARTIAL"), "{file} is not stamped");
    }
    check(&format!("matrix --from {both} --output {one} --against {both}"), 0, "0 changes");
    let better = folder.path().join("both/matrix.json");
    let text = fs::read_to_string(&better).expect("written").replacen("PASS", "FAIL", 1);
    fs::write(&better, text).expect("written");
    check(&format!("matrix --from {one} --output {two} --against {both}"), 0, "better");
    check(&format!("matrix --from {both} --output {two} --against {one}"), 1, "worse");
}
