//! Finds where a scenario and the model disagree. Each such line gives an error that says whether the cause is a race, a
//! deadlock, the capacity of a pipe, or another outcome.

use super::alternatives::impossible_alternatives;
use super::notes::unknown_outcomes;
use super::reaped_elsewhere;
use crate::deadlock;
use crate::model::{self, Analysis, Choices, Deadlock};
use crate::scenario::{Outcome, ParseError, Scenario, Step, Verb};
use crate::trace::{Allowed, Mismatch, ProcessExit, StepState, Trace, is_unexpected, outcome_text};
use std::collections::BTreeMap;

/// How many outcomes of a racing line are listed.
const MAX_OUTCOMES: usize = 6;

/// All disagreements, in the order of the lines.
pub(super) fn errors(scenario: &Scenario, choices: Choices) -> Vec<ParseError> {
    let Analysis { allowed, depends_on_capacity } = model::analyze(scenario, choices);
    let disagreements = disagreements(scenario, &allowed);
    // If more fits into a pipe, other steps may block. What the file should say cannot be known before that is settled. The
    // search that compares all orders is not used if it cannot finish, or if the file is refused anyway.
    let is_dependent = match disagreements.is_empty() {
        true => allowed.complete && depends_on_capacity,
        false => model::first_capacity_dependent_step(scenario).is_some(),
    };
    if is_dependent {
        return vec![capacity_error(scenario)];
    }
    if !disagreements.is_empty() {
        return disagreements;
    }
    match allowed.is_known() {
        true => {
            let mut errors = impossible_alternatives(scenario, &allowed);
            errors.extend(reaped_elsewhere::errors(scenario));
            errors.extend(model::first_limit_dependent_step(scenario));
            errors.sort_by_key(|error| error.line);
            errors
        }
        false => vec![unknown_outcomes(scenario, choices)],
    }
}

fn disagreements(scenario: &Scenario, allowed: &Allowed) -> Vec<ParseError> {
    let mut errors: BTreeMap<usize, ParseError> = BTreeMap::new();
    let mut is_race_explained = false;
    for (index, step) in scenario.steps.iter().enumerate() {
        let mut traces = allowed.traces.iter();
        let Some(trace) = traces.find(|trace| is_unexpected(scenario, trace, index)) else {
            continue;
        };
        let line = step.position.line;
        if errors.contains_key(&line) {
            continue;
        }
        let outcomes = outcomes(allowed, index);
        if outcomes.len() > 1 {
            errors.insert(line, race(scenario, step, &outcomes, allowed, !is_race_explained));
            is_race_explained = true;
            continue;
        }
        match &trace.steps[index] {
            StepState::Completed { .. } => {
                errors.insert(line, other_outcome(scenario, trace, index));
            }
            StepState::Pending => {
                errors.insert(line, pending(scenario, trace, index));
                // The lines below wait for this step, so errors about them would say nothing new.
                break;
            }
            StepState::NotStarted => {
                errors.insert(line, not_started(scenario, trace, index));
                break;
            }
        }
    }
    errors.into_values().collect()
}

/// The different outcomes that a step has in the correct traces.
fn outcomes(allowed: &Allowed, index: usize) -> Vec<String> {
    let mut outcomes: Vec<String> = Vec::new();
    for trace in &allowed.traces {
        let text = outcome_text(&[], &trace.steps[index]);
        if !outcomes.contains(&text) {
            outcomes.push(text);
        }
    }
    outcomes
}

fn race(
    scenario: &Scenario,
    step: &Step,
    outcomes: &[String],
    allowed: &Allowed,
    explain: bool,
) -> ParseError {
    let mut listed: Vec<&str> = outcomes.iter().take(MAX_OUTCOMES).map(String::as_str).collect();
    if outcomes.len() > MAX_OUTCOMES || !allowed.complete {
        listed.push("others");
    }
    let message = format!(
        "a race: it says {}, but {} is possible, depending on which step comes first",
        expected(step),
        listed.join(" or ")
    );
    let all = outcomes.join(" or ");
    let hint = match outcomes.len() <= MAX_OUTCOMES && allowed.complete {
        true => format!("write `=> {all}`, or give the steps an order"),
        false => "give the steps an order".to_owned(),
    };
    let mut error = ParseError::at_outcome(&scenario.text, step, message, hint);
    if explain {
        error.notes = vec![
            "three ways to fix a race:".into(),
            "  1. allow each outcome in the line: `=> A or B`".into(),
            "  2. let one task wait for the other: `until WHO blocks`, a message or a `join` before the step".into(),
            "  3. take away what they share: a pipe for each writer, one task for both steps".into(),
        ];
    }
    error
}

