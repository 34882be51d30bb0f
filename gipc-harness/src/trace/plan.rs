//! When to let each step go: the model's to make, and a conductor's to follow. Data only.

/// The order in which steps are released, and what is over after each release.
///
/// It tells a conductor when to go on, and nothing of what is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The releases.
    pub releases: Vec<Release>,
}

/// One release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The step that is let go.
    pub step: usize,
    /// The steps that end before the next release; earlier ones that were open among them.
    pub ends: Vec<usize>,
    /// The processes that come into being before the next release.
    pub comes: Vec<String>,
    /// The processes that end before the next release.
    pub leaves: Vec<String>,
}
