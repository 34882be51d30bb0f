//! What an implementation keeps open for itself, as declared in its manifest.

use schemars::JsonSchema;
use serde::Deserialize;

/// What a process may still hold when its last step has completed, although it did not have it when it connected. An
/// implementation that keeps nothing leaves this out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Keeps {
    /// The largest number of descriptors that a process opens for itself while it runs, for example for an event loop that
    /// is made at the first use.
    #[serde(default)]
    pub descriptors: u64,
    /// The largest number of descriptors that a process keeps for each child that it has started, joined or not.
    #[serde(default)]
    pub per_child: u64,
    /// Whether a child that ended stays a zombie until it is joined.
    #[serde(default)]
    pub unjoined_zombies: bool,
    /// Whether a child holds pipe ends that it was not given.
    #[serde(default)]
    pub inherited: bool,
    /// Why, and where this can be seen.
    #[serde(default)]
    pub reason: String,
}
