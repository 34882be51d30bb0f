//! The command: reads the arguments, runs, exits with the verdict.

use clap::Parser;
use gipc_harness::proc::platform::reset_sigchld;
use gipc_harness::{cli, embedded_agent, environment, runner, suite_run};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A child of the embedded implementation never comes back from here.
    embedded_agent::init();
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|word| word.to_str()) {
        Some("agent") => {
            let role = arguments.next().unwrap_or_default().to_string_lossy().into_owned();
            code(embedded_agent::main_agent(&role))
        }
        Some("busy") => code(suite_run::busy_main()),
        Some("supervisor") => code(runner::supervisor::supervisor_main(arguments.collect())),
        Some(environment::SLEEPER) => code(environment::sleeper_main()),
        _ => {
            reset_sigchld();
            ExitCode::from(cli::main(cli::Options::parse()))
        }
    }
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
