//! The choices of an implementation: their values, and the lines that are written for other choices.

use crate::adapter::{self, Adapter, FromThread, LateGet};
use crate::model::{self, AfterCancel, Choices, Unjoined};
use crate::scenario::Scenario;
use crate::trace::{Allowed, Trace, disagreement};
use std::collections::BTreeSet;

/// The choices that an adapter declares. For those that it does not declare, the suite's own.
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
        unjoined: declared.unjoined.map_or(suite.unjoined, |unjoined| match unjoined {
            adapter::Unjoined::Left => Unjoined::Left,
            adapter::Unjoined::Killed => Unjoined::Killed,
            adapter::Unjoined::Joined => Unjoined::Joined,
            adapter::Unjoined::JoinedOnReturn => Unjoined::JoinedOnReturn,
        }),
        refuses_threads: declared
            .from_thread
            .map_or(suite.refuses_threads, |start| start == FromThread::Refused),
    }
}

/// Why lines of a scenario do not apply to an implementation: they are written for another choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceExemption {
    choice: &'static str,
    /// For each way in which a run may differ from the file because of the declared choice: the first step with another
    /// outcome, the text of the step, and the outcome.
    exempt: Vec<(usize, String, String)>,
}

impl ChoiceExemption {
    /// Finds a choice that explains why the model contradicts the file. Nothing is exempt if the line itself allows several
    /// choices (`or`), or if the choice has no name in the manifest.
    #[must_use]
    pub fn find(scenario: &Scenario, choices: Choices, allowed: &Allowed) -> Option<Self> {
        let mismatches = allowed.traces.iter().filter_map(|trace| disagreement(scenario, trace));
        let exempt: Vec<(usize, String, String)> = mismatches
            .map(|it| (it.step, scenario.steps[it.step].what(), it.got))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if exempt.is_empty() {
            return None;
        }
        let suite = Choices::default();
        let usual = [
            ("start-needs", Choices { start_needs: suite.start_needs, ..choices }),
            ("max-message", Choices { max_message: suite.max_message, ..choices }),
            ("after-cancel", Choices { after_cancel: suite.after_cancel, ..choices }),
            ("late-get", Choices { late_get_waits: suite.late_get_waits, ..choices }),
            ("unjoined", Choices { unjoined: suite.unjoined, ..choices }),
            ("from-thread", Choices { refuses_threads: suite.refuses_threads, ..choices }),
        ];
        let agrees = |trace: &Trace| disagreement(scenario, trace).is_none();
        let explains = |usual: &&(&str, Choices)| {
            usual.1 != choices && model::allowed(scenario, usual.1).traces.iter().all(agrees)
        };
        usual.iter().find(explains).map(|(choice, _)| Self { choice, exempt })
    }

    /// Why the scenario does not apply, for the first step with another outcome in each way in which a run may differ.
    pub fn reasons(&self) -> impl Iterator<Item = String> {
        self.exempt.iter().map(|(_, what, got)| self.sentence(what, got))
    }

    /// Why a step does not apply, if it is the first one whose outcome differs from the file, and has this outcome.
    #[must_use]
    pub fn reason(&self, step: usize, got: &str) -> Option<String> {
        let mut exempt = self.exempt.iter();
        let (_, what, _) = exempt.find(|(first, _, outcome)| *first == step && outcome == got)?;
        Some(self.sentence(what, got))
    }

    fn sentence(&self, what: &str, got: &str) -> String {
        format!("{what}: by {} in its manifest the outcome is {got}", self.choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const START: &str = "main limit descriptors 0 free\nmain spawn child => ";
    const LENGTH: &str = "main pipe r w\nmain announce w 3GiB\nmain get r => ";

    const UNJOINED: &str = "main pipe r w\nmain spawn child r\nmain close w\nchild get r => ";
    const RACE: &str = "main spawn child\nmain signal child SIGUSR1\nmain join child => ";
    const LATE: &str = "main pipe r w\nmain cut w \"hello\" at 2\nmain get r within 50ms => ";

    #[rstest]
    #[case::a_get_that_waits_for_the_rest(LATE, "timeout", Choices { late_get_waits: true, ..Choices::default() }, true)]
    #[case::the_suites_own_choice(START, "os:EMFILE", Choices::default(), false)]
    #[case::a_start_that_needs_none(START, "os:EMFILE", Choices { start_needs: 0, ..Choices::default() }, true)]
    #[case::a_line_that_allows_both(START, "os:EMFILE or ok", Choices { start_needs: 0, ..Choices::default() }, false)]
    #[case::wrong_for_every_choice(START, "closed", Choices { start_needs: 0, ..Choices::default() }, false)]
    #[case::a_child_that_is_killed(UNJOINED, "eof", Choices { unjoined: Unjoined::Killed, ..Choices::default() }, true)]
    #[case::a_child_that_is_joined(UNJOINED, "eof", Choices { unjoined: Unjoined::Joined, ..Choices::default() }, false)]
    #[case::a_race_that_no_choice_explains(RACE, "exit 0", Choices { unjoined: Unjoined::Killed, ..Choices::default() }, false)]
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
