//! The roles that this program takes when the harness starts it again: supervisor, agent, load.
//!
//! The harness needs processes of its own, and starts the running program for them, so that no other binary has to be
//! found. The first argument says which role the process has.

use crate::embedded_agent;
use crate::environment;
use crate::process_role::{
    AGENT, AgentFunction, EMBEDDED_AGENT, LOAD, NOTHING, PROGRAM, SUPERVISOR, initialize,
};
use crate::program_agent;
use crate::runner::supervisor;
use crate::suite_run;
use std::env;
use std::ffi::OsString;

/// Takes over a process that the harness started: in such a process it does not return.
///
/// A program that uses `Harness` calls this first in its `main`, before it starts a thread.
/// `conformance!` does it. Calling it again does nothing.
pub fn init() {
    dispatch(None);
}

/// Like [`init`], for a program that contains an agent. The adapter is started with
/// `Harness::agent`.
pub fn init_with_agent(agent: AgentFunction) {
    dispatch(Some(agent));
}

fn dispatch(agent: Option<AgentFunction>) {
    // A child of the embedded implementation never comes back from here.
    embedded_agent::init();
    let mut arguments = env::args_os().skip(1);
    let first = arguments.next();
    let code = match first.as_deref().and_then(|word| word.to_str()) {
        Some(SUPERVISOR) => supervisor::supervisor_main(arguments.collect()),
        Some(LOAD) => suite_run::busy_main(),
        Some(NOTHING) => 0,
        Some(environment::SLEEPER) => environment::sleeper_main(),
        Some(EMBEDDED_AGENT) => embedded_agent::main_agent(&role(arguments.next())),
        Some(PROGRAM) => program_agent::main(arguments),
        Some(AGENT) => match agent {
            Some(agent) => {
                agent(&role(arguments.next()));
                0
            }
            None => 2,
        },
        _ => {
            initialize(agent);
            return;
        }
    };
    std::process::exit(code);
}

fn role(argument: Option<OsString>) -> String {
    argument.unwrap_or_default().to_string_lossy().into_owned()
}
