//! Decides whether a run was right: compares what was observed with what the model allows, what the file says, what the
//! adapter declares and what the system lacks.
//!
//! [`judge`] is the only way from an observation to a verdict. `deadlock` explains why a run stalled.

mod baseline;
mod causal_order;
mod closest_trace;
mod comparison;
mod difference;
mod judge;
mod expired_limit;
mod signal_end;
mod status;
mod wrong_steps;
#[cfg(test)]
mod tests;

pub use baseline::{Baseline, BaselineChange, FURTHER_WORDS};
pub use difference::Difference;
pub use judge::judge;
pub use status::Status;

use crate::adapter::FailureSort;
use crate::deadlock::StallReport;
use crate::scenario::Scenario;
use crate::trace::Mismatch;

/// The verdict on one run of a scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The verdict in one word.
    pub status: Status,
    /// The step that first got an outcome that is not allowed, or got its outcome too late. First means first in time, not
    /// in the file.
    pub mismatch: Option<Mismatch>,
    /// Further such steps, in the order in which they happened. The first one in the file is always among them.
    pub further_mismatches: Vec<Mismatch>,
    /// How the trace differs otherwise, beginning with the likely cause. The notes have the summaries.
    pub differences: Vec<Difference>,
    /// Why the run stalled, if it did.
    pub stall: Option<StallReport>,
    /// The reason for a status that needs one: why it is skipped, which known failure it is, what broke.
    pub reason: Option<String>,
    /// The first process that still held something at its end that it should not have held, if no step is wrong.
    pub leaky: Option<String>,
    /// Further sentences.
    pub notes: Vec<String>,
    /// The snapshot text of the trace, completed with the exits that the system does not show.
    pub trace_text: String,
    /// The snapshot text of the closest trace that the model allows.
    pub model_text: String,
    /// Whether the manifest says that the scenario passes in some runs and fails in others.
    pub flaky: bool,
    /// The fingerprint of the failure, if the run failed, whether or not the failure is known.
    pub failed_as: Option<[String; 3]>,
    /// The sort of a known failure.
    pub sort: Option<FailureSort>,
    /// The root cause of a known failure, if the manifest names it.
    pub cause: Option<String>,
    /// The change to the adapter's folder that would make this verdict the expected one.
    pub baseline_change: Option<BaselineChange>,
}

impl Verdict {
    fn new(trace_text: String, model_text: String) -> Self {
        Self {
            status: Status::Pass,
            mismatch: None,
            further_mismatches: Vec::new(),
            differences: Vec::new(),
            stall: None,
            reason: None,
            leaky: None,
            notes: Vec::new(),
            trace_text,
            model_text,
            flaky: false,
            failed_as: None,
            sort: None,
            cause: None,
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

    fn add_differences(&mut self, differences: impl IntoIterator<Item = Difference>) {
        for difference in differences {
            self.notes.push(difference.summary.clone());
            self.differences.push(difference);
        }
    }

    /// Makes a sentence the reason. An earlier reason becomes the first note.
    pub fn explain(&mut self, reason: String) {
        if let Some(earlier) = self.reason.replace(reason) {
            self.notes.insert(0, earlier);
        }
    }

    /// The wrong step that is first in the file.
    #[must_use]
    pub fn first_in_file(&self) -> Option<&Mismatch> {
        self.mismatch.iter().chain(&self.further_mismatches).min_by_key(|mismatch| mismatch.step)
    }

    /// The fingerprint of a failure: the wrong step that is first in the file, the outcome of that step, and the status. It
    /// has no line numbers, so it survives changes of the file, and it does not depend on which of several wrong steps
    /// happened first.
    #[must_use]
    pub fn fingerprint(&self, scenario: &Scenario) -> [String; 3] {
        let (step, outcome) = match self.first_in_file() {
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

    /// What is wrong, on one line: where, what was expected there, and which processes wait for each other.
    #[must_use]
    pub fn diagnosis(&self, scenario: &Scenario) -> String {
        let mut sentences = Vec::new();
        match self.first_in_file() {
            Some(mismatch) => {
                let line = scenario.steps[mismatch.step].position.line;
                let expectation = mismatch.expectation().replacen("Expected", "expected", 1);
                sentences.push(format!("line {line}: {expectation}"));
                let words = mismatch.detail.as_deref().and_then(|detail| detail.lines().next());
                sentences.extend(words.map(|words| format!("In its own words: {words}")));
            }
            None => sentences.extend(self.sentences().next().cloned()),
        }
        if let Some(stall) = &self.stall {
            match stall.cycle.is_empty() {
                true => sentences.extend(stall.explanations.first().cloned()),
                false => sentences.push(stall.cycle.join(" ▶ ")),
            }
        }
        // The text of an implementation may contain anything.
        sentences.join(". ").replace(char::is_control, " ")
    }
}
