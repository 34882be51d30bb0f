//! Measures how many wrong implementations the suite catches: adapters with deliberate faults, a run of the suite on each,
//! and the kill matrix that results.
//!
//! The variable `GIPC_FAULT` chooses a fault, so that one build serves for all faults of an adapter. `faults.toml` in the
//! folder of the adapter lists them, each with the scenario that must catch it.

mod fault_list;
mod fault_run;
mod kill_matrix;
mod screen;

pub use fault_list::{Fault, FaultList};
pub use fault_run::{MutantRequest, run_faults};
pub use kill_matrix::{Catch, FaultResult, How, KillMatrix};
pub use screen::{json_line, json_summary, row, summary};
