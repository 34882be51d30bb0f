//! The contract check: whether an agent implements the protocol, before the suite tests the library.
//!
//! The check consists of short scenarios, each for one part of the contract.

use super::{execute_one, settings_for_one};
use crate::adapter::Adapter;
use crate::environment::{self, Environment};
use crate::error::Error;
use crate::runner::{Event, EventKind};
use crate::scenario::parse;
use crate::suite::own_program;
use crate::trace::Observation;
use crate::variant::{Job, Variant, declared_choices};
use crate::verdict::{Baseline, Verdict, judge};
use gipc_agent::{FromAgent, ToAgent};
use std::path::Path;

/// For each question: what it shows, the profile that it needs beside core, and its scenario.
const QUESTIONS: [(&str, &str, &str); 16] = [
    (
        "it dials, refuses what it does not know, and leaves",
        "",
        "main pipe r w\nmain close w\nmain get r => eof\n",
    ),
    ("a message comes as it was put", "", "main pipe r w\nmain put w \"a\"\nmain get r => \"a\"\n"),
    (
        "a message of no bytes is one, and the end is another thing",
        "",
        "main pipe r w\nmain put w \"\"\nmain close w\nmain get r => \"\"\nmain get r => eof\n",
    ),
    (
        "what is closed is closed",
        "",
        "main pipe r w\nmain close r\nmain get r => closed\nmain close w\n",
    ),
    (
        "a child has its handles under their names, and is joined",
        "",
        "main pipe r w\nmain spawn child w\nchild put w 300KiB\nmain get r => 300KiB\nmain join child => exit 0\n",
    ),
    ("a code is the code", "", "main spawn child\nchild exit 7\nmain join child => exit 7\n"),
    (
        "a child of a child dials for itself",
        "",
        "main pipe r w\nmain spawn child w\nchild spawn grandchild w\ngrandchild put w \"a\"\nmain get r => \"a\"\n\
         child join grandchild => exit 0\nmain join child => exit 0\n",
    ),
    (
        "two steps of two tasks are under way at once",
        "tasks",
        "main pipe r w\nmain/reader get r => \"a\"\nmain until main/reader blocks\nmain put w \"a\"\n",
    ),
    (
        "a child starts well while a task waits",
        "tasks",
        "main pipe r w\nmain/reader get r => \"a\"\nmain until main/reader blocks\nmain spawn child\n\
         main join child => exit 0\nmain put w \"a\"\n",
    ),
    (
        "whether a child runs is told in its words",
        "process",
        "main pipe r w\nmain spawn child r\nmain alive child => yes\nmain code child => running\nmain put w \"go\"\n\
         child get r => \"go\"\nmain join child => exit 0\nmain code child => exit 0\n",
    ),
    (
        "a message that is cut by hand is the suite's own",
        "frames",
        "main pipe r w\nmain cut w \"a\" at header\nmain rest w\nmain get r => \"a\"\n",
    ),
    (
        "a signal is trapped and counted",
        "signals",
        "main pipe r w\nmain pipe r2 w2\nmain spawn child r w2\nchild trap SIGUSR2\nchild put w2 \"ready\"\n\
         main get r2 => \"ready\"\nmain signal child SIGUSR2\nmain put w \"go\"\nchild get r => \"go\"\n\
         child count trapped => 1\nmain join child => exit 0\n",
    ),
    (
        "a limit of descriptors is set and lifted",
        "limits",
        "main limit descriptors 0 free\nmain pipe r w => os:EMFILE\nmain limit descriptors off\nmain pipe r2 w2\n",
    ),
    (
        "a scope is entered and left",
        "scope",
        "main pipe r w\nmain enter r w\nmain leave r w\nmain get r => closed\n",
    ),
    (
        "handles are counted",
        "counts",
        "main pipe r w\nmain count handles => 2\nmain close r\nmain count handles => 1\n",
    ),
    (
        "a value goes through a codec",
        "codec",
        "main pipe r w with failing\nmain put w \"a\"\nmain get r => \"a\"\n",
    ),
];

