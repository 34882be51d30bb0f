//! The command: turns what was typed into a call of the library, and the result into an exit code.

mod adapter;
mod args;
mod attach;
mod bugs;
mod explore;
mod flags;
mod generate;
mod interrupt;
mod last_failed;
mod matrix;
mod mutants;
mod next;
mod record_args;
mod repro;
mod requirements;
mod run;
mod run_args;
mod scenarios;
mod show;
mod shrink;
mod show_two;

use crate::environment;
use crate::error::Error;
use crate::proc::platform::{self, PORTABLE_VARIABLE};
use crate::report::console::Console;
use crate::report::terminal;
use crate::suite::{Suite, own_program};
use args::{AdapterCommand, Command, Options, ScenariosCommand};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

/// Carries out a command line, whose first word is the name of the program. Returns the exit code.
#[must_use]
pub fn main(words: Vec<OsString>) -> u8 {
    let mut console = Console::default();
    let folder = std::env::current_dir().unwrap_or_default();
    let options = Options::read(words.clone(), &folder);
    let run = |options: Options| match options.force_portable && !platform::is_portable_forced() {
        true => Err(start_again_as_portable(&words)),
        false => dispatch(options, &mut console),
    };
    let code = options.and_then(run).unwrap_or_else(|error| {
        console.complain(&error.to_string());
        error.exit_code()
    });
    // A verdict that could not be written does not count.
    match console.finish() {
        Ok(()) => code,
        Err(error) => {
            Console::default().complain(&format!("error: cannot write the report: {error}"));
            3
        }
    }
}

/// Replaces this process by the same command with the variable that makes the harness portable, which the processes of a run
/// inherit. Returns only if that fails.
fn start_again_as_portable(words: &[OsString]) -> Error {
    let start = |program| {
        let mut command = std::process::Command::new(program);
        if let [name, arguments @ ..] = words {
            command.arg0(name).args(arguments);
        }
        command.env(PORTABLE_VARIABLE, "1").exec()
    };
    own_program().map_or_else(
        |error| error,
        |program| Error::unable(format!("error: cannot start again: {}", start(program))),
    )
}

fn dispatch(options: Options, console: &mut Console) -> Result<u8, Error> {
    let makes_folders = matches!(
        options.command,
        Command::Scenarios { .. } | Command::Adapter { command: AdapterCommand::New { .. } }
    );
    let suite = match makes_folders {
        true => Suite::find_or_planned(options.scenarios, options.adapters)?,
        false => Suite::find(options.scenarios, options.adapters)?,
    };
    match options.command {
        Command::List(selection) => scenarios::list(&suite, &selection, console),
        Command::Check(args) => scenarios::check(&suite, &args, console),
        Command::Scenarios { command: ScenariosCommand::Export { folder } } => {
            scenarios::export(&folder, console)
        }
        Command::Scenarios { command: ScenariosCommand::New { file } } => {
            scenarios::new(&file, console)
        }
        Command::Fmt(args) => scenarios::fmt(&suite, &args, console),
        Command::Run(args) => run::run(&suite, &args, console),
        Command::Repro(args) => repro::repro(&suite, &args, console),
        Command::Shrink(args) => shrink::shrink(&suite, &args, console),
        Command::Judge { records } => run::judge(&suite, &records, console),
        Command::Show(args) => show::show(&suite, &args, console),
        Command::Matrix(args) => matrix::matrix(&suite, &args, console),
        Command::Mutants(args) => mutants::mutants(&suite, &args, console),
        Command::Bugs(args) => bugs::bugs(&suite, &args, console),
        Command::Explore(args) => explore::explore(&suite, &args, console),
        Command::Spec(args) => requirements::spec(&suite, &args, console),
        Command::Adapter { command } => adapter::adapter(&suite, command, console),
        Command::Doctor => doctor(&suite, console),
        Command::Completions { shell } => generate::completions(shell, console),
        Command::Man { folder } => generate::man(&folder, console),
    }
}

fn doctor(suite: &Suite, console: &mut Console) -> Result<u8, Error> {
    let environment = environment::look(&own_program()?);
    console.text(&terminal::environment(&environment));
    next::after_doctor(suite, console);
    Ok(u8::from(environment.unmet().next().is_some()))
}
