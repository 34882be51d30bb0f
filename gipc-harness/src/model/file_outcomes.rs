//! Runs in which the file is right wherever it contradicts the model. The executor follows such a run if the author of a
//! scenario asks for it (`--unchecked`).

use super::state::State;
use crate::scenario::Outcome;

impl State<'_> {
    /// The outcome with which a step completes: that of the file, if the model would give another one. `None` if the step
    /// does not return according to the file.
    pub(super) fn outcome_by_file(&self, step: usize, outcome: Outcome) -> Option<Outcome> {
        let expected = &self.program.scenario.steps[step].expected;
        if !self.follows_file || expected.contains(&outcome) {
            return Some(outcome);
        }
        expected.iter().find(|outcome| returns(outcome)).cloned()
    }

    /// Whether the file says that a step succeeds, regardless of the model.
    pub(super) fn is_ok_by_file(&self, step: usize) -> bool {
        self.follows_file && self.program.scenario.steps[step].expected.contains(&Outcome::Ok)
    }

    /// The first open step that returns according to the file, although nothing lets it return in the model.
    pub(super) fn open_step_by_file(&self) -> Option<(usize, Outcome)> {
        if !self.follows_file {
            return None;
        }
        let is_open =
            |step: &usize| self.tasks.open_step(self.program.step(*step).task) == Some(*step);
        let mut open = (0..self.program.step_count()).filter(is_open);
        open.find_map(|step| {
            let expected = self.program.scenario.steps[step].expected.iter();
            let outcome = expected.clone().find(|outcome| returns(outcome))?;
            let may_block =
                expected.into_iter().any(|outcome| matches!(outcome, Outcome::Blocks(_)));
            (!may_block).then(|| (step, outcome.clone()))
        })
    }
}

fn returns(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Blocks(_) | Outcome::Never)
}