/// The contract check of one adapter, which executes one question at a time.
pub struct ContractCheck {
    adapter: Adapter,
    environment: Environment,
    times: Times,
}

/// The answer to one question.
pub enum QuestionResult {
    /// The manifest does not declare the profile that the question needs.
    NotDeclared(&'static str),
    /// The scenario was executed and judged.
    Asked {
        /// What was executed.
        job: Box<Job>,
        /// The verdict on the run.
        verdict: Box<Verdict>,
        /// The events of the run.
        events: Vec<Event>,
    },
}

impl ContractCheck {
    /// Creates the check of an adapter, and examines the environment.
    pub fn new(adapter: Adapter) -> Result<Self, Error> {
        let environment = environment::look(&own_program()?);
        Ok(Self { adapter, environment, times: Times::default() })
    }

    /// The adapter that is checked.
    #[must_use]
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What each question shows, in the order of their indices.
    pub fn questions() -> impl Iterator<Item = &'static str> {
        QUESTIONS.iter().map(|(shows, ..)| *shows)
    }

    /// Executes the scenario of the question with this index and judges the run.
    ///
    /// Panics if there is no such question.
    pub fn ask(&mut self, index: usize) -> Result<QuestionResult, Error> {
        let (_, profile, text) = QUESTIONS[index];
        let is_declared = self.adapter.manifest.profiles.iter().any(|declared| declared == profile);
        if !profile.is_empty() && !is_declared {
            return Ok(QuestionResult::NotDeclared(profile));
        }
        let scenario =
            parse("check", text).map_err(|error| Error::unable(error.render("check", text)))?;
        let choices = declared_choices(&self.adapter);
        let job = Job::new(&scenario, Path::new("check"), choices, Variant::default())
            .map_err(|reason| Error::unable(format!("error: {reason}")))?;
        let (settings, _keep) = settings_for_one(own_program()?);
        let output = execute_one(&job.scenario, &job.mode, &self.adapter, &settings)?;
        self.times.add(&output.events);
        let verdict = self.judge(&job, &output.observation);
        let (job, verdict) = (Box::new(job), Box::new(verdict));
        Ok(QuestionResult::Asked { job, verdict, events: output.events })
    }

    /// Judges a run by the profiles of the manifest alone, since the questions are not scenarios of the suite.
    fn judge(&self, job: &Job, observation: &Observation) -> Verdict {
        let baseline = Baseline { known: &[], skips: None, ..Baseline::of(&self.adapter) };
        judge(job, observation, &baseline, &self.environment)
    }

    /// The median times that main took to connect and a step took to complete, as a sentence.
    #[must_use]
    pub fn times(&self) -> String {
        self.times.sentence()
    }
}

/// Durations in the runs so far, in microseconds.
#[derive(Default)]
struct Times {
    /// From the start of a run to the hello of main.
    hello: Vec<u64>,
    /// From the release of a step to its end.
    step: Vec<u64>,
}

impl Times {
    fn add(&mut self, events: &[Event]) {
        let mut last_sent: Option<(u64, usize)> = None;
        for Event { us, kind } in events {
            match kind {
                EventKind::Hello { is } if is.role == "main" => self.hello.push(*us),
                EventKind::Sent { is: ToAgent::Step { id, .. }, .. } => {
                    last_sent = Some((*us, *id));
                }
                EventKind::Received { is: FromAgent::End { id, .. }, .. } => {
                    let sent = last_sent.take().filter(|(_, sent)| sent == id);
                    self.step.extend(sent.map(|(before, _)| us.saturating_sub(before)));
                }
                _ => {}
            }
        }
    }

    fn sentence(&self) -> String {
        let median = |times: &[u64]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
                .get(times.len() / 2)
                .map_or("–".to_owned(), |us| format!("{:.1} ms", *us as f64 / 1000.0))
        };
        format!(
            "main says hello after {}; a step takes {}",
            median(&self.hello),
            median(&self.step)
        )
    }
}
