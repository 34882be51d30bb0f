//! The command line combined with the flags of `gipc-harness.toml`, which are the defaults of the flags that are not typed.

use super::args::Options;
use crate::error::Error;
use crate::suite::{Flags, ProjectFile};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::path::Path;
use toml::Value;

/// The command that runs if none is typed.
const DEFAULT_COMMAND: &str = "run";

impl Options {
    /// Reads a command line, the name of the program first. Flags that are not typed get their values from the nearest
    /// `gipc-harness.toml`, in `folder` or above it. Prints the help, the version or a usage error and exits if the command
    /// line leads to that.
    ///
    /// Fails if `gipc-harness.toml` cannot be read, or if a flag in it is wrong.
    pub(super) fn read(mut words: Vec<OsString>, folder: &Path) -> Result<Self, Error> {
        // The first pass is lenient, since the file may provide what is missing. The second pass reports mistakes.
        let lenient = Self::command().ignore_errors(true);
        let typed = lenient.try_get_matches_from(&words).unwrap_or_else(|error| error.exit());
        let name = typed.subcommand_name().unwrap_or_else(|| {
            Self::command().get_matches_from(&words);
            words.push(DEFAULT_COMMAND.into());
            DEFAULT_COMMAND
        });
        let preset = typed.get_one::<String>("preset").map(String::as_str);
        let command = match (ProjectFile::nearest(folder)?, preset) {
            (Some(file), _) => {
                let flags = file.flags_of(name, preset)?;
                check(name, &flags, &file)?;
                Self::command().mut_subcommand(name, |command| {
                    with_defaults(command, &flags, typed.subcommand_matches(name))
                })
            }
            (None, None) => Self::command(),
            (None, Some(name)) => {
                let message =
                    format!("error: --preset {name} needs a gipc-harness.toml, here or above");
                return Err(Error::usage(message));
            }
        };
        let matches = command.get_matches_from(words);
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }
}

/// Checks flags of the file as if they were typed.
fn check(command: &str, flags: &Flags, file: &ProjectFile) -> Result<(), Error> {
    let refused = |cause: &str| {
        Error::usage(format!("error: {}: flags of {command}: {cause}", file.path.display()))
    };
    let mut words = vec![String::new(), command.to_owned()];
    for (name, value) in flags {
        let is_switched_off = *value == Value::Boolean(false);
        for text in texts(value).ok_or_else(|| refused(&format!("{name} takes no such value")))? {
            match value {
                Value::Boolean(_) if is_switched_off => {}
                Value::Boolean(_) => words.push(format!("--{name}")),
                _ => words.push(format!("--{name}={text}")),
            }
        }
    }
    // Without flags there is nothing to check, and a command that has subcommands would ask for one.
    if flags.is_empty() {
        return Ok(());
    }
    match Options::command().try_get_matches_from(words) {
        // What the command needs may be typed.
        Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
            let message = error.to_string();
            let cause = message.split("\n\nUsage").next().unwrap_or(&message);
            Err(refused(cause.trim_start_matches("error: ").trim_end()))
        }
        _ => Ok(()),
    }
}

/// The command with these flags as defaults, except those that contradict what is typed.
fn with_defaults(command: Command, flags: &Flags, typed: Option<&ArgMatches>) -> Command {
    let mut built = command.clone();
    built.build();
    let is_typed = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        typed.is_some_and(|typed| typed.value_source(id) == Some(ValueSource::CommandLine))
    };
    let typed: Vec<&Arg> = built.get_arguments().filter(is_typed).collect();
    let conflict = |one: &Arg, other: &Arg| {
        built.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id())
    };
    let defaults = flags.iter().filter_map(|(name, value)| {
        let arg = built.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        let contradicts = |typed: &&Arg| conflict(typed, arg) || conflict(arg, typed);
        let is_kept = !typed.iter().any(contradicts);
        is_kept.then_some((arg.get_id().clone(), texts(value)?))
    });
    defaults.fold(command, |command, (id, values)| {
        command.mut_arg(id, |arg| arg.required(false).default_values(values))
    })
}

