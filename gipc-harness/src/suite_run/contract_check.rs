//! The contract check: whether an agent implements the protocol, before the suite tests the library.
//!
//! The check consists of short scenarios, each for one part of the contract. [`diagnosis`] finds what a failure says about
//! the agent.

mod diagnosis;
mod times;

use super::{execute_one, settings_for_one};
use crate::adapter::Adapter;
use crate::environment::{self, Environment};
use crate::error::Error;
use crate::runner::{Events, RunOutput, Settings};
use crate::scenario::{Verb, parse};
use crate::suite::own_program;
use crate::trace::Observation;
use crate::variant::{Job, Variant, declared_choices};
use crate::verdict::{Baseline, Status, Verdict, judge};
use std::path::Path;
use times::Times;
use tokio::sync::watch;

/// One part of the contract.
struct Question {
    /// What it shows, as a sentence.
    shows: &'static str,
    /// The profile that it needs beside core, or nothing.
    profile: &'static str,
    /// Whether the later questions make no sense if this one fails.
    is_basic: bool,
    script: &'static str,
}

const fn basic(shows: &'static str, script: &'static str) -> Question {
    Question { shows, profile: "", is_basic: true, script }
}

const fn core(shows: &'static str, script: &'static str) -> Question {
    Question { shows, profile: "", is_basic: false, script }
}

const fn of(profile: &'static str, shows: &'static str, script: &'static str) -> Question {
    Question { shows, profile, is_basic: false, script }
}

const QUESTIONS: [Question; 19] = [
    basic(
        "the agent connects, refuses unknown commands, and exits",
        "main pipe r w\nmain close w\nmain get r => eof\n",
    ),
    basic(
        "a message arrives unchanged",
        "main pipe r w\nmain put w \"a\"\nmain get r => \"a\"\nmain put w \"ä€\"\nmain get r => \"ä€\"\n",
    ),
    core(
        "an empty message arrives, and is not taken for end-of-file",
        "main pipe r w\nmain put w \"\"\nmain close w\nmain get r => \"\"\nmain get r => eof\n",
    ),
    core(
        "a closed handle is reported as closed",
        "main pipe r w\nmain close r\nmain get r => closed\nmain close w\n",
    ),
    core(
        "a duplex has two directions, and its name stands for both halves",
        "main duplex near far\nmain put near \"a\"\nmain get far => \"a\"\nmain put far.w \"b\"\nmain get near.r => \"b\"\n\
         main spawn child far\nmain put near \"c\"\nchild get far => \"c\"\nmain close near\nchild get far => eof\n\
         main join child => exit 0\n",
    ),
    basic(
        "a child connects, has its handles under their names, and is joined",
        "main pipe r w\nmain spawn child w\nchild put w \"a\"\nmain get r => \"a\"\nmain join child => exit 0\n",
    ),
    core(
        PAYLOADS,
        "main pipe r w\nmain spawn child w\nchild put w 300KiB\nmain get r => 300KiB\nmain join child => exit 0\n",
    ),
    core("an exit code is reported", "main spawn child\nchild exit 7\nmain join child => exit 7\n"),
    core(
        "a grandchild opens its own connection",
        "main pipe r w\nmain spawn child w\nchild spawn grandchild w\ngrandchild put w \"a\"\nmain get r => \"a\"\n\
         child join grandchild => exit 0\nmain join child => exit 0\n",
    ),
    core(
        CONNECTIONS,
        "main pipe r w\nmain pipe back-r back-w\nmain pipe hold-r hold-w\nmain spawn child r back-w hold-r\n\
         child spawn grandchild r back-w\nchild get hold-r => blocks\ngrandchild put back-w \"here\"\n\
         main get back-r => \"here\"\nmain until child blocks\nmain kill child\nmain join child => signal SIGKILL\n\
         main put w \"a\"\ngrandchild get r => \"a\"\n",
    ),
    of(
        "tasks",
        "steps of two tasks run at the same time",
        "main pipe r w\nmain/reader get r => \"a\"\nmain until main/reader blocks\nmain put w \"a\"\n",
    ),
    of(
        "tasks",
        "a child starts while a task waits",
        "main pipe r w\nmain/reader get r => \"a\"\nmain until main/reader blocks\nmain spawn child\n\
         main join child => exit 0\nmain put w \"a\"\n",
    ),
    of(
        "process",
        "the agent reports whether a child still runs",
        "main pipe r w\nmain spawn child r\nmain alive child => yes\nmain code child => running\nmain put w \"go\"\n\
         child get r => \"go\"\nmain join child => exit 0\nmain code child => exit 0\n",
    ),
    of(
        "frames",
        "a frame written by hand is read by the library",
        "main pipe r w\nmain cut w \"a\" at header\nmain rest w\nmain get r => \"a\"\n",
    ),
    of(
        "signals",
        "a signal is trapped and counted",
        "main pipe r w\nmain pipe r2 w2\nmain spawn child r w2\nchild trap SIGUSR2\nchild put w2 \"ready\"\n\
         main get r2 => \"ready\"\nmain signal child SIGUSR2\nmain put w \"go\"\nchild get r => \"go\"\n\
         child count trapped => 1\nmain join child => exit 0\n",
    ),
    of(
        "limits",
        "a limit of descriptors is set and lifted",
        "main limit descriptors 0 free\nmain pipe r w => os:EMFILE\nmain limit descriptors off\nmain pipe r2 w2\n",
    ),
    of(
        "scope",
        "a scope is entered and left",
        "main pipe r w\nmain enter r w\nmain leave r w\nmain get r => closed\n",
    ),
    of(
        "counts",
        "handles are counted",
        "main pipe r w\nmain count handles => 2\nmain close r\nmain count handles => 1\n",
    ),
    of(
        "codec",
        "a value goes through a codec",
        "main pipe r w with failing\nmain put w \"a\"\nmain get r => \"a\"\n",
    ),
];

