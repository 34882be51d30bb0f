//! An independent third implementation of the protocol. It shares no code with the harness or with the kit, on purpose,
//! so that a fault in shared code cannot hide: do not replace its protocol client with the one of the kit.
//!
//! This is the agent of plain POSIX, which runs in every process of a scenario. Its arguments are the role of the
//! process and the pipe ends that its parent has given to it: `NAME=r5` is a reader and `NAME=w6` a writer, each with
//! its descriptor.

mod faults;
mod protocol;
mod frame;
mod handles;
mod children;
mod start;
mod os_actions;
mod session;
mod poll;
mod run_command;
mod commands;
mod agent;

use agent::Agent;
use commands::ProcessEnd;
use faults::{fault, mark};
use frame::{Incoming, Outgoing};
use handles::{Handles, PipeEnd, Side};
use std::collections::BTreeSet;
use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::process;

fn main() {
    match agent_from_arguments().map(Agent::serve) {
        Ok(ProcessEnd::Return) => {}
        Ok(ProcessEnd::Exit(code)) => process::exit(code),
        Ok(ProcessEnd::Panic) if fault!("a-failing-entry-exits-with-0") => {}
        Ok(ProcessEnd::Panic) => panic!("the scenario says that this entry fails"),
        Err(error) => {
            eprintln!("posix: {error}");
            process::exit(2);
        }
    }
}

fn agent_from_arguments() -> io::Result<Agent> {
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or_else(|| invalid("no role"))?;
    if role != "main" {
        mark("child");
    }
    if fault!("sigpipe-kills") || fault!("children-die-of-sigpipe") && role != "main" {
        faults::let_sigpipe_kill();
    }
    let mut adopted = BTreeSet::new();
    let mut handles = Handles::default();
    for argument in arguments {
        let (name, end) = parse_handle(&argument, &mut adopted)?;
        handles.0.insert(name, end);
    }
    let program = CString::new(env::current_exe()?.into_os_string().into_vec())?;
    Agent::new(program, &role, handles)
}

/// Parses an argument that describes a given pipe end, and takes ownership of its descriptors.
fn parse_handle(argument: &str, adopted: &mut BTreeSet<i32>) -> io::Result<(String, PipeEnd)> {
    let wrong = || invalid(argument);
    let mut take = |number: &str| -> io::Result<OwnedFd> {
        let number = number.parse().map_err(|_| wrong())?;
        // Each descriptor gets one owner. The standard streams are never given.
        if number > 2 && adopted.insert(number) {
            Ok(os_actions::adopt_descriptor(number)?)
        } else {
            Err(wrong())
        }
    };
    let (name, end) = argument.rsplit_once('=').ok_or_else(wrong)?;
    let (end, memory_file) =
        end.split_once('+').map_or((end, None), |(end, file)| (end, Some(file)));
    let mut unfinished = Vec::new();
    if let Some(memory_file) = memory_file {
        File::from(take(memory_file)?).read_to_end(&mut unfinished)?;
    }
    let (side, number) = match (end.strip_prefix('r'), end.strip_prefix('w')) {
        (Some(number), _) => (Side::Reader(Incoming::new(unfinished)), number),
        (_, Some(number)) => (Side::Writer(Outgoing::new(unfinished)), number),
        _ => return Err(wrong()),
    };
    Ok((name.to_owned(), PipeEnd::new(take(number)?, side)))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not an argument of this program: {what}"))
}