/// A value of the file as it would be typed; a list gives several texts. `None` for a value that no flag takes.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Boolean(is_set) => Some(vec![is_set.to_string()]),
        Value::Array(values) => {
            let lists: Option<Vec<_>> = values.iter().map(texts).collect();
            lists.map(|lists| lists.concat())
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;
    use rstest::rstest;

    const FILE: &str = r#"
        [flags.run]
        jobs = 3
        concurrent = true
        heavy = true
        [flags.matrix]
        output = "out"
        adapter = ["one", "two"]
        [preset.ci.run]
        jobs = 1
        format = "github"
    "#;

    /// What a command line means in a folder with this file.
    fn read(file: &str, line: &str) -> Result<Options, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("gipc-harness.toml"), file).expect("written");
        let words = line.split_whitespace().map(OsString::from).collect();
        Options::read(words, folder.path())
    }

    #[rstest]
    #[case("gipc-harness adapter list")]
    #[case("gipc-harness scenarios new first.scenario")]
    fn commands_with_subcommands_can_be_used_beside_the_file(#[case] line: &str) {
        read(FILE, line).expect("the file has no flags of this command");
    }

    /// The flags of `run` that a command line results in.
    fn run(line: &str) -> String {
        match read(FILE, line).expect("the file is right").command {
            args::Command::Run(run) => format!("{run:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case::without_a_command("gipc-harness", &["jobs: Some(3)", "concurrent: true", "heavy: true", "Terminal"])]
    #[case::for_the_command("gipc-harness run close", &["jobs: Some(3)", r#"names: ["close"]"#])]
    #[case::and_what_is_typed_comes_first("gipc-harness run --jobs 7", &["jobs: Some(7)", "concurrent: true"])]
    #[case::and_what_contradicts_it_is_left_out("gipc-harness run --order random:1", &["concurrent: false", "Random(1)"])]
    #[case::and_a_preset_replaces_them("gipc-harness run --preset ci", &["jobs: Some(1)", "Github", "heavy: true"])]
    #[case::also_before_the_command("gipc-harness --preset ci run", &["jobs: Some(1)", "Github"])]
    fn the_file_has_flags(#[case] line: &str, #[case] expected: &[&str]) {
        let found = run(line);
        for part in expected {
            assert!(found.contains(part), "{part} is not in {found}");
        }
    }

    #[test]
    fn the_file_has_what_a_command_needs() {
        let options = read(FILE, "gipc-harness matrix").expect("the file is right");
        let args::Command::Matrix(matrix) = options.command else { panic!("{options:?}") };
        assert_eq!(matrix.output, Path::new("out"));
        assert_eq!(matrix.adapter, ["one", "two"]);
    }

    #[rstest]
    #[case::an_unknown_flag("[flags.run]\njob = 3", "flags of run: unexpected argument '--job'")]
    #[case::a_wrong_value("[flags.run]\njobs = \"many\"", "invalid value 'many' for '--jobs <N>'")]
    #[case::flags_that_exclude_each_other(
        "[flags.run]\nconcurrent = true\norder = \"all\"",
        "cannot be used with"
    )]
    #[case::a_command_without_flags("[flags.spec]\nuncovered = true", "unknown field `spec`")]
    #[case::a_value_of_another_kind("[flags.run]\njobs = 1.5", "jobs takes no such value")]
    fn a_wrong_file_is_refused_with_its_name(#[case] file: &str, #[case] expected: &str) {
        let error = read(file, "gipc-harness run").expect_err("it is refused").to_string();
        assert!(error.contains("gipc-harness.toml") && error.contains(expected), "{error}");
    }

    #[rstest]
    #[case::with_others("[preset.ci.run]\njobs = 1", "has no preset cy; it has ci")]
    #[case::without_any("adapter = \"it\"", "has no preset cy; it has none")]
    fn an_unknown_preset_is_refused(#[case] file: &str, #[case] expected: &str) {
        let error = read(file, "gipc-harness run --preset cy").expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