/// The question whose failure is narrowed down to the first wrong byte of the payload.
const PAYLOADS: &str = "a long payload is generated as the protocol says";
/// The question that is also about the order in which connections end.
const CONNECTIONS: &str = "a child closes the connection that it inherited";

/// The contract check of one adapter, which executes one question at a time.
pub struct ContractCheck {
    adapter: Adapter,
    environment: Environment,
    settings: Settings,
    interrupt: watch::Sender<bool>,
    times: Times,
}

/// The answer to one question.
pub enum QuestionResult {
    /// The manifest does not declare the profile that the question needs.
    NotDeclared(&'static str),
    /// The run was interrupted before its end.
    Interrupted {
        /// What was executed.
        job: Box<Job>,
        /// What was observed until then.
        observation: Box<Observation>,
    },
    /// The scenario was executed and judged.
    Asked {
        /// What was executed.
        job: Box<Job>,
        /// The verdict on the run.
        verdict: Box<Verdict>,
        /// The events of the run.
        events: Events,
        /// What is wrong with the agent, if that is known, as a sentence.
        diagnosis: Option<String>,
        /// Whether this mistake also explains why the later questions fail.
        explains_the_rest: bool,
    },
}

impl ContractCheck {
    /// Creates the check of an adapter, and examines the environment.
    pub fn new(adapter: Adapter) -> Result<Self, Error> {
        let exe = own_program()?;
        let environment = environment::look(&exe);
        let (settings, interrupt) = settings_for_one(exe);
        Ok(Self { adapter, environment, settings, interrupt, times: Times::default() })
    }

    /// Interrupts the check when `true` is sent: the question that is being executed, and all later ones, are then
    /// answered with [`QuestionResult::Interrupted`].
    #[must_use]
    pub fn interrupt(&self) -> watch::Sender<bool> {
        self.interrupt.clone()
    }

    /// The adapter that is checked.
    #[must_use]
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What each question shows, in the order of their indices.
    pub fn questions() -> impl Iterator<Item = &'static str> {
        QUESTIONS.iter().map(|question| question.shows)
    }

