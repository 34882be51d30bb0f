//! The guides do what they say: each page is executed in a folder of its own, and each command prints what the page quotes.
//!
//! A block ```` ```text NAME ```` writes a file, and ```` ```text >> NAME ```` adds to it. In a block ```` ```console ```` a line that begins with `$ ` is a command, and
//! the lines below it are its output: `...` stands for any number of lines, and `[..]` for any text inside a line. A line
//! `[exit code N]` follows a command that fails. Times, process ids, descriptor and inode numbers and the number of bytes in
//! a pipe are not compared.
//! `GUIDES=overwrite` writes the output into the pages, except below commands whose output has a line `...`.

use rstest::rstest;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// A command of a page, and the lines that the page quotes below it.
struct Quoted {
    command: String,
    output: Vec<String>,
    /// The line of the page with the command, from 0.
    line: usize,
}

/// What a page makes a reader do, in order.
enum Action {
    Write { file: String, text: String },
    Run(Quoted),
}

fn actions(page: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<(usize, &str)> =
            lines.by_ref().take_while(|(_, line)| *line != "```").collect();
        if let Some((_, file)) = info.split_once(' ') {
            let text = block.iter().map(|(_, line)| format!("{line}\n")).collect();
            actions.push(Action::Write { file: file.to_owned(), text });
        } else if info == "console" {
            for (line, text) in block {
                match (text.strip_prefix("$ "), actions.last_mut()) {
                    (Some(command), _) => actions.push(Action::Run(Quoted {
                        command: command.to_owned(),
                        output: Vec::new(),
                        line,
                    })),
                    (None, Some(Action::Run(quoted))) => quoted.output.push(text.to_owned()),
                    (None, _) => panic!("a console block begins with output: {text}"),
                }
            }
        }
    }
    actions
}

/// What the command prints on both streams, with its exit code if that is not 0.
fn run(command: &str, folder: &Path) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_gipc-harness"));
    let programs = program.parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .env("PATH", format!("{programs}:{path}"))
        .env("COLUMNS", "100")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Nothing of the times of earlier runs of this user.
        .env("GIPC_HARNESS_CACHE", "")
        .env_remove("CARGO")
        .env_remove("CARGO_PKG_NAME")
        .stdin(Stdio::null())
        .output()
        .expect("the shell starts");
    let text = String::from_utf8(output.stdout).expect("the output is text");
    let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        lines.push(format!("[exit code {code}]"));
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The line without what differs from run to run: times, process ids, descriptor numbers.
fn normalised(line: &str) -> String {
    let mut result: Vec<String> = Vec::new();
    let words: Vec<&str> = line.split(' ').collect();
    for (index, word) in words.iter().enumerate() {
        let number = word.trim_matches(|c: char| !c.is_ascii_digit());
        let is_time = number.contains('.') && number.parse::<f64>().is_ok();
        let follows = |name: &str| result.last().is_some_and(|last| last.ends_with(name));
        let is_name = !number.is_empty() && (follows("pid") || follows("fd"));
        // How much was in a pipe depends on the system.
        let is_fill = words.get(index + 1).is_some_and(|next| *next == "bytes;") && number != "0";
        let is_inode = word.contains(":[");
        let differs = !number.is_empty() && (is_time || is_name || is_fill || is_inode);
        result.push(if differs { word.replace(number, "N") } else { (*word).to_owned() });
    }
    result.join(" ")
}

/// Whether a line of output is the quoted one, in which `[..]` stands for any text.
fn line_matches(quoted: &str, printed: &str) -> bool {
    let (quoted, printed) = (normalised(quoted), normalised(printed));
    let parts: Vec<&str> = quoted.split("[..]").collect();
    let [first, middle @ .., last] = parts.as_slice() else { return quoted == printed };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether the output is the quoted one, in which a line `...` stands for any number of lines.
fn matches(quoted: &[String], printed: &[String]) -> bool {
    match quoted.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && matches(rest, others)),
    }
}

/// Executes a page, and returns its text with the output that was printed.
fn execute(page: &str, folder: &Path) -> (Vec<String>, String) {
    let mut errors = Vec::new();
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let mut shift = 0isize;
    for action in actions(page) {
        match action {
            Action::Write { file, text } => {
                let added = file.strip_prefix(">> ");
                let path = folder.join(added.unwrap_or(&file));
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                let before = added.and_then(|_| fs::read_to_string(&path).ok());
                let text = before.unwrap_or_default() + &text;
                fs::write(path, text).expect("the file is written");
            }
            Action::Run(quoted) => {
                let printed = run(&quoted.command, folder);
                // A blank line at the end of a quotation separates it from the next command.
                let mut expected = quoted.output.clone();
                while expected.last().is_some_and(String::is_empty) {
                    expected.pop();
                }
                if matches(&expected, &printed) {
                    continue;
                }
                errors.push(format!(
                    "line {}: $ {}\nthe page says:\n{}\nthe program says:\n{}\n",
                    quoted.line + 1,
                    quoted.command,
                    expected.join("\n"),
                    printed.join("\n")
                ));
                if !expected.iter().any(|line| line.trim() == "...") {
                    let start = usize::try_from(quoted.line as isize + 1 + shift).expect("a line");
                    shift += printed.len() as isize - expected.len() as isize;
                    lines.splice(start..start + expected.len(), printed);
                }
            }
        }
    }
    (errors, lines.join("\n") + "\n")
}

