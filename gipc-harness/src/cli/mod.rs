//! The command: which room does what was typed. Decides nothing itself.

mod accept;
mod busy;
mod explore;
mod inspect;
mod judge;
mod library;
mod load;
mod matrix;
mod meant;
mod options;
mod out;
mod scaffold;
mod schema;
mod spec;
mod starve;
mod suite;
mod tell;
mod tools;
mod ways;

use crate::adapter::AdapterError;
use library::Library;
use load::load;
use options::{AdapterCommand, Command, Explore, Format, Matrices, Run, Show, Spec};
use out::Out;
use std::path::PathBuf;

pub use busy::busy_main;
pub use judge::judge_record;
pub use options::Options;
pub use schema::files as schemas;
pub use suite::choices;

/// What ends a command before its work: words for stderr, and the exit code.
#[derive(Debug)]
pub(crate) struct Stopped {
    message: String,
    code: u8,
}

impl Stopped {
    /// Usage, or a scenario that cannot be meant.
    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// It could not be found out.
    fn unable(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 3 }
    }
}

impl From<AdapterError> for Stopped {
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
    let mut out = Out::default();
    let code = dispatch(options, &mut out).unwrap_or_else(|stopped| {
        out.complain(stopped.message.trim_end());
        stopped.code
    });
    // A verdict that nobody could read is none.
    match out.finish() {
        Ok(()) => code,
        Err(error) => {
            Out::default().complain(&format!("error: cannot write the report: {error}"));
            3
        }
    }
}

fn dispatch(options: Options, out: &mut Out) -> Result<u8, Stopped> {
    let library = Library::find(options.scenarios, options.adapters);
    match options.command.unwrap_or_else(|| Command::Run(Run::parse_default())) {
        Command::List(what) => tools::list(&library, &what.what, out),
        Command::Check(what) => tools::check(&library, &what.what, out),
        Command::Run(run) => suite::run(&library, &run, out),
        Command::Matrix(asked) => matrix::matrix(&library, &asked, out),
        Command::Show(show) => tools::show(&library, &show, out),
        Command::Judge { records } => judge::again(&library, &records, out),
        Command::Explore(asked) => explore::explore(&library, &asked, out),
        Command::Spec(spec) => spec::spec(&library, &spec, out),
        Command::Doctor => tools::doctor(out),
        Command::Fmt(fmt) => tools::fmt(&library, &fmt.what, fmt.check, out),
        Command::Adapter { command: AdapterCommand::List } => tools::adapters(&library, out),
        Command::Adapter { command: AdapterCommand::Check { name } } => {
            inspect::check(&library, &name, out)
        }
        Command::Adapter { command: AdapterCommand::New { name, lang } } => {
            scaffold::new(&library, &name, lang, out)
        }
        Command::Adapter { command: AdapterCommand::Schema { folder } } => {
            schema::write(&folder, out)
        }
        Command::Adapter { command: AdapterCommand::Setup { name } } => {
            tools::setup(&library, &name, out)
        }
    }
}

/// Where the system cannot say which program this is (Linux without `/proc`), it is the one that was typed.
fn own_program() -> Result<PathBuf, Stopped> {
    std::env::current_exe().or_else(|error| typed().ok_or(error)).map_err(|error| {
        Stopped::unable(format!("error: where is this program? {error}; type its whole path"))
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
