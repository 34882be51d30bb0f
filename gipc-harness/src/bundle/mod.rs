//! A repro bundle: a folder with everything needed to understand a failing run and to run it again on another machine.
//!
//! [`Bundle`] reads and writes the folder; [`redact`] removes what is private to the machine; [`reproduction`] says what
//! further runs mean; [`issue`] writes the text of a bug report.

pub mod issue;
mod readme;
pub mod redact;
pub mod reproduction;
#[cfg(test)]
mod tests;

use crate::diagram::Run;
use crate::diagram::chrome_trace::chrome_trace;
use crate::diagram::mermaid::mermaid;
use crate::diagram::svg::svg;
use crate::error::Error;
use crate::record::Record;
use crate::report::{ScenarioReport, terminal};
use crate::runner::EventKind;
use crate::trace::sequence_diagram;
use crate::variant::Job;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that makes a folder a bundle.
const MANIFEST: &str = "bundle.json";
/// The record in a bundle.
const RECORD: &str = "record.jsonl";
/// The version of the format.
const VERSION: u32 = 1;

/// The content of `bundle.json`: which failure it is, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// The id of the scenario.
    pub scenario: String,
    /// The name of the adapter.
    pub adapter: String,
    /// The name and version of the implementation, as the agent reported them.
    pub implementation: String,
    /// The flags of `run` that execute the scenario in the same way.
    pub flags: String,
    /// The capacity that each pipe was set to, in bytes.
    pub capacity: Option<u32>,
    /// The verdict in one word.
    pub status: String,
    /// The wrong step, its outcome, and the verdict.
    pub fingerprint: [String; 3],
    /// The version of the suite.
    pub suite: String,
    /// Whether paths and the values of environment variables were removed.
    pub redacted: bool,
}

/// A failing run with its verdict.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Which failure it is.
    pub manifest: Manifest,
    /// The run.
    pub record: Record,
    job: Job,
    verdict: Verdict,
}

impl Bundle {
    /// The bundle of a recorded run. Fails if the run did not fail, since there is nothing to reproduce.
    ///
    /// The run is judged without a baseline, so that a known failure is a failure.
    pub fn new(file: &Path, record: Record, redacted: bool) -> Result<Self, Error> {
        let judged = record.judge(None).map_err(|reason| Record::refuse(file, &reason));
        let (job, verdict) = judged?;
        let Some(fingerprint) = verdict.failed_as.clone() else {
            return Err(Error::usage(format!(
                "error: the run in {} is {}, so there is no failure to reproduce; name the record of a failed run",
                file.display(),
                verdict.status
            )));
        };
        let manifest = Manifest {
            version: VERSION,
            scenario: job.scenario.id.clone(),
            adapter: record.case.adapter.clone(),
            implementation: implementation(&record),
            flags: job.flags(),
            capacity: record.case.capacity,
            status: verdict.status.to_string(),
            fingerprint,
            suite: env!("CARGO_PKG_VERSION").to_owned(),
            redacted,
        };
        Ok(Self { manifest, record, job, verdict })
    }

    /// Whether a folder is a bundle.
    #[must_use]
    pub fn is_one(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file()
    }

    /// The record of the bundle in this folder.
    #[must_use]
    pub fn record_in(folder: &Path) -> PathBuf {
        folder.join(RECORD)
    }

    /// The record that a path stands for: the path itself, or the record of the bundle in this folder.
    #[must_use]
    pub fn record_named(path: &Path) -> Option<PathBuf> {
        if Self::is_one(path) {
            return Some(Self::record_in(path));
        }
        Record::is_one(path).then(|| path.to_owned())
    }

    /// Reads a bundle.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let (file, record) = (folder.join(MANIFEST), folder.join(RECORD));
        let refuse = |error: &dyn std::fmt::Display| {
            Error::usage(format!(
                "error: {} is no bundle: {error}; name a folder that `repro` has written",
                folder.display()
            ))
        };
        let text = fs::read_to_string(&file).map_err(|error| refuse(&error))?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| refuse(&error))?;
        if manifest.version != VERSION {
            let version = manifest.version;
            return Err(refuse(&format!(
                "its format has version {version}, and this program reads {VERSION}"
            )));
        }
        let bundle = Self::new(&record, Record::read(&record)?, manifest.redacted)?;
        // The manifest of the file says what the failure was then, which this program might now describe differently.
        Ok(Self { manifest, ..bundle })
    }

    /// Writes the bundle into a folder, which is made if needed. Returns the names of the files.
    pub fn write(&self, folder: &Path) -> Result<Vec<&'static str>, Error> {
        fs::create_dir_all(folder).map_err(|error| Error::unwritable(folder, &error))?;
        let mut written = Vec::new();
        for (name, text) in self.files() {
            let file = folder.join(name);
            fs::write(&file, text).map_err(|error| Error::unwritable(&file, &error))?;
            written.push(name);
        }
        Ok(written)
    }

    /// The files of the bundle, in the order in which to read them.
    fn files(&self) -> Vec<(&'static str, String)> {
        let Self { manifest, record, job, verdict } = self;
        let observation = &record.case.observation;
        let run = Run::observed(job, observation, verdict, &manifest.adapter);
        let diagram = run.diagram(false);
        let manifest_text = serde_json::to_string_pretty(manifest).unwrap_or_default();
        let mut files = vec![
            ("README.md", readme::readme(self)),
            (MANIFEST, format!("{manifest_text}\n")),
            ("reproduce.scenario", record.case.text.clone()),
            ("failure.txt", terminal::plain_evidence(&self.report())),
            ("diagram.svg", svg(&diagram)),
            ("diagram.mmd", mermaid(&diagram)),
            ("lanes.txt", sequence_diagram(&job.scenario, &observation.trace)),
            ("trace.txt", verdict.trace_text.clone()),
            ("allowed.txt", verdict.model_text.clone()),
            ("trace.json", chrome_trace(&run.diagram(true), &record.events)),
            ("printed.txt", observation.printed.clone()),
            ("environment.txt", terminal::environment(&record.environment)),
            (RECORD, record.to_lines()),
        ];
        if let Some(stall) = &verdict.stall {
            let text = terminal::stall(&job.scenario, stall);
            files.insert(4, ("wait-for.txt", text));
        }
        files
    }

    /// The report of the failure, as the terminal shows it.
    fn report(&self) -> ScenarioReport {
        ScenarioReport {
            scenario: self.job.scenario.clone(),
            path: self.job.path.clone(),
            name: self.job.scenario.id.clone(),
            adapter: self.manifest.adapter.clone(),
            asked: self.manifest.adapter.clone(),
            flags: self.manifest.flags.clone(),
            verdict: self.verdict.clone(),
            time: Duration::ZERO,
            record: None,
        }
    }
}

/// The name and version of the implementation, as the first agent reported them.
fn implementation(record: &Record) -> String {
    let hello = record.events.iter().find_map(|event| match event.kind {
        EventKind::Hello { is } => Some(is.implementation),
        _ => None,
    });
    hello.map_or_else(|| "unknown".to_owned(), |it| format!("{} {}", it.name, it.version))
}
