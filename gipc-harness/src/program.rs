//! How this program was called, so that a command in a message can be pasted into the same shell.

use std::ffi::OsString;
use std::path::Path;

/// A command of this program as the user can type it: `gipc-harness run close`. The flags that name the folders of the
/// suite are repeated, and so is `--force-portable`.
#[must_use]
pub fn command(words: &str) -> String {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let by_cargo = std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "gipc-harness");
    command_of(&arguments, by_cargo, words)
}

/// The same for the given arguments. `by_cargo` says whether `cargo run` started the program, as the alias `cargo harness`
/// does.
fn command_of(arguments: &[OsString], by_cargo: bool, words: &str) -> String {
    let arguments: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let typed = arguments.first().copied().filter(|typed| !typed.is_empty());
    let program = match typed {
        _ if by_cargo => "cargo harness".to_owned(),
        Some(typed) if typed.rsplit('/').next() == Some("gipc-harness") => quoted(typed),
        // A program that uses the library has no such commands.
        _ => "gipc-harness".to_owned(),
    };
    let mut command = format!("{program} {words}");
    for flag in ["--scenarios", "--adapters"] {
        let at = arguments.iter().position(|word| *word == flag);
        let after = at.and_then(|at| arguments.get(at + 1)).copied();
        let joined = arguments
            .iter()
            .find_map(|word| word.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')));
        if let Some(folder) = after.or(joined) {
            command.push_str(&format!(" {flag} {}", quoted(folder)));
        }
    }
    if arguments.contains(&"--force-portable") {
        command.push_str(" --force-portable");
    }
    command
}

/// A path as a word of a command.
#[must_use]
pub fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word for the shell, in quotes if it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@,%[]".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::command_of;
    use rstest::rstest;
    use std::ffi::OsString;

    #[rstest]
    #[case::the_program_as_it_was_typed(&["./target/debug/gipc-harness", "run"], false, "./target/debug/gipc-harness show a/b")]
    #[case::a_program_in_the_path(&["gipc-harness"], false, "gipc-harness show a/b")]
    #[case::another_program(&["target/debug/deps/conformance-1a2b"], false, "gipc-harness show a/b")]
    #[case::the_alias_of_the_workspace(&["target/release/gipc-harness"], true, "cargo harness show a/b")]
    #[case::a_forced_platform_is_kept(&["gipc-harness", "run", "--force-portable"], false, "gipc-harness show a/b --force-portable")]
    #[case::the_folders_are_kept(&["bin/gipc-harness", "run", "--scenarios", "my dir", "--adapters=x"], false, "bin/gipc-harness show a/b --scenarios 'my dir' --adapters x")]
    fn a_command_can_be_typed_where_the_program_was_called(
        #[case] arguments: &[&str],
        #[case] by_cargo: bool,
        #[case] expected: &str,
    ) {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        assert_eq!(command_of(&arguments, by_cargo, "show a/b"), expected);
    }
}
