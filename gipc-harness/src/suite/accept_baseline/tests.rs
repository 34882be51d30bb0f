//! Tests what `--accept` writes for what was seen.

use super::{Seen, SeenScenarios, accept};
use rstest::rstest;
use std::fs;

const KNOWN: &str = "
# why
[[known]]
scenario = \"a/b\"
step = \"main get r\"
outcome = \"eof\"
verdict = \"FAIL\"
sort = \"defect\"
reason = \"it forgets\"
";
const OLD: &str = "
[[variant]]
name = \"old\"
";
const KEEPS: &str = "[variant.keeps]
descriptors = 1

[[variant]]
name = \"new\"
";
const AS_COMMENT: &str = "
# a/b was here until --accept: WHY.
# why
# [[known]]
# scenario = \"a/b\"
# step = \"main get r\"
# outcome = \"eof\"
# verdict = \"FAIL\"
# sort = \"defect\"
# reason = \"it forgets\"
";

fn failure(outcome: &str) -> [String; 3] {
    ["main get r", outcome, "FAIL"].map(str::to_owned)
}

fn failed(outcomes: &[&str]) -> Seen {
    Seen { failures: outcomes.iter().map(|one| failure(one)).collect(), ..Seen::default() }
}

fn passed() -> Seen {
    Seen { passed: true, ..Seen::default() }
}

fn sometimes(outcomes: &[&str]) -> Seen {
    Seen { passed: true, ..failed(outcomes) }
}

/// A new entry, as `--accept` writes it.
fn entry(outcome: &str, more: &str) -> String {
    let known = KNOWN.replace("\"eof\"", &format!("{outcome:?}")).replace("# why\n", "");
    known.replace(
        "sort = \"defect\"\nreason = \"it forgets\"\n",
        &format!("sort = \"\"\n{more}reason = \"\"\n"),
    )
}

fn as_comment(why: &str) -> String {
    AS_COMMENT.replace("WHY", why)
}

fn old_only(known: &str) -> String {
    known.replace("reason", "variants = [\"old\"]\nreason")
}

/// A manifest, the adapter that ran, what was seen of the scenario `a/b`, and the manifest afterwards.
#[rstest]
#[case::a_new_failure_adds_an_entry("name = \"it\"\n".into(), "it", failed(&["eof"]), format!("name = \"it\"\n{}", entry("eof", "")))]
#[case::a_pass_makes_the_entry_a_comment(KNOWN.into(), "it", passed(), as_comment("it passes"))]
#[case::a_pass_leaves_an_entry_that_may_pass(format!("{KNOWN}sometimes = true\n"), "it", passed(), format!("{KNOWN}sometimes = true\n"))]
#[case::another_failure_keeps_the_old_reason_as_a_comment(
    KNOWN.into(), "it", failed(&["never"]), format!("{}{}", as_comment("it fails in another way"), entry("never", ""))
)]
#[case::a_scenario_that_is_gone_is_a_comment(KNOWN.into(), "it", Seen::gone(), as_comment("there is no such scenario"))]
#[case::runs_that_pass_and_fail_are_sometimes(KNOWN.into(), "it", sometimes(&["eof"]), format!("{KNOWN}sometimes = true\n"))]
#[case::runs_that_fail_in_two_ways_widen_the_entry(KNOWN.into(), "it", failed(&["eof", "never"]), KNOWN.replace("\"eof\"", "\"*\""))]
#[case::a_new_failure_that_differs_from_run_to_run_is_one_entry(
    String::new(), "it", failed(&["eof", "never"]), entry("*", "")
)]
#[case::a_new_failure_that_also_passes_is_sometimes(
    String::new(), "it", sometimes(&["eof"]), entry("eof", "sometimes = true\n")
)]
#[case::a_pass_removes_the_variant_from_the_entry(
    format!("{KNOWN}{OLD}"), "it", passed(), format!("{KNOWN}variants = [\"old\"]\n{OLD}")
)]
#[case::a_failure_adds_the_variant_to_the_entry(
    format!("{}{OLD}", old_only(KNOWN)), "it", failed(&["eof"]), format!("{KNOWN}{OLD}")
)]
#[case::tables_after_the_entries_stay_after_them(
    format!("{}{OLD}", old_only(KNOWN)), "it", failed(&["never"]),
    format!("{}{}{OLD}", old_only(KNOWN), entry("never", "variants = [\"default\"]\n"))
)]
#[case::a_table_inside_a_variant_stays_inside_it(
    format!("{}{OLD}{KEEPS}", old_only(KNOWN)), "it", failed(&["never"]),
    format!("{}{}{OLD}{KEEPS}", old_only(KNOWN), entry("never", "variants = [\"default\"]\n"))
)]
#[case::one_of_several_scenarios_passes(
    KNOWN.replace("\"a/b\"", "[\"a/b\", \"a/c\"]"), "it", passed(), KNOWN.replace("\"a/b\"", "\"a/c\"")
)]
fn known_failures_are_updated_and_keep_their_reasons(
    #[case] before: String,
    #[case] adapter: &str,
    #[case] seen: Seen,
    #[case] expected: String,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("adapter.toml");
    fs::write(&file, before).expect("written");
    accept(folder.path(), adapter, &SeenScenarios::from([("a/b".into(), seen)]))
        .expect("it can be written");
    let text = fs::read_to_string(&file).expect("it is there");
    assert_eq!(text.trim_start(), expected.trim_start());
}

