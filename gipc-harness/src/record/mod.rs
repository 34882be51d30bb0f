//! The record of a run: what was sent and received, and everything needed to judge, draw and execute the run again.
//!
//! A record is a file of JSON lines: the environment, the events, and last the case. It holds the text of the scenario, so
//! it does not depend on the suite.

use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::model::Choices;
use crate::program;
use crate::runner::{Event, Events, RunOutput};
use crate::scenario::{Scenario, parse};
use crate::trace::Observation;
use crate::variant::{Job, Variant};
use crate::verdict::{Baseline, Verdict, judge};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The version of the format.
const VERSION: u32 = 2;
/// The file of a record in its folder.
const FILE: &str = "record.jsonl";

/// A run that was kept.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was found about the system.
    pub environment: Environment,
    /// What was sent and received, in order.
    pub events: Events,
    /// What was executed, and what was observed.
    pub case: Case,
}

/// What was executed, and what was observed. The edits of the variant follow from the variant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    version: u32,
    /// The id of the scenario.
    pub scenario: String,
    /// The text of its file.
    pub text: String,
    /// The path of its file.
    pub path: PathBuf,
    /// The adapter as it was requested: a name or a path.
    pub adapter: String,
    /// The way of execution.
    pub variant: Variant,
    /// Whether the outcomes in the file were taken as right.
    pub unchecked: bool,
    /// Whether the scenario is not one of the suite.
    #[serde(default)]
    pub is_foreign: bool,
    /// The capacity in bytes that each pipe was set to, if one was requested.
    pub capacity: Option<u32>,
    /// The choices of the implementation.
    pub choices: Choices,
    /// What was observed.
    pub observation: Observation,
}

/// A line that is not an event, for reading.
#[derive(Deserialize)]
#[serde(tag = "event", content = "is", rename_all = "kebab-case")]
enum Frame {
    Environment(Environment),
    Case(Box<Case>),
}