    /// Executes the scenario of the question with this index and judges the run.
    ///
    /// Panics if there is no such question.
    pub fn ask(&mut self, index: usize) -> Result<QuestionResult, Error> {
        let Question { shows, profile, is_basic, script } = QUESTIONS[index];
        let is_declared = self.adapter.manifest.profiles.iter().any(|declared| declared == profile);
        if !profile.is_empty() && !is_declared {
            return Ok(QuestionResult::NotDeclared(profile));
        }
        let (job, output, mut verdict) = self.run(script)?;
        let interrupted = |job: Job, output: RunOutput| QuestionResult::Interrupted {
            job: Box::new(job),
            observation: Box::new(output.observation),
        };
        if self.is_interrupted() {
            return Ok(interrupted(job, output));
        }
        self.times.add(&output.events);
        let mut diagnosis = None;
        if shows == CONNECTIONS && verdict.status == Status::Pass {
            diagnosis = diagnosis::kept_connection(&output.events, "child", "grandchild");
        } else if verdict.status.is_failure() {
            diagnosis = diagnosis::unconnected_child(&job.scenario, &output.observation);
        }
        if diagnosis.is_none() && shows == PAYLOADS && has_wrong_message(&job, &verdict) {
            let Some(offset) = self.first_wrong_byte()? else {
                return Ok(interrupted(job, output));
            };
            diagnosis = Some(diagnosis::wrong_payload(offset));
        }
        if diagnosis.is_some() {
            verdict.status = Status::Error;
        }
        let explains_the_rest =
            !verdict.status.is_expected() && (is_basic || output.observation.fault.is_some());
        let (job, verdict, events) = (Box::new(job), Box::new(verdict), output.events);
        Ok(QuestionResult::Asked { job, verdict, events, diagnosis, explains_the_rest })
    }

    /// Executes and judges a scenario.
    fn run(&self, script: &str) -> Result<(Job, RunOutput, Verdict), Error> {
        let scenario =
            parse("check", script).map_err(|error| Error::unable(error.render("check", script)))?;
        let choices = declared_choices(&self.adapter);
        let job = Job::new(&scenario, Path::new("check"), choices, Variant::default())
            .map_err(|reason| Error::unable(format!("error: {reason}")))?;
        let output = execute_one(&job.scenario, &job.mode, &self.adapter, &self.settings)?;
        let verdict = self.judge(&job, &output.observation);
        Ok((job, output, verdict))
    }

    fn is_interrupted(&self) -> bool {
        *self.interrupt.borrow()
    }

    /// Finds the offset of the first wrong byte of a long payload, by sending payloads of other lengths. `None` if that was
    /// interrupted.
    fn first_wrong_byte(&self) -> Result<Option<u64>, Error> {
        let (mut right, mut wrong) = (0, 300 * 1024);
        while right + 1 < wrong {
            let length = u64::midpoint(right, wrong);
            let script = format!(
                "main pipe r w\nmain spawn child w\nchild put w {length}B\nmain get r => {length}B\nmain join child => exit 0\n"
            );
            let (job, _, verdict) = self.run(&script)?;
            if self.is_interrupted() {
                return Ok(None);
            }
            if has_wrong_message(&job, &verdict) {
                wrong = length;
            } else {
                right = length;
            }
        }
        Ok(Some(right))
    }

    /// Judges a run by the profiles of the manifest alone, since the questions do not belong to the suite.
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

/// Whether the first wrong step is a get that returned a wrong message. Any other failure has nothing to do with the
/// payload.
fn has_wrong_message(job: &Job, verdict: &Verdict) -> bool {
    verdict.mismatch.as_ref().is_some_and(|mismatch| {
        let is_get = matches!(job.scenario.steps[mismatch.step].verb, Verb::Get { .. });
        // Ends and errors are single words in lower case.
        is_get && !mismatch.got.chars().all(|letter| letter.is_ascii_lowercase())
    })
}
