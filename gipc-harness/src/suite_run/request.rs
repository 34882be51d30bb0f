//! What is asked of a run of the suite.

use crate::variant::VariantRequest;

/// A run of scenarios on one adapter. The default is what `run` does without arguments.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Ids, folders, files or records; all scenarios of the suite if nothing is named.
    pub names: Vec<String>,
    /// The name or path of the adapter; that of the record, or the embedded one, if none is named.
    pub adapter: Option<String>,
    /// How many scenarios run at once; one a processor if not given.
    pub jobs: Option<usize>,
    /// How many times each scenario runs.
    pub repeat: u32,
    /// Stop at the first run that is not as expected.
    pub until_failure: bool,
    /// Which variants of each scenario run.
    pub variant: VariantRequest,
    /// Judge by the outcomes in the file alone; the model is not asked whether they can come.
    pub unchecked: bool,
    /// The capacity of each pipe in bytes, where the system lets it be set.
    pub capacity: Option<u32>,
    /// How many processes keep the processors busy meanwhile.
    pub load: u16,
    /// Run heavy scenarios too.
    pub heavy: bool,
    /// Only this part of so many parts, counted from 1.
    pub shard: Option<(usize, usize)>,
    /// How many seconds to wait where no evidence of a stall can be found. Times the slow factor.
    pub timeout: u64,
    /// How many times as long to wait on a slow machine; what the environment says if not given.
    pub slow_factor: Option<u32>,
    /// Write what came into the adapter's folder.
    pub accept: bool,
}

impl Default for RunRequest {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            adapter: None,
            jobs: None,
            repeat: 1,
            until_failure: false,
            variant: VariantRequest::default(),
            unchecked: false,
            capacity: None,
            load: 0,
            heavy: false,
            shard: None,
            timeout: 60,
            slow_factor: None,
            accept: false,
        }
    }
}