/// What was seen of a scenario that fails in this way, with a diagnosis.
fn diagnosed(outcome: &str, diagnosis: &str) -> Seen {
    Seen { diagnosis: diagnosis.into(), ..failed(&[outcome]) }
}

/// What `--accept` makes of a manifest.
fn accepted(before: &str, seen: &[(&str, Seen)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("adapter.toml");
    fs::write(&file, before).expect("written");
    let seen = seen.iter().map(|(id, seen)| ((*id).to_owned(), seen.clone())).collect();
    accept(folder.path(), "it", &seen).expect("it can be written");
    fs::read_to_string(&file).expect("it is there")
}

/// Two failures that are alike, one that is not, and one that passes in some runs.
#[test]
fn new_failures_with_the_same_fingerprint_share_an_entry_with_a_diagnosis_of_each() {
    let at_times = Seen { passed: true, ..diagnosed("eof", "line 6") };
    let seen = [
        ("a/b", diagnosed("eof", "line 3. Expected ok")),
        ("a/c", diagnosed("never", "line 4")),
        ("a/d", diagnosed("eof", "line 5")),
        ("a/e", at_times),
    ];
    let text = accepted("name = \"it\"\n", &seen);
    let shared =
        entry("eof", "").trim_start().replace("\"a/b\"", "[\n    \"a/b\",\n    \"a/d\",\n]");
    let shared = format!("# a/b: line 3. Expected ok\n# a/d: line 5\n{shared}");
    let of = |id: &str, text: String| text.trim_start().replace("a/b", id);
    let other = of("a/c", entry("never", ""));
    let at_times = of("a/e", entry("eof", "sometimes = true\n"));
    let expected =
        format!("name = \"it\"\n\n{shared}\n# a/c: line 4\n{other}\n# a/e: line 6\n{at_times}");
    assert_eq!(text, expected);

    let later = [("a/b", passed()), ("a/f", diagnosed("eof", "line 7"))];
    let text = accepted(&text, &later);
    assert!(text.contains("# a/d: line 5\n# a/f: line 7\n[[known]]"), "{text}");
    assert!(text.contains("scenario = [\n    \"a/d\",\n    \"a/f\",\n]\n"), "{text}");
    assert!(!text.contains("a/b"), "{text}");
}

#[test]
fn a_new_failure_does_not_join_an_entry_that_a_person_has_explained() {
    let text = accepted(KNOWN, &[("a/c", diagnosed("eof", "line 3"))]);
    let expected = format!("{KNOWN}\n# a/c: line 3{}", entry("eof", "").replace("a/b", "a/c"));
    assert_eq!(text.trim_start(), expected.trim_start());
}

#[test]
fn each_change_is_named_and_the_first_entry_without_a_reason_has_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("adapter.toml"), KNOWN).expect("written");
    let seen = [("a/a", failed(&["never"])), ("a/b", passed()), ("a/c", failed(&["eof"]))];
    let seen = seen.map(|(id, seen)| (id.to_owned(), seen));
    let lines = accept(folder.path(), "it", &seen.into()).expect("it can be written").join("\n");
    let shown = folder.path().display().to_string();
    let expected = "\
FOLDER/adapter.toml is changed:
  added      a/a: FAIL, main get r => never
  removed    a/b: it passes; its entry is now a comment
  added      a/c: FAIL, main get r => eof
2 known failures have no sort or no reason yet, the first at FOLDER/adapter.toml:3 (a/a). Until both are written, the run fails: say whose fault it is, why it fails, and where that is documented or seen";
    assert_eq!(lines.replace(&shown, "FOLDER"), expected);
}

#[test]
fn skips_are_written_into_the_skip_list_if_there_is_one() {
    let skipped = || Seen { skipped: true, ..Seen::default() };
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("adapter.toml"), OLD).expect("written");
    let found = || SeenScenarios::from([("a/b".into(), skipped())]);
    accept(folder.path(), "it@old", &found()).expect("it can be written");
    let skips = folder.path().join("skips.txt");
    assert!(!skips.exists(), "an adapter without a skip list makes no statement");
    fs::write(&skips, "# why\na/z\n").expect("written");
    let both = SeenScenarios::from([("a/b".into(), skipped()), ("a/a".into(), skipped())]);
    accept(folder.path(), "it@old", &both).expect("it can be written");
    accept(folder.path(), "it", &found()).expect("it can be written");
    let at_times = Seen { skipped: true, ..passed() };
    accept(folder.path(), "it", &SeenScenarios::from([("a/c".into(), at_times)]))
        .expect("it can be written");
    let text = fs::read_to_string(&skips).expect("it is there");
    assert_eq!(text, "a/a old\na/b\na/c sometimes default\n# why\na/z\n");
}
