//! From a request to jobs: scenarios and records are read, and refused before any process starts if one of them is wrong.

use super::RunRequest;
use crate::error::Error;
use crate::model::Choices;
use crate::record::Record;
use crate::suite::{ScenarioFile, Suite};
use crate::variant::{InjectionSelector, Job, JobSet, VariantRequest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The jobs of a run, and what was left out.
#[derive(Debug, Default)]
pub(super) struct RunPlan {
    pub(super) jobs: Vec<Arc<Job>>,
    /// How many heavy scenarios were left out.
    pub(super) heavy: usize,
    /// Sentences about what could not be done as requested.
    pub(super) notes: Vec<String>,
}

/// Records with their files.
type Records = Vec<(PathBuf, Record)>;

/// The records among the names of a request, and the other names.
pub(super) fn split_records(names: &[String]) -> Result<(Records, Vec<String>), Error> {
    let (records, others): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| Record::is_one(Path::new(name)));
    let read = |name: &String| Ok((PathBuf::from(name), Record::read(Path::new(name))?));
    let records = records.into_iter().map(read).collect::<Result<_, Error>>()?;
    Ok((records, others.into_iter().cloned().collect()))
}

impl RunPlan {
    /// The jobs of a request for an implementation with these choices.
    pub(super) fn new(
        suite: &Suite,
        request: &RunRequest,
        choices: Choices,
    ) -> Result<Self, Error> {
        let (records, names) = split_records(&request.names)?;
        let mut plan = Self::default();
        for (file, record) in &records {
            let job = record.rerun(choices).map_err(|reason| Record::refuse(file, &reason))?;
            plan.jobs.push(Arc::new(job));
        }
        if records.is_empty() || !names.is_empty() {
            plan.add_scenarios(suite.select(&names)?, request, choices)?;
        }
        if plan.jobs.is_empty() && plan.heavy == 0 {
            return Err(plan.nothing_to_do(&request.variant));
        }
        Ok(plan)
    }

    fn add_scenarios(
        &mut self,
        mut files: Vec<ScenarioFile>,
        request: &RunRequest,
        choices: Choices,
    ) -> Result<(), Error> {
        if let Some((part, parts)) = request.shard {
            // Neighbours are of one theme and take as long: they go to different parts.
            files = files.into_iter().skip(part - 1).step_by(parts).collect();
        }
        let count = files.len();
        let (mut refused, mut notes) = (Vec::new(), BTreeMap::<&str, usize>::new());
        for file in files {
            // Left unread: a scenario of two hundred thousand steps takes seconds to parse and predict.
            if !request.heavy && !file.is_named && file.is_heavy() {
                self.heavy += 1;
                continue;
            }
            let scenario = if request.unchecked { file.parse() } else { file.checked() };
            match scenario {
                Ok(scenario) => {
                    let set = JobSet::for_request(&scenario, &file.path, choices, &request.variant);
                    let jobs = set.jobs.into_iter().map(|job| {
                        let mut job = job.with_unchecked(request.unchecked);
                        job.is_foreign = !file.is_in_suite;
                        Arc::new(job)
                    });
                    self.jobs.extend(jobs);
                    if let Some(note) = set.note {
                        *notes.entry(note).or_default() += 1;
                    }
                }
                Err(refusal) => refused.push(refusal.to_string()),
            }
        }
        if !refused.is_empty() {
            let summary =
                format!("{} of {count} scenarios refused, so nothing was started", refused.len());
            refused.push(summary);
            return Err(Error::usage(refused.join("\n")));
        }
        self.notes.extend(notes.iter().map(|(note, count)| format!("{count} scenarios {note}")));
        Ok(())
    }

    /// The error for a request that leaves nothing to execute.
    fn nothing_to_do(&self, request: &VariantRequest) -> Error {
        let one = |selector: &InjectionSelector| match selector {
            InjectionSelector::One(role, k) => Some((role.clone(), *k)),
            InjectionSelector::All => None,
        };
        let message = match request {
            VariantRequest::Kill(selector) | VariantRequest::Pause(selector) => {
                one(selector).map(|(role, k)| {
                    format!(
                        "error: none of these scenarios has a moment {role}@{k} at which a child can be hit; \
                         `all` hits each at each of its begins and ends"
                    )
                })
            }
            VariantRequest::ExhaustFds(selector) => one(selector).map(|(role, k)| {
                format!(
                    "error: in none of these scenarios {role} makes a pipe, duplex or child number {k} that can fail; \
                     `all` lets each fail in turn"
                )
            }),
            _ => None,
        };
        let fallback = || "error: none of these scenarios can be performed in this way".to_owned();
        let lines = self.notes.iter().cloned().chain([message.unwrap_or_else(fallback)]);
        Error::usage(lines.collect::<Vec<_>>().join("\n"))
    }
}
