//! A conformance suite and test harness for child processes that talk through pipes.
//!
//! It runs scripted multi-process scenarios against an implementation in any language, compares what happened with a model,
//! and explains a stall: which process waits for which, and why.
//!
//! To run the suite as the tests of a crate, give the crate a test target with `harness = false`:
//!
//! ```no_run
//! gipc_harness::conformance! { adapter: "tests/my-adapter", scenarios: ["close/"] }
//! ```
//!
//! To run it from a program, use [`Harness`]. For everything else there is the command: `gipc-harness --help`.
//!
//! The public interface is what this page lists. The modules are documented for contributors, in the order in which a run
//! uses them, and may change with any release.
pub mod similar;
pub mod program;
pub mod error;
pub mod process_role;
pub mod requirements;
pub mod scenario;
pub mod trace;
pub mod model;
pub mod adapter;
pub mod embedded_agent;
pub mod program_agent;
pub mod environment;
pub mod proc;
pub mod deadlock;
pub mod variant;
pub mod verdict;
pub mod record;
pub mod diagram;
pub mod suite;
pub mod suite_run;
pub mod explore;
pub mod mutants;
pub mod bugs;
pub mod report;
pub mod bundle;
pub mod runner;
pub mod cli;
mod conformance;
mod harness;
mod init;

pub use conformance::ConformanceTests;
pub use error::Error;
pub use harness::Harness;
pub use init::{init, init_with_agent};
pub use process_role::AgentFunction;
pub use report::{Report, ScenarioResult};
