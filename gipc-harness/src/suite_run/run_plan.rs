//! Turns a request into jobs: reads scenarios and records, and refuses the request before any process starts if one is
//! wrong.

use super::RunRequest;
use crate::error::Error;
use crate::model::Choices;
use crate::record::Record;
use crate::suite::{ScenarioFile, Suite};
use crate::variant::{InjectionSelector, Job, JobSet, VariantRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many processes an error lists.
const MAX_ROLES: usize = 5;

/// The jobs of a run, and what was left out.
#[derive(Debug, Default)]
pub(super) struct RunPlan {
    pub(super) jobs: Vec<Arc<Job>>,
    /// How many heavy scenarios were left out.
    pub(super) heavy: usize,
    /// Sentences about parts of the request that could not be met.
    pub(super) notes: Vec<String>,
    /// How long reading and predicting took.
    pub(super) prediction_time: Duration,
    /// The number of moments at which each process of a scenario can be killed or paused, if that is requested.
    moments: BTreeMap<String, usize>,
}

impl RunPlan {
    /// The jobs of a request for an implementation with these choices.
    pub(super) fn new(
        suite: &Suite,
        request: &RunRequest,
        choices: Choices,
    ) -> Result<Self, Error> {
        let began = Instant::now();
        let (records, names) = request.records_and_names()?;
        let mut plan = Self::default();
        for (file, record) in &records {
            let job = record.rerun(choices).map_err(|reason| Record::refuse(file, &reason))?;
            plan.jobs.push(Arc::new(job));
        }
        if records.is_empty() || !names.is_empty() {
            plan.add_scenarios(suite.select_without(&names, &request.skip)?, request, choices)?;
        }
        if plan.jobs.is_empty() && plan.heavy == 0 {
            return Err(plan.nothing_to_do(request));
        }
        plan.prediction_time = began.elapsed();
        Ok(plan)
    }

    fn add_scenarios(
        &mut self,
        mut files: Vec<ScenarioFile>,
        request: &RunRequest,
        choices: Choices,
    ) -> Result<(), Error> {
        if let Some((part, parts)) = request.shard {
            // Neighbouring scenarios have the same theme and take about as long, so they go to different parts.
            files = files.into_iter().skip(part - 1).step_by(parts).collect();
        }
        let count = files.len();
        let (mut refused, mut notes) = (Vec::new(), BTreeMap::<&str, usize>::new());
        for file in files {
            // The file is not read: a scenario of two hundred thousand steps takes seconds to parse and predict.
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
                    for (role, count) in set.moments {
                        let most = self.moments.entry(role).or_default();
                        *most = count.max(*most);
                    }
                    if let Some(note) = set.note {
                        *notes.entry(note).or_default() += 1;
                    }
                }
                Err(refusal) => refused.push(refusal.to_string()),
            }
        }
        if !refused.is_empty() {
            refused.push(match count {
                1 => "the scenario is refused, so nothing was started".into(),
                _ => {
                    format!(
                        "{} of {count} scenarios refused, so nothing was started",
                        refused.len()
                    )
                }
            });
            return Err(Error::usage(refused.join("\n")));
        }
        let counted = |(note, count): (&&str, &usize)| match count {
            1 => format!("1 scenario: {note}"),
            count => format!("{count} scenarios: {note}"),
        };
        self.notes.extend(notes.iter().map(counted));
        Ok(())
    }

    /// Says how many moments the process has in the selected scenarios; if it has none, which processes have some.
    fn moments_of(&self, role: &str) -> String {
        if let Some(count) = self.moments.get(role) {
            return format!("{role} has {count} at most");
        }
        let roles: Vec<&str> = self.moments.keys().take(MAX_ROLES).map(String::as_str).collect();
        match roles.is_empty() {
            true => "they have no child".to_owned(),
            false => format!("there are {}", roles.join(", ")),
        }
    }

    /// The error for a request that selects nothing to execute.
    fn nothing_to_do(&self, request: &RunRequest) -> Error {
        let one = |selector: &InjectionSelector| match selector {
            InjectionSelector::One(role, k) => Some((role.clone(), *k)),
            InjectionSelector::All => None,
        };
        let message = match &request.variant {
            VariantRequest::Kill(selector) | VariantRequest::Pause(selector) => {
                one(selector).map(|(role, k)| {
                    format!(
                        "error: none of these scenarios has a moment {role}@{k} at which a child can be hit: {}; \
                         `all` hits each at each of its begins and ends",
                        self.moments_of(&role)
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
        let fallback = || match request.skip.is_empty() || !self.notes.is_empty() {
            true => "error: none of these scenarios can be performed in this way".to_owned(),
            false => "error: nothing is left to run: --skip names all that is selected".to_owned(),
        };
        let lines = self.notes.iter().cloned().chain([message.unwrap_or_else(fallback)]);
        Error::usage(lines.collect::<Vec<_>>().join("\n"))
    }
}
