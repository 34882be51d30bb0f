//! Executes a scenario with real processes, and records what happens.
//!
//! The runner releases the steps in the order of a schedule, or all at once. It does not know the model, so it can't steer
//! an implementation to the predicted outcome.

mod agent_conversation;
mod attached_tool;
mod capability_probe;
mod census;
mod concurrent;
mod events;
mod execution;
mod executor;
mod fault_injection;
mod inbox;
mod limit_watch;
mod output;
mod ping_log;
mod pipe_names;
mod protocol_mapping;
mod quiescence;
mod run_state;
mod sessions;
mod settings;
mod silence;
mod stall;
mod step_index;
mod step_table;
mod stepwise;
mod timings;
pub mod supervisor;

pub use attached_tool::AttachedTool;
pub use events::{Event, EventKind, Events};
pub use executor::execute;
pub use output::RunOutput;
pub use settings::{FindDeadlocked, Settings};
pub use silence::SilenceNotice;
pub use timings::{Phase, Timings};
