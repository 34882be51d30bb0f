//! Checks children that are reaped without the knowledge of the library (`reap CHILD`). Each implementation decides which of
//! the two calls learns how such a child ended, so the lines must allow both outcomes.

use crate::scenario::{ChildAct, Outcome, ParseError, Scenario, Verb};
use std::collections::BTreeMap;

/// An error for each `reap`, `join` and `code` of such a child that allows only one of the two.
pub(super) fn errors(scenario: &Scenario) -> Vec<ParseError> {
    let mut reaped: BTreeMap<&str, usize> = BTreeMap::new();
    for step in scenario.steps.iter() {
        let Verb::Child { act: ChildAct::Reap, child } = &step.verb else { continue };
        let is_child = scenario.steps.iter().any(
            |step| matches!(&step.verb, Verb::Spawn { child: spawned, .. } if spawned == child),
        );
        if is_child {
            reaped.entry(child).or_insert(step.position.line);
        }
    }
    let mut errors: Vec<ParseError> = Vec::new();
    for step in scenario.steps.iter() {
        let (child, is_reap) = match &step.verb {
            Verb::Child { act: ChildAct::Reap, child } => (child, true),
            Verb::Join { child } | Verb::Child { act: ChildAct::Code, child } => (child, false),
            _ => continue,
        };
        let Some(reap_line) = reaped.get(child.as_str()) else { continue };
        let is_lost = |outcome: &Outcome| {
            *outcome == Outcome::Os("ECHILD".into()) || (!is_reap && *outcome == Outcome::Misuse)
        };
        let tells_status = |outcome: &Outcome| {
            matches!(outcome, Outcome::Exit(_) | Outcome::Signal(_) | Outcome::Raised)
        };
        let is_one_sided =
            step.expected.iter().any(tells_status) && !step.expected.iter().any(is_lost);
        let is_reported = errors.iter().any(|error| error.line == step.position.line);
        if !is_one_sided || is_reported {
            continue;
        }
        let written: Vec<String> = step.expected.iter().map(Outcome::to_string).collect();
        let written = written.join(" or ");
        let (message, hint) = match is_reap {
            true => (
                format!(
                    "an implementation that reaps its children at once leaves no {child} to reap"
                ),
                format!("write `=> {written} or os:ECHILD`"),
            ),
            false => (
                format!(
                    "line {reap_line} reaps {child} too, and an implementation that comes second cannot tell how it ended"
                ),
                format!("write `=> {written} or os:ECHILD or misuse`"),
            ),
        };
        errors.push(ParseError::at_outcome(&scenario.text, step, message, hint));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::errors;
    use crate::scenario::parse;
    use rstest::rstest;

    #[rstest]
    #[case::one_sided("exit 7", "exit 7", &[3, 4])]
    #[case::the_join_is_one_sided("exit 7 or os:ECHILD", "exit 7", &[4])]
    #[case::both_allow_both("exit 7 or os:ECHILD", "exit 7 or misuse", &[])]
    fn a_child_that_two_parties_reap_is_told_of_to_either(
        #[case] reap: &str,
        #[case] join: &str,
        #[case] lines: &[usize],
    ) {
        let text = format!(
            "main spawn child\nchild exit 7\nmain reap child => {reap}\nmain join child => {join}\n"
        );
        let scenario = parse("reap", &text).expect("the lines are well-formed");
        let found: Vec<usize> = errors(&scenario).iter().map(|error| error.line).collect();
        assert_eq!(found, lines);
    }

    #[test]
    fn a_program_beside_the_library_has_one_parent_only() {
        let text = "main exec ghost\nmain reap ghost => exit 7\n";
        assert!(errors(&parse("ghost", text).expect("the lines are well-formed")).is_empty());
    }
}