/// Whether a page can be executed here: the guides that use an adapter of the repository need its language.
fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

#[rstest]
#[case::first_ten_minutes("docs/guides/first-ten-minutes.md", None)]
#[case::bug_report("docs/guides/bug-report.md", Some("python3"))]
#[case::new_adapter("docs/guides/new-adapter.md", Some("python3"))]
#[case::read_a_failure("docs/guides/read-a-failure.md", Some("python3"))]
#[case::diagrams("docs/guides/diagrams.md", None)]
#[case::known_failures("docs/guides/known-failures.md", Some("python3"))]
#[case::command_line("docs/reference/command-line.md", None)]
fn each_command_of_a_guide_prints_what_the_guide_quotes(
    #[case] page: &str,
    #[case] needs: Option<&str>,
) {
    if let Some(program) = needs.filter(|program| !is_there(program)) {
        eprintln!("skipped: {program} is not installed");
        return;
    }
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let folder = tempfile::tempdir().expect("a folder");
    // Such a page is followed in a clone: the adapters of the repository are there.
    if text.contains("in a clone of the repository") {
        symlink(root().join("adapters"), folder.path().join("adapters")).expect("a link");
    }
    let (errors, written) = execute(&text, folder.path());
    if std::env::var("GUIDES").is_ok_and(|value| value == "overwrite") {
        fs::write(&path, written).expect("the page is written");
    }
    assert!(errors.is_empty(), "{page}, {}", errors.join("\n"));
}

#[test]
fn every_guide_is_executed_by_a_test() {
    let tested = include_str!("guides.rs");
    for entry in fs::read_dir(root().join("docs/guides")).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        // `.ci/package` tests the crate of the first, whose text is compared below, and `.ci/workflows` the second.
        let is_tested = ["cargo-test.md", "in-your-ci.md"].contains(&name.as_str())
            || tested.contains(&format!("docs/guides/{name}"));
        assert!(is_tested, "no test executes docs/guides/{name}");
    }
}

/// The guide to `cargo test` quotes the example crate, which `.ci/package` builds and tests.
#[test]
fn the_guide_to_cargo_test_quotes_the_example_crate() {
    let page = fs::read_to_string(root().join("docs/guides/cargo-test.md")).expect("the guide");
    let example = "gipc-harness/examples/own-crate/tests/conformance.rs";
    let code = fs::read_to_string(root().join(example)).expect("the example");
    let quoted = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    for line in quoted.expect("a block of Rust").lines().filter(|line| !line.trim().is_empty()) {
        assert!(code.contains(line.trim()), "{example} does not contain {line:?}");
    }
}

/// Every command of the program is on the page, with its flags.
#[test]
fn the_reference_of_the_command_line_has_every_command() {
    let page = fs::read_to_string(root().join("docs/reference/command-line.md")).expect("a page");
    let folder = tempfile::tempdir().expect("a folder");
    let mut pending = vec![String::new()];
    let mut count = 0;
    while let Some(command) = pending.pop() {
        let typed = format!("gipc-harness{command} --help");
        assert!(page.contains(&format!("$ {typed}\n")), "the page lacks `{typed}`");
        count += 1;
        let help = run(&typed, folder.path());
        let commands = help.iter().skip_while(|line| *line != "Commands:").skip(1);
        let names = commands.take_while(|line| line.starts_with("  ")).filter_map(|line| {
            let name = line[2..].split(' ').next().filter(|name| !name.is_empty())?;
            (name != "help").then(|| format!("{command} {name}"))
        });
        pending.extend(names.collect::<Vec<_>>());
    }
    assert!(count > 15, "only {count} commands");
}

#[test]
fn a_quotation_with_wrong_output_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = "```text greeting\nhello\n```\n\n```console\n$ cat greeting\nhullo\n$ exit 3\n[exit code 3]\n```\n";
    let (errors, written) = execute(page, folder.path());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("line 6: $ cat greeting"), "{errors:?}");
    assert_eq!(written, page.replace("hullo", "hello"));
}

#[rstest]
#[case("ran in 1.4 s: 2 passed", "ran in 12.0 s: 2 passed", true)]
#[case("ran in 1.4 s: 2 passed", "ran in 1.4 s: 3 passed", false)]
#[case("w: 65536 bytes; read", "w: 262144 bytes; read", true)]
#[case("w: 0 bytes; read", "w: 5 bytes; read", false)]
#[case("as fd 12, of pid 7", "as fd 5, of pid 812", true)]
#[case("is r (pipe:[17]): line 1", "is r (pipe:[4711]): line 1", true)]
#[case("from [..] to [..] end", "from a to b end", true)]
#[case("from [..] to", "from a", false)]
fn lines_are_compared_without_times_and_pids(
    #[case] quoted: &str,
    #[case] printed: &str,
    #[case] same: bool,
) {
    assert_eq!(line_matches(quoted, printed), same);
}
