//! How many wrong implementations the suite catches: adapters with deliberate faults, the runs of the suite on each, and
//! the kill matrix that follows from them.
//!
//! A fault is chosen by the variable `GIPC_FAULT`, so that all faults of an adapter need one build. `faults.toml` in the
//! folder of the adapter lists them, each with the scenario that must catch it.

mod fault_list;
mod fault_run;
mod kill_matrix;
mod screen;

pub use fault_list::{Fault, FaultList};
pub use fault_run::{MutantRequest, run_faults};
pub use kill_matrix::{Catch, FaultResult, How, KillMatrix};
pub use screen::{json_line, json_summary, row, summary};