fn other_outcome(scenario: &Scenario, trace: &Trace, index: usize) -> ParseError {
    let mismatch = Mismatch::new(scenario, trace, trace, index);
    let why = match mismatch.because.is_empty() {
        true => String::new(),
        false => format!(": {}", mismatch.because),
    };
    let step = &scenario.steps[index];
    let message =
        format!("it says {}, but the model says {}{why}", mismatch.expected, mismatch.got);
    let hint = match is_repeated(scenario, step) {
        true => "write an outcome that holds for each repetition, or change the steps before it"
            .to_owned(),
        false => format!("write `=> {}`, or change the steps before it", mismatch.got),
    };
    ParseError::at_outcome(&scenario.text, step, message, hint)
}

/// The error for a step that never returns, although the file says that it does.
fn pending(scenario: &Scenario, trace: &Trace, index: usize) -> ParseError {
    let step = &scenario.steps[index];
    let mismatch = Mismatch::new(scenario, trace, trace, index);
    let process = &step.task_id.process;
    let ended = trace.exits.get(process.as_str()).filter(|exit| **exit != ProcessExit::Running);
    if let Some(exit) = ended {
        let message = format!(
            "it says {}, but {process} ends ({exit}) while it is in this step, which never returns",
            expected(step)
        );
        return ParseError::at_outcome(&scenario.text, step, message, "write `=> blocks`");
    }
    let names_blocks = step.expected.iter().any(|outcome| matches!(outcome, Outcome::Blocks(_)));
    if names_blocks {
        return other_outcome(scenario, trace, index);
    }
    let why = match mismatch.because.is_empty() {
        true => String::new(),
        false => format!(": {}", mismatch.because),
    };
    let message = format!("it says {}, but this step never returns{why}", mismatch.expected);
    let hint = "write `=> blocks` if that is the question, or change the steps before it";
    let mut error = ParseError::at_outcome(&scenario.text, step, message, hint);
    let Some(report) = deadlock::explain_model(scenario, trace) else { return error };
    let head = format!("{}:", report.deadlock_head("this step"));
    let waits: Vec<(String, String, String)> = report
        .waits
        .iter()
        .map(|wait| {
            let step = &scenario.steps[wait.step];
            let who = format!("{} {}", step.task_id, step.what());
            (who, format!("line {}", step.position.line), wait.why.clone())
        })
        .collect();
    let width = |column: fn(&(String, String, String)) -> &String| {
        waits.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (who_width, line_width) = (width(|row| &row.0), width(|row| &row.1));
    error.notes.push(head);
    error.notes.extend(
        waits
            .iter()
            .map(|(who, line, why)| format!("  {who:<who_width$}  {line:<line_width$}  {why}")),
    );
    if !report.cycle.is_empty() {
        error.notes.push(format!("  {}", report.cycle.join(" ▶ ")));
    }
    error
}

/// The error for a step that never begins, although the file says how it ends.
fn not_started(scenario: &Scenario, trace: &Trace, index: usize) -> ParseError {
    let step = &scenario.steps[index];
    let before = (0..index).rev().find(|before| {
        scenario.steps[*before].task_id == step.task_id
            && trace.steps[*before] == StepState::Pending
    });
    let why = match before {
        Some(before) => {
            format!(
                ": {} never gets beyond line {}",
                step.task_id, scenario.steps[before].position.line
            )
        }
        None => format!(": {} does not run", step.task_id.process),
    };
    let message = format!("it says {}, but this step never begins{why}", expected(step));
    let hint = "write `=> never`, or leave the line out";
    ParseError::at_outcome(&scenario.text, step, message, hint)
}

fn capacity_error(scenario: &Scenario) -> ParseError {
    let index = model::first_capacity_dependent_step(scenario).unwrap_or(0);
    let step = &scenario.steps[index];
    let message = match step.verb {
        Verb::Until { .. } => "which step blocks here depends on how much a pipe holds",
        _ => "the outcome depends on how much a pipe holds",
    };
    let hint = format!(
        "keep less than {} bytes unread in each pipe, or put more than {} at once",
        model::CAPACITY_MIN,
        model::CAPACITY_MAX
    );
    let mut error = ParseError::at_action(step, message, hint);
    error.notes.push(format!(
        "a pipe holds {} bytes at least and {} at most, depending on the system",
        model::CAPACITY_MIN,
        model::CAPACITY_MAX
    ));
    if let Deadlock::Below(bytes) = model::deadlock(scenario, Choices::default()) {
        error
            .notes
            .push(format!("the scenario deadlocks where a pipe holds less than {bytes} bytes"));
    }
    error
}

/// The outcomes in the file.
fn expected(step: &Step) -> String {
    step.expected.iter().map(Outcome::to_string).collect::<Vec<_>>().join(" or ")
}

/// Whether `each` makes several steps from the line of this step.
fn is_repeated(scenario: &Scenario, step: &Step) -> bool {
    let same_line = scenario.steps.iter().filter(|other| other.position == step.position);
    same_line.count() > 1
}

#[cfg(test)]
mod tests {
    use super::errors;
    use crate::model::Choices;
    use crate::scenario::parse;
    use rstest::rstest;

    /// The lines, the line of the first error, a part of its message and a part of its hint.
    #[rstest]
    #[case::a_race(
        "main pipe r w\nmain spawn child w\nchild put w \"a\"\nmain kill child\nmain join child => signal SIGKILL\n",
        3,
        "a race: it says ok, but ok or never is possible",
        "write `=> ok or never`"
    )]
    #[case::a_deadlock(
        "main pipe r w\nmain spawn child r\nchild get r => eof\nmain join child => exit 0\n",
        3,
        "this step never returns",
        "write `=> blocks`"
    )]
    #[case::a_process_that_is_killed_in_its_step(
        "main pipe r w\nmain spawn child r\nchild get r => \"a\"\nmain until child blocks\nmain kill child\nmain join child => signal SIGKILL\n",
        3,
        "child ends (signal SIGKILL) while it is in this step",
        "write `=> blocks`"
    )]
    #[case::a_question_of_capacity(
        "main pipe r w\nmain put w 65536B\nmain get r => 65536B\n",
        2,
        "depends on how much a pipe holds",
        "keep less than 512 bytes"
    )]
    #[case::a_wait_for_a_step_that_blocks_only_where_pipes_are_small(
        "main pipe r w\nmain/one put w 1023B\nmain/one put w 2MiB => blocks\nmain until main/one blocks\nmain get r => 1023B\n",
        4,
        "which step blocks here depends on how much a pipe holds",
        "keep less than 512 bytes"
    )]
    #[case::a_step_after_one_that_blocks(
        "main pipe r w\nmain get r => blocks\nmain close w => ok\n",
        3,
        "this step never begins",
        "write `=> never`"
    )]
    #[case::another_outcome(
        "main pipe r w\nmain put w \"a\"\nmain get r => \"b\"\n",
        3,
        "it says \"b\", but the model says \"a\"",
        "write `=> \"a\"`"
    )]
    fn a_disagreement_is_called_what_it_is(
        #[case] lines: &str,
        #[case] line: usize,
        #[case] message: &str,
        #[case] hint: &str,
    ) {
        let scenario = parse("test", lines).expect("the lines are well-formed");
        let errors = errors(&scenario, Choices::default());
        let error = errors.first().expect("the model disagrees");
        assert!(line == 0 || error.line == line, "{error:?}");
        assert!(error.message.contains(message), "{error:?}");
        assert!(error.hint.contains(hint), "{error:?}");
    }

    #[test]
    fn a_deadlock_is_shown_with_its_cycle() {
        let lines =
            "main pipe r w\nmain spawn child r\nchild get r => eof\nmain join child => exit 0\n";
        let scenario = parse("test", lines).expect("the lines are well-formed");
        let errors = errors(&scenario, Choices::default());
        assert_eq!(errors.len(), 1, "what waits for the deadlock says nothing new");
        assert_eq!(errors[0].notes.last().map(String::as_str), Some("  child ▶ main ▶ child"));
    }

    #[test]
    fn two_wrong_outcomes_are_reported_together() {
        let lines = "main pipe r w\nmain put w \"a\"\nmain get r => \"b\"\nmain close w\nmain get r => \"c\"\n";
        let scenario = parse("test", lines).expect("the lines are well-formed");
        let lines: Vec<usize> =
            errors(&scenario, Choices::default()).iter().map(|error| error.line).collect();
        assert_eq!(lines, [3, 5]);
    }
}
