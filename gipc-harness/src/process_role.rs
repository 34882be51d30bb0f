//! The arguments with which the harness starts the running program again, and the agent that the program contains.
//!
//! `init` acts on them.

use std::sync::OnceLock;

/// The argument of the process that starts and ends the processes of a run.
pub const SUPERVISOR: &str = "gipc-harness:supervisor";
/// The argument of a process that keeps a processor busy, for `--load`.
pub const LOAD: &str = "gipc-harness:load";
/// The argument of a process that ends at once. How long that takes shows how fast the machine is.
pub const NOTHING: &str = "gipc-harness:nothing";
/// The argument of a process of the embedded implementation, before its role.
pub const EMBEDDED_AGENT: &str = "gipc-harness:embedded-agent";
/// The argument of a program that a scenario starts by `run`, before its role and its streams.
pub const PROGRAM: &str = "gipc-harness:program";
/// The argument of a process of the program's own implementation, before its role.
pub const AGENT: &str = "gipc-harness:agent";

/// An agent that is a function of this program: it gets the name of the process that it plays, and returns when the
/// scenario ends.
pub type AgentFunction = fn(role: &str);

/// The agent that the program gave to `init`. Empty until `init` is called.
static INITIALIZED: OnceLock<Option<AgentFunction>> = OnceLock::new();

/// Remembers that `init` was called, and with which agent.
pub(crate) fn initialize(agent: Option<AgentFunction>) {
    INITIALIZED.get_or_init(|| agent);
}

/// Whether `init` was called.
pub(crate) fn is_initialized() -> bool {
    INITIALIZED.get().is_some()
}

/// Whether the program named an agent of its own.
pub(crate) fn has_agent() -> bool {
    INITIALIZED.get().is_some_and(Option::is_some)
}