/// A line that is not an event, for writing. It borrows from the record.
#[derive(Serialize)]
#[serde(tag = "event", content = "is", rename_all = "kebab-case")]
enum FrameOf<'a> {
    Environment(&'a Environment),
    Case(&'a Case),
}

impl Record {
    /// Makes the record of a run of a job. `adapter` is the adapter as it was requested: a name or a path.
    #[must_use]
    pub fn new(
        job: &Job,
        output: &RunOutput,
        adapter: &str,
        capacity: Option<u32>,
        environment: &Environment,
    ) -> Self {
        let case = Case {
            version: VERSION,
            scenario: job.scenario.id.clone(),
            text: job.scenario.text.clone(),
            path: job.path.clone(),
            adapter: adapter.into(),
            variant: job.variant.clone(),
            unchecked: job.unchecked,
            is_foreign: job.is_foreign,
            capacity,
            choices: job.choices,
            observation: output.observation.clone(),
        };
        Self { environment: environment.clone(), events: output.events.clone(), case }
    }

    /// Writes the record, and what the agents printed, into a folder that is made if needed. Returns the record's file.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let file = folder.join(FILE);
        let mut lines = BufWriter::new(fs::File::create(&file)?);
        self.write_lines(&mut lines)?;
        lines.flush()?;
        fs::write(folder.join("printed.txt"), &self.case.observation.printed)?;
        Ok(file)
    }

    /// The lines of the file.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let mut lines = Vec::new();
        // Writing plain data to memory does not fail.
        let _ = self.write_lines(&mut lines);
        String::from_utf8(lines).unwrap_or_default()
    }

    fn write_lines(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, &FrameOf::Environment(&self.environment))?;
        out.write_all(b"\n")?;
        out.write_all(self.events.as_lines().as_bytes())?;
        serde_json::to_writer(&mut *out, &FrameOf::Case(&self.case))?;
        out.write_all(b"\n")
    }

    /// Reads a record. The error completes the sentence "FILE is no record: …".
    pub fn parse(text: &str) -> Result<Self, String> {
        let last = text.lines().next_back().ok_or("it is empty")?;
        let case = match serde_json::from_str(last) {
            Ok(Frame::Case(case)) => *case,
            Ok(Frame::Environment(_)) => {
                return Err("its last line is not the case of a run".into());
            }
            Err(error) => {
                return Err(other_version(last).unwrap_or_else(|| {
                    format!("its last line is not the case of a run ({error})")
                }));
            }
        };
        if case.version != VERSION {
            let other = || format!("its format has version {}", case.version);
            return Err(other_version(last).unwrap_or_else(other));
        }
        let (mut environment, mut events) = (Environment::default(), Events::default());
        let before_case = text.lines().count().saturating_sub(1);
        for (number, line) in (1..).zip(text.lines().take(before_case)) {
            if let Ok(Frame::Environment(found)) = serde_json::from_str(line) {
                environment = found;
            } else {
                let event: Event = serde_json::from_str(line)
                    .map_err(|error| format!("line {number} is not an event ({error})"))?;
                events.push(&event);
            }
        }
        Ok(Self { environment, events, case })
    }

    /// Reads the record in a file.
    pub fn read(file: &Path) -> Result<Self, crate::error::Error> {
        let shown = file.display();
        let text = fs::read_to_string(file).map_err(|error| {
            crate::error::Error::usage(format!("error: cannot read {shown}: {error}"))
        })?;
        Self::parse(&text).map_err(|reason| Self::refuse(file, &reason))
    }

    /// The error for a file that is not a record, or whose parts do not fit together.
    #[must_use]
    pub fn refuse(file: &Path, reason: &str) -> crate::error::Error {
        crate::error::Error::usage(format!(
            "error: {} is no record: {reason}; name a record.jsonl that `run` has kept",
            file.display()
        ))
    }

    /// Whether a file looks like a record, judging by its name.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    /// The job that was executed, with the scenario as it was then and the model as it is now.
    pub fn job(&self) -> Result<Job, String> {
        let case = &self.case;
        let scenario = self.scenario()?;
        let mut job = Job::new(&scenario, &case.path, case.choices, case.variant.clone())?
            .with_unchecked(case.unchecked);
        job.is_foreign = case.is_foreign;
        if !case.observation.is_of(&job.scenario) {
            return Err("its trace is that of another scenario".into());
        }
        Ok(job)
    }

    /// The job for executing the run again, on an implementation with these choices.
    pub fn rerun(&self, choices: Choices) -> Result<Job, String> {
        let case = &self.case;
        let mut job = Job::new(&self.scenario()?, &case.path, choices, case.variant.clone())?
            .with_unchecked(case.unchecked);
        job.is_foreign = case.is_foreign;
        Ok(job)
    }

    /// The scenario of the file, without the edits of the variant.
    pub fn scenario(&self) -> Result<Scenario, String> {
        let case = &self.case;
        parse(&case.scenario, &case.text).map_err(|error| {
            let shown = error.render(&case.scenario, &case.text);
            format!("its scenario cannot be read\n{shown}")
        })
    }

    /// Judges the run again, by the present baseline of an adapter. Without an adapter, no failure is known.
    pub fn judge(&self, adapter: Option<&Adapter>) -> Result<(Job, Verdict), String> {
        let job = self.job()?;
        let baseline = adapter.map(Baseline::of).unwrap_or_default();
        let verdict = judge(&job, &self.case.observation, &baseline, &self.environment);
        Ok((job, verdict))
    }
}

/// The reason why a case that was written in another version of the format cannot be read, and the command that runs its
/// scenario again.
fn other_version(last_line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(last_line).ok()?;
    // Version 1 had neither a number nor a member for the case.
    let case = line.get("is").unwrap_or(&line);
    let version = case.get("version").map_or(Some(1), serde_json::Value::as_u64)?;
    let (scenario, adapter) = (case["scenario"].as_str()?, case["adapter"].as_str()?);
    // The id of a scenario outside the suite has no folder.
    let scenario = if scenario.contains('/') { scenario } else { case["path"].as_str()? };
    let scenario = program::path(Path::new(scenario));
    let command = program::command(&format!("run {scenario} --adapter {adapter} --keep"));
    (line["event"] == "case" && version != u64::from(VERSION)).then(|| {
        format!(
            "its format has version {version}, and this program reads {VERSION} (`{command}` records a run again)"
        )
    })
}

/// Judges the text of a record without a baseline. The error says what is wrong with the text.
pub fn judge_record(text: &str) -> Result<Verdict, String> {
    Record::parse(text)?.judge(None).map(|(_, verdict)| verdict)
}

#[cfg(test)]
mod tests;
