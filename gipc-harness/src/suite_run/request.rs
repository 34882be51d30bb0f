//! The request for a run of the suite.

use crate::adapter::EMBEDDED;
use crate::error::Error;
use crate::record::Record;
use crate::runner::AttachedTool;
use crate::suite::Suite;
use crate::variant::VariantRequest;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Records with their files.
type Records = Vec<(PathBuf, Record)>;

/// A run of scenarios on one adapter. The default is what `run` does without arguments.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Ids, folders, files, patterns, requirements or records; all scenarios of the suite if nothing is named.
    pub names: Vec<String>,
    /// Scenarios that are left out, named in the same ways except by records.
    pub skip: Vec<String>,
    /// The name or path of the adapter. If none is named, that of the record, or the embedded one.
    pub adapter: Option<String>,
    /// How many scenarios run at once; two for each processor if not given.
    pub jobs: Option<usize>,
    /// How many times each scenario runs.
    pub repeat: u32,
    /// Start no run after this time; the runs that have started then still end.
    pub time_limit: Option<Duration>,
    /// Stop at the first run that is not as expected.
    pub until_failure: bool,
    /// Which variants of each scenario run.
    pub variant: VariantRequest,
    /// Judge by the outcomes in the file alone, without asking the model whether they are possible.
    pub unchecked: bool,
    /// The capacity of each pipe in bytes, where the system lets it be set.
    pub capacity: Option<u32>,
    /// How many processes keep the processors busy during the run.
    pub load: u16,
    /// Run heavy scenarios too.
    pub heavy: bool,
    /// Run only one part of the scenarios: the number of the part, from 1, and the number of parts.
    pub shard: Option<(usize, usize)>,
    /// How many seconds to wait where no evidence of a stall can be found. It is multiplied by the slow factor.
    pub timeout: u64,
    /// How many times as long to wait on a slow machine. The default is what the environment suggests.
    pub slow_factor: Option<u32>,
    /// A tool to attach to a process before its first step. There must be only one run.
    pub tool: Option<AttachedTool>,
    /// Write the results into the adapter's folder.
    pub accept: bool,
}

impl Default for RunRequest {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            skip: Vec::new(),
            adapter: None,
            jobs: None,
            repeat: 1,
            time_limit: None,
            until_failure: false,
            variant: VariantRequest::default(),
            unchecked: false,
            capacity: None,
            load: 0,
            heavy: false,
            shard: None,
            timeout: 60,
            slow_factor: None,
            tool: None,
            accept: false,
        }
    }
}

impl RunRequest {
    /// The name or path of the requested adapter: the named one, or else that of the records, that of the project, or the
    /// embedded one.
    ///
    /// Fails if a record cannot be read, or if the records are of several adapters.
    pub fn adapter_in(&self, suite: &Suite) -> Result<String, Error> {
        if let Some(named) = &self.adapter {
            return Ok(named.clone());
        }
        let (records, _) = self.records_and_names()?;
        let mut adapters = records.into_iter().map(|(_, record)| record.case.adapter);
        let Some(first) = adapters.next() else {
            return Ok(suite.default_adapter.clone().unwrap_or_else(|| EMBEDDED.into()));
        };
        match adapters.find(|other| *other != first) {
            None => Ok(first),
            Some(other) => Err(Error::usage(format!(
                "error: these records are of {first} and of {other}; name one adapter with --adapter"
            ))),
        }
    }

    /// Separates the records among the names, with their files, from the other names.
    pub(super) fn records_and_names(&self) -> Result<(Records, Vec<String>), Error> {
        let (records, others): (Vec<&String>, Vec<&String>) =
            self.names.iter().partition(|name| Record::is_one(Path::new(name)));
        let read = |name: &String| Ok((PathBuf::from(name), Record::read(Path::new(name))?));
        let records = records.into_iter().map(read).collect::<Result<_, Error>>()?;
        Ok((records, others.into_iter().cloned().collect()))
    }

    /// How many runs are executed at once. The default is twice the number of processors, since a run spends half of its
    /// time waiting: for limits that expire, and for evidence that nothing moves.
    pub(super) fn at_once(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.unwrap_or_else(|| 2 * processors())
    }
}
