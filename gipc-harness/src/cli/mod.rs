//! The command: what was typed becomes a call of the library, and what it returns an exit code.

mod adapter;
mod args;
mod explore;
mod last_failed;
mod matrix;
mod requirements;
mod run;
mod run_args;
mod scenarios;
mod show;

pub use args::Options;

use crate::environment;
use crate::error::Error;
use crate::report::console::Console;
use crate::report::terminal;
use crate::suite::{Suite, own_program};
use args::{Command, ScenariosCommand};
use run_args::Run;

/// Does what was typed. Returns the exit code.
#[must_use]
pub fn main(options: Options) -> u8 {
    let mut console = Console::default();
    let code = dispatch(options, &mut console).unwrap_or_else(|error| {
        console.complain(&error.to_string());
        error.exit_code()
    });
    // A verdict that could not be written is none.
    match console.finish() {
        Ok(()) => code,
        Err(error) => {
            Console::default().complain(&format!("error: cannot write the report: {error}"));
            3
        }
    }
}

fn dispatch(options: Options, console: &mut Console) -> Result<u8, Error> {
    let suite = Suite::find(options.scenarios, options.adapters)?;
    let default = || Command::Run(Box::new(Run::default_flags()));
    match options.command.unwrap_or_else(default) {
        Command::List(selection) => scenarios::list(&suite, &selection, console),
        Command::Check(args) => scenarios::check(&suite, &args, console),
        Command::Scenarios { command: ScenariosCommand::Export { folder } } => {
            scenarios::export(&folder, console)
        }
        Command::Fmt(args) => scenarios::fmt(&suite, &args, console),
        Command::Run(args) => run::run(&suite, &args, console),
        Command::Judge { records } => run::judge(&suite, &records, console),
        Command::Show(args) => show::show(&suite, &args, console),
        Command::Matrix(args) => matrix::matrix(&suite, &args, console),
        Command::Explore(args) => explore::explore(&suite, &args, console),
        Command::Spec(args) => requirements::spec(&suite, &args, console),
        Command::Adapter { command } => adapter::adapter(&suite, command, console),
        Command::Doctor => doctor(console),
    }
}

fn doctor(console: &mut Console) -> Result<u8, Error> {
    let environment = environment::look(&own_program()?);
    console.text(&terminal::environment(&environment));
    Ok(u8::from(environment.unmet().next().is_some()))
}
