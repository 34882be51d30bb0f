//! The command: reads the arguments, runs, exits with the verdict.

use gipc_harness::cli;
use gipc_harness::proc::platform::reset_sigchld;
use std::process::ExitCode;

fn main() -> ExitCode {
    gipc_harness::init();
    reset_sigchld();
    ExitCode::from(cli::main(std::env::args_os().collect()))
}
