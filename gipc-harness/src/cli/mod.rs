//! The command: which room does what was typed. Decides nothing itself.

mod accept_baseline;
mod cpu_load;
mod explore;
mod adapter_check;
mod rejudge;
mod suite_files;
mod load_adapter;
mod matrix;
mod viable;
mod args;
mod console;
mod scaffold;
mod schema;
mod requirements;
mod fd_exhaustion;
mod run_suite;
mod run_reporter;
mod misc_commands;
mod jobs;

use crate::adapter::AdapterError;
use args::{AdapterCommand, Command, Explore, Format, Matrices, Run, Show, Spec};
use console::Console;
use load_adapter::load;
use std::path::PathBuf;
use suite_files::Suite;

pub use args::Options;
pub use cpu_load::busy_main;
pub use rejudge::judge_record;
pub use run_suite::choices;
pub use schema::files as schemas;

/// What ends a command before its work: words for stderr, and the exit code.
#[derive(Debug)]
pub(crate) struct CommandError {
    message: String,
    code: u8,
}

impl CommandError {
    /// Usage, or a scenario that cannot be meant.
    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// It could not be found out.
    fn unable(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 3 }
    }
}

impl From<AdapterError> for CommandError {
    fn from(error: AdapterError) -> Self {
        match error {
            AdapterError::Bad(text) => Self::usage(format!("error: {text}")),
            AdapterError::Absent(text) => Self::unable(format!("error: {text}")),
        }
    }
}

/// Does what was typed. Returns the exit code.
#[must_use]
pub fn main(options: Options) -> u8 {
    let mut out = Console::default();
    let code = dispatch(options, &mut out).unwrap_or_else(|stopped| {
        out.complain(stopped.message.trim_end());
        stopped.code
    });
    // A verdict that nobody could read is none.
    match out.finish() {
        Ok(()) => code,
        Err(error) => {
            Console::default().complain(&format!("error: cannot write the report: {error}"));
            3
        }
    }
}

fn dispatch(options: Options, out: &mut Console) -> Result<u8, CommandError> {
    let suite = Suite::find(options.scenarios, options.adapters);
    match options.command.unwrap_or_else(|| Command::Run(Run::parse_default())) {
        Command::List(what) => misc_commands::list(&suite, &what.what, out),
        Command::Check(what) => misc_commands::check(&suite, &what.what, out),
        Command::Run(run) => run_suite::run(&suite, &run, out),
        Command::Matrix(asked) => matrix::matrix(&suite, &asked, out),
        Command::Show(show) => misc_commands::show(&suite, &show, out),
        Command::Judge { records } => rejudge::again(&suite, &records, out),
        Command::Explore(asked) => explore::explore(&suite, &asked, out),
        Command::Spec(spec) => requirements::spec(&suite, &spec, out),
        Command::Doctor => misc_commands::doctor(out),
        Command::Fmt(fmt) => misc_commands::fmt(&suite, &fmt.what, fmt.check, out),
        Command::Adapter { command: AdapterCommand::List } => misc_commands::adapters(&suite, out),
        Command::Adapter { command: AdapterCommand::Check { name } } => {
            adapter_check::check(&suite, &name, out)
        }
        Command::Adapter { command: AdapterCommand::New { name, lang } } => {
            scaffold::new(&suite, &name, lang, out)
        }
        Command::Adapter { command: AdapterCommand::Schema { folder } } => {
            schema::write(&folder, out)
        }
        Command::Adapter { command: AdapterCommand::Setup { name } } => {
            misc_commands::setup(&suite, &name, out)
        }
    }
}

/// Where the system cannot say which program this is (Linux without `/proc`), it is the one that was typed.
fn own_program() -> Result<PathBuf, CommandError> {
    std::env::current_exe().or_else(|error| typed().ok_or(error)).map_err(|error| {
        CommandError::unable(format!("error: where is this program? {error}; type its whole path"))
    })
}

fn typed() -> Option<PathBuf> {
    let typed = PathBuf::from(std::env::args_os().next()?);
    if typed.components().count() > 1 {
        return typed.canonicalize().ok();
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(&typed)).find(|path| path.is_file())
}
