//! What is published for others: the metadata of the packages, the grammars for editors, and the workflows.

use gipc_harness::scenario::VERBS;
use rstest::rstest;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The value of a key in the text of a manifest: `version = "0.1.0"` or `"version": "0.1.0"`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.trim().trim_start_matches('"').starts_with(key))?;
    line.split('"')
        .filter(|part| !part.trim().is_empty())
        .find(|part| !part.contains(key) && !part.trim_start().starts_with([':', '=', ',']))
}

#[rstest]
#[case::rust("adapters/kit/rust/Cargo.toml")]
#[case::python("adapters/kit/python/pyproject.toml")]
#[case::node("adapters/kit/node/package.json")]
fn a_kit_has_the_version_of_the_harness(#[case] manifest: &str) {
    let text = read(manifest);
    assert_eq!(value(&text, "version"), Some(env!("CARGO_PKG_VERSION")), "{manifest}");
    assert_eq!(value(&text, "name"), Some("gipc-agent"), "{manifest}");
}

/// The words of the language that editors show as keywords: those of the verbs that are not names of handles or processes.
fn keywords() -> BTreeSet<&'static str> {
    let words = VERBS.iter().flat_map(|(usage, _)| usage.split([' ', '|', '(', ')', '[', ']']));
    words
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect()
}

#[rstest]
#[case::text_mate("docs/editor/vscode/scenario.tmLanguage.json")]
#[case::tree_sitter("docs/editor/tree-sitter-scenario/grammar.js")]
fn a_grammar_for_editors_has_each_keyword(#[case] grammar: &str) {
    let text = read(grammar);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words: BTreeSet<&str> = text.split(|c| !is_word(c)).collect();
    let missing: Vec<_> = keywords().into_iter().filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty(), "{grammar} does not know {missing:?}");
}

/// Runs a command of the shell in a folder, and returns the command that it prints as the next.
fn next(folder: &Path, command: &str) -> Option<String> {
    let output = Command::new("sh").args(["-c", command]).current_dir(folder).output();
    let output = output.expect("the shell starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().filter_map(|line| line.strip_prefix("next: ")).next_back().map(str::to_owned)
}

#[test]
fn in_an_empty_folder_each_command_prints_the_one_that_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_gipc-harness");
    let mut command = format!("{program} run close/twice");
    let followed = [
        "scenarios new first.scenario",
        "check first.scenario",
        "run first.scenario",
        "adapter new mine --lang python",
        "adapter check mine",
    ];
    for words in followed {
        let printed = next(folder.path(), &command).unwrap_or_default();
        assert!(printed.ends_with(&format!("harness {words}")), "{command}: {printed}");
        command = printed.replacen("cargo harness", program, 1);
    }
    assert!(folder.path().join("adapters/mine/agent.py").is_file());
}

#[test]
fn in_a_project_no_command_is_suggested() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("adapters")).expect("made");
    let command = format!("{} run close/twice", env!("CARGO_BIN_EXE_gipc-harness"));
    assert_eq!(next(folder.path(), &command), None);
}

#[test]
fn a_first_scenario_replaces_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.scenario");
    std::fs::write(&file, "mine").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .args(["scenarios", "new"])
        .arg(&file)
        .output()
        .expect("the harness starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "mine");
}

#[rstest]
#[case::bash("bash", "complete -F")]
#[case::zsh("zsh", "#compdef gipc-harness")]
#[case::fish("fish", "complete -c gipc-harness")]
fn a_shell_gets_completions_of_all_commands(#[case] shell: &str, #[case] marker: &str) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_gipc-harness")).args(["completions", shell]).output();
    let text = String::from_utf8(output.expect("it starts").stdout).expect("text");
    for word in [marker, "explore", "shard", "export"] {
        assert!(text.contains(word), "{shell}: {word}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let status =
        Command::new(env!("CARGO_BIN_EXE_gipc-harness")).arg("man").arg(folder.path()).output();
    assert!(status.expect("it starts").status.success());
    for (page, word) in [
        ("gipc-harness", "doctor"),
        ("gipc-harness-run", "shard"),
        ("gipc-harness-adapter-new", "lang"),
    ] {
        let text =
            std::fs::read_to_string(folder.path().join(format!("{page}.1"))).expect("a page");
        assert!(text.starts_with(".ie") && text.contains(word), "{page}");
    }
}

#[test]
fn the_project_file_of_the_guide_is_read() {
    let guide = read("docs/guides/in-your-ci.md");
    let file = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("gipc-harness.toml"), file.expect("a file"))
        .expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .args(["run", "--preset", "ci", "--adapter", "model", "close/twice"])
        .current_dir(folder.path())
        .output()
        .expect("the harness starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("3 of 3 ran"), "{text}");
    assert!(folder.path().join("junit.xml").is_file());
}

#[rstest]
#[case::an_unknown_command(&["runn"], "unrecognized subcommand 'runn'")]
#[case::a_missing_value_without_a_command(&["--scenarios"], "a value is required for '--scenarios <DIR>'")]
#[case::an_unknown_flag_without_a_command(&["--bogus"], "unexpected argument '--bogus'")]
#[case::a_missing_argument(&["matrix"], "--output <DIR>")]
fn a_wrong_command_line_is_reported_as_it_was_typed(
    #[case] words: &[&str],
    #[case] expected: &str,
) {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness")).args(words).output();
    let output = output.expect("the harness starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(expected), "{text}");
}
