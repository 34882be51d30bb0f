//! The choices of an implementation: what they are, and which lines are written for other choices.

use crate::adapter::{self, Adapter, LateGet};
use crate::model::{self, AfterCancel, Choices};
use crate::scenario::Scenario;
use crate::trace::{Allowed, disagreement};

/// The choices that an adapter declares; the suite's own where it declares none.
#[must_use]
pub fn declared_choices(adapter: &Adapter) -> Choices {
    let (declared, suite) = (&adapter.manifest.choices, Choices::default());
    Choices {
        mutation: None,
        max_message: declared.max_message.unwrap_or(suite.max_message),
        late_get_waits: declared
            .late_get
            .map_or(suite.late_get_waits, |late| late == LateGet::Waits),
        start_needs: declared.start_needs.unwrap_or(suite.start_needs),
        after_cancel: match declared.after_cancel {
            Some(adapter::AfterCancel::Poison) => AfterCancel::Poison,
            Some(adapter::AfterCancel::Complete) | None => suite.after_cancel,
        },
    }
}

/// Why a line of a scenario does not apply to an implementation: it is written for another choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceExemption {
    /// The first step whose outcome follows from the choice.
    pub step: usize,
    /// The outcome that it has by the declared choice.
    pub got: String,
    /// Which choice that is, as a sentence.
    pub reason: String,
}

impl ChoiceExemption {
    /// Finds a choice that explains why the model contradicts the file. Where the specification leaves a choice open in
    /// the line itself (`or`), or the choice has no name in the manifest, nothing is exempt.
    #[must_use]
    pub fn find(scenario: &Scenario, choices: Choices, allowed: &Allowed) -> Option<Self> {
        let mismatches = allowed.traces.iter().map(|trace| disagreement(scenario, trace));
        let first = mismatches.collect::<Option<Vec<_>>>()?.into_iter().next()?;
        let suite = Choices::default();
        let usual = [
            ("start-needs", Choices { start_needs: suite.start_needs, ..choices }),
            ("max-message", Choices { max_message: suite.max_message, ..choices }),
            ("after-cancel", Choices { after_cancel: suite.after_cancel, ..choices }),
            ("late-get", Choices { late_get_waits: suite.late_get_waits, ..choices }),
        ];
        let explains = |usual: &&(&str, Choices)| {
            usual.1 != choices
                && disagreement(scenario, &model::predict(scenario, usual.1)).is_none()
        };
        usual.iter().find(explains).map(|(choice, _)| {
            let what = scenario.steps[first.step].what();
            let reason = format!("{what}: by {choice} in its manifest this comes to {}", first.got);
            Self { step: first.step, got: first.got.clone(), reason }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const START: &str = "main limit descriptors 0 free\nmain spawn child => ";
    const LENGTH: &str = "main pipe r w\nmain announce w 3GiB\nmain get r => ";

    const LATE: &str = "main pipe r w\nmain cut w \"hello\" at 2\nmain get r within 50ms => ";

    #[rstest]
    #[case::a_get_that_waits_for_the_rest(LATE, "timeout", Choices { late_get_waits: true, ..Choices::default() }, true)]
    #[case::the_suites_own_choice(START, "os:EMFILE", Choices::default(), false)]
    #[case::a_start_that_needs_none(START, "os:EMFILE", Choices { start_needs: 0, ..Choices::default() }, true)]
    #[case::a_line_that_allows_both(START, "os:EMFILE or ok", Choices { start_needs: 0, ..Choices::default() }, false)]
    #[case::wrong_for_every_choice(START, "closed", Choices { start_needs: 0, ..Choices::default() }, false)]
    #[case::a_length_beyond_the_limit(LENGTH, "protocol", Choices::default(), false)]
    #[case::a_length_within_the_limit(LENGTH, "protocol", Choices { max_message: 1 << 40, ..Choices::default() }, true)]
    fn a_line_is_exempt_only_if_a_declared_choice_explains_it(
        #[case] text: &str,
        #[case] outcome: &str,
        #[case] choices: Choices,
        #[case] expected: bool,
    ) {
        let scenario = crate::scenario::parse("limit", &format!("{text}{outcome}\n"))
            .expect("the scenario is well-formed");
        let allowed = model::allowed(&scenario, choices);
        assert_eq!(ChoiceExemption::find(&scenario, choices, &allowed).is_some(), expected);
    }
}
