//! Whether a run was right: what was observed, held against what the model allows, what the file says, what the adapter
//! declares and what the system lacks.
//!
//! [`judge`] is the only way from an observation to a verdict. Why a run stalled is for `deadlock` to say.

mod baseline;
mod closest_trace;
mod comparison;
mod judge;
mod status;
#[cfg(test)]
mod tests;

pub use baseline::{Baseline, BaselineChange};
pub use judge::judge;
pub use status::Status;

use crate::adapter::FailureSort;
use crate::deadlock::StallReport;
use crate::scenario::Scenario;
use crate::trace::Mismatch;

/// What is said of one run of a scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The verdict in one word.
    pub status: Status,
    /// The first step with another outcome than allowed.
    pub mismatch: Option<Mismatch>,
    /// The next such steps: the first one may be the victim of a later one.
    pub further_mismatches: Vec<Mismatch>,
    /// Why the run stalled, if it did.
    pub stall: Option<StallReport>,
    /// The reason for a status that needs one: why it is skipped, which known failure it is, what broke.
    pub reason: Option<String>,
    /// The first process that held something at its end that it should not have held, if no step is wrong.
    pub leaky: Option<String>,
    /// Further sentences.
    pub notes: Vec<String>,
    /// The snapshot text of the trace, with the exits filled in that the system does not show.
    pub trace_text: String,
    /// The snapshot text of the closest trace that the model allows.
    pub model_text: String,
    /// The manifest says that the scenario passes in some runs and fails in others.
    pub flaky: bool,
    /// The sort of a known failure.
    pub sort: Option<FailureSort>,
    /// The change of the adapter's folder that makes this the expected verdict.
    pub baseline_change: Option<BaselineChange>,
}

impl Verdict {
    fn new(trace_text: String, model_text: String) -> Self {
        Self {
            status: Status::Pass,
            mismatch: None,
            further_mismatches: Vec::new(),
            stall: None,
            reason: None,
            leaky: None,
            notes: Vec::new(),
            trace_text,
            model_text,
            flaky: false,
            sort: None,
            baseline_change: None,
        }
    }

    /// A verdict with a status and a reason, for tests of reports.
    #[cfg(test)]
    pub(crate) fn for_test(status: Status, reason: &str) -> Self {
        let reason = Some(reason.to_owned());
        Self { status, reason, ..Self::new(String::new(), String::new()) }
    }

    /// The reason, if there is one, and then the notes.
    pub fn sentences(&self) -> impl Iterator<Item = &String> {
        self.reason.iter().chain(&self.notes)
    }

    /// Makes a sentence the reason. An earlier reason becomes the first note.
    pub fn explain(&mut self, reason: String) {
        if let Some(earlier) = self.reason.replace(reason) {
            self.notes.insert(0, earlier);
        }
    }

    /// The fingerprint of a failure: its first wrong step, the outcome of that step, and the status. It has no line
    /// numbers, so that it survives changes of the file.
    #[must_use]
    pub fn fingerprint(&self, scenario: &Scenario) -> [String; 3] {
        let (step, outcome) = match &self.mismatch {
            Some(mismatch) => {
                let step = &scenario.steps[mismatch.step];
                (format!("{} {}", step.task_id, step.what()), mismatch.got.clone())
            }
            None => match &self.leaky {
                Some(process) => (format!("{process} finish"), "leaks".into()),
                None => ("trace".into(), "differs".into()),
            },
        };
        [step, outcome, self.status.to_string()]
    }
}
