//! The command: reads the arguments, runs, exits with the verdict.

use clap::Parser;
use gipc_harness::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    gipc_harness::init();
    ExitCode::from(cli::main(cli::Options::parse()))
}
