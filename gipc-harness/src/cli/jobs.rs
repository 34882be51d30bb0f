//! In which ways a scenario is to be performed: in which order, at once or step by step, and who is hit when.
//!
//! The model says what may come of each; nothing is performed here.

use super::Run;
use super::fd_exhaustion::starved;
use crate::model::{self, Choices, ReleaseOrder};
use crate::scenario::{ChildAct, Outcome, Scenario, Step, TaskId, Verb, order_line};
use crate::trace::{Allowed, ExecutionMode, InjectionPoint, Schedule};
use crate::verdict::{Chosen, disagreement};
use std::path::PathBuf;

/// One scenario, to be performed in one way.
pub(super) struct Job {
    pub(super) scenario: Scenario,
    pub(super) path: PathBuf,
    pub(super) allowed: Allowed,
    pub(super) course: ExecutionMode,
    /// What must be typed to do it in this way again.
    pub(super) how: String,
    /// What an author would add to the file, so that it goes in this order again.
    pub(super) line: Option<String>,
    /// Why what is written is right only for other choices than the implementation made.
    pub(super) chosen: Option<Chosen>,
}

/// Which order of releases is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OrderOption {
    File,
    Random(u64),
    All,
}

/// Where something is done to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InjectionSelector {
    All,
    /// This role, at its moment of this number, counted from 1.
    One(String, usize),
}

/// Reads `all` or `ROLE@K`.
pub(super) fn point(word: &str) -> Result<InjectionSelector, String> {
    let one = word.split_once('@').and_then(|(role, k)| Some((role, k.parse().ok()?)));
    match (word, one) {
        ("all", _) => Ok(InjectionSelector::All),
        (_, Some((role, k))) if k > 0 => Ok(InjectionSelector::One(role.to_owned(), k)),
        _ => Err("write all, or a process and a number: child@3 is its third moment".into()),
    }
}

/// Reads `story`, `all` or `random:SEED`.
pub(super) fn orders(word: &str) -> Result<OrderOption, String> {
    let seed = word.strip_prefix("random:").and_then(|seed| seed.parse().ok());
    match (word, seed) {
        ("story", _) => Ok(OrderOption::File),
        ("all", _) => Ok(OrderOption::All),
        (_, Some(seed)) => Ok(OrderOption::Random(seed)),
        _ => Err("write story, all, or random: and a number".into()),
    }
}

/// All that is performed of one scenario, and what of it cannot be done in the way that was asked for.
pub(super) fn ways(
    scenario: Scenario,
    path: PathBuf,
    choices: Choices,
    run: &Run,
) -> (Vec<Job>, Option<&'static str>) {
    if let Some(point) = &run.starve {
        return starved(&scenario, &path, choices, point);
    }
    if let Some(point) = run.kill.as_ref().or(run.freeze.as_ref()) {
        return (hits(&scenario, &path, choices, point, run.kill.is_some()), None);
    }
    let allowed = model::allowed(&scenario, choices);
    let chosen = chose_otherwise(&scenario, choices, &allowed);
    let make = |course, how, line| Job {
        chosen: chosen.clone(),
        scenario: scenario.clone(),
        path: path.clone(),
        allowed: allowed.clone(),
        course,
        how,
        line,
    };
    if run.batch {
        return match is_at_once(&scenario) {
            true => (vec![make(ExecutionMode::Concurrent, "--batch".into(), None)], None),
            false => (
                Vec::new(),
                Some(
                    "say when something happens, or want nobody there at a moment, so that they go step by step only",
                ),
            ),
        };
    }
    let in_order = |order: &ReleaseOrder, how: String| {
        let (trace, plan) = model::in_order(&scenario, choices, order);
        // Time limits may make another order wrong: then it goes as in the story.
        let plan = match allowed.traces.contains(&trace) || !is_timed(&scenario) {
            true => plan,
            false => model::schedule(&scenario, choices),
        };
        let line = (*order != ReleaseOrder::File).then(|| line(&scenario, &plan));
        make(ExecutionMode::Stepwise(plan), how, line)
    };
    match &run.order {
        OrderOption::File => {
            let own = scenario
                .order()
                .and_then(Result::ok)
                .map_or(ReleaseOrder::File, ReleaseOrder::Given);
            (vec![in_order(&own, String::new())], None)
        }
        OrderOption::Random(seed) => {
            (vec![in_order(&ReleaseOrder::Random(*seed), format!("--order random:{seed}"))], None)
        }
        OrderOption::All => {
            match model::orders(&scenario, choices).filter(|_| !is_timed(&scenario)) {
                Some(all) => {
                    let job = |order: Vec<TaskId>| {
                        in_order(&ReleaseOrder::Given(order), "--order all".into())
                    };
                    (all.into_iter().map(job).collect(), None)
                }
                None => (
                    vec![in_order(&ReleaseOrder::File, String::new())],
                    Some("have time limits or too many orders, and went as in the story only"),
                ),
            }
        }
    }
}

/// What is written is right, but not of one whose starts need fewer descriptors, or for whom such a length is one. Of the
/// other choices either the line leaves it open, or it is a failure to have chosen so.
pub(super) fn chose_otherwise(
    scenario: &Scenario,
    choices: Choices,
    allowed: &Allowed,
) -> Option<Chosen> {
    let findings = allowed.traces.iter().map(|trace| disagreement(scenario, trace));
    let first = findings.collect::<Option<Vec<_>>>()?.into_iter().next()?;
    let suite = Choices::default();
    let usual = [
        ("start-needs", Choices { start_needs: suite.start_needs, ..choices }),
        ("max-message", Choices { max_message: suite.max_message, ..choices }),
    ];
    let is_why = |usual: &&(&str, Choices)| {
        usual.1 != choices && disagreement(scenario, &model::predict(scenario, usual.1)).is_none()
    };
    usual.iter().find(is_why).map(|(choice, _)| {
        let what = scenario.steps[first.step].what();
        let reason = format!("{what}: by {choice} in its manifest this comes to {}", first.got);
        Chosen { step: first.step, got: first.got.clone(), reason }
    })
}

fn line(scenario: &Scenario, plan: &Schedule) -> String {
    let task_ids: Vec<TaskId> =
        plan.releases.iter().map(|release| scenario.steps[release.step].task_id.clone()).collect();
    format!("# {}", order_line(&task_ids))
}

fn is_timed(scenario: &Scenario) -> bool {
    scenario.steps.iter().any(|step| step.within_ms.is_some())
}

/// Whether nothing in it says when: only then its task_ids can be told all at once. Nor where a put may find nobody, if a
/// child is started that the reader is not for: on its way from fork to program a child holds whatever its parent had,
/// if only for some microseconds. Nor if the reader is given to who then puts: its parent has a copy until the start
/// returns, and the child may be faster.
pub(super) fn is_at_once(scenario: &Scenario) -> bool {
    let any = |asks: fn(&Step) -> bool| scenario.steps.iter().any(asks);
    let nobody = scenario.steps.iter().filter(|step| step.expected.contains(&Outcome::Broken));
    let held = nobody.into_iter().any(|step| {
        let reader = reader_of(scenario, step);
        scenario.steps.iter().any(|other| match &other.verb {
            Verb::Spawn { handles, .. } => {
                let given = reader
                    .as_ref()
                    .is_some_and(|reader| handles.iter().any(|one| reader.starts_with(one)));
                !given || other.task_id.process != step.task_id.process
            }
            _ => false,
        })
    });
    let is_led = any(|step| {
        matches!(
            step.verb,
            Verb::Until { .. }
                | Verb::Cancel { .. }
                | Verb::Pause { .. }
                | Verb::Child { act: ChildAct::Stall, .. }
        )
    });
    !(is_timed(scenario) || is_led || held)
}

/// The end that gets what this step puts.
fn reader_of(scenario: &Scenario, step: &Step) -> Option<String> {
    let (Verb::Put { handle, .. } | Verb::Cut { handle, .. } | Verb::Rest { handle }) = &step.verb
    else {
        return None;
    };
    let name = handle.trim_end_matches(".w");
    scenario.steps.iter().find_map(|step| match &step.verb {
        Verb::Pipe { reader, writer, .. } if writer == handle => Some(reader.clone()),
        Verb::Duplex { near, far } if near == name => Some(format!("{far}.r")),
        Verb::Duplex { near, far } if far == name => Some(format!("{near}.r")),
        _ => None,
    })
}

fn hits(
    scenario: &Scenario,
    path: &std::path::Path,
    choices: Choices,
    point: &InjectionSelector,
    kill: bool,
) -> Vec<Job> {
    let mut counts = std::collections::BTreeMap::new();
    let mut jobs = Vec::new();
    for strike in model::injection_points(scenario, choices) {
        let role = scenario.steps[strike.step].task_id.process.clone();
        let count = counts.entry(role.clone()).or_insert(0);
        *count += 1;
        if *point != InjectionSelector::All
            && *point != InjectionSelector::One(role.clone(), *count)
        {
            continue;
        }
        let (allowed, course, how) = if kill {
            let (allowed, plan) = model::allowed_if_killed(scenario, choices, strike);
            (allowed, ExecutionMode::Kill(plan, strike), format!("--kill {role}@{count}"))
        } else {
            let plan = model::schedule(scenario, choices);
            let allowed = model::allowed(scenario, choices);
            (allowed, ExecutionMode::Pause(plan, strike), format!("--freeze {role}@{count}"))
        };
        let scenario = if kill { expecting(scenario, &allowed) } else { scenario.clone() };
        let (path, line) = (path.to_owned(), None);
        jobs.push(Job { scenario, path, allowed, course, how, line, chosen: None });
    }
    jobs
}

/// The same scenario, but its author expects what the model allows: nobody wrote what comes of a blow from outside.
pub(super) fn expecting(scenario: &Scenario, allowed: &Allowed) -> Scenario {
    let mut steps = scenario.steps.to_vec();
    for (index, step) in steps.iter_mut().enumerate() {
        // What the specification leaves open stays so.
        let mut outcomes: Vec<Outcome> = match step.expected.len() {
            1 => Vec::new(),
            _ => std::mem::take(&mut step.expected),
        };
        for trace in &allowed.traces {
            let outcome = trace.steps[index].as_outcome();
            if !outcomes.contains(&outcome) {
                outcomes.push(outcome);
            }
        }
        step.expected = outcomes;
    }
    scenario.with_steps(steps)
}

/// The plan of a course, if it has one, and its blow: what a record keeps.
pub(super) fn blow(course: &ExecutionMode) -> Option<InjectionPoint> {
    match course {
        ExecutionMode::Kill(_, strike) => Some(*strike),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const START: &str = "main limit descriptors 0 free\nmain spawn child => ";
    const LENGTH: &str = "main pipe r w\nmain announce w 3GiB\nmain get r => ";

    #[rstest]
    #[case::as_the_suite_has_it(START, "os:EMFILE", Choices::default(), false)]
    #[case::a_start_needs_none(START, "os:EMFILE", Choices { start_needs: 0, ..Choices::default() }, true)]
    #[case::allowed_by_the_author(START, "os:EMFILE or ok", Choices { start_needs: 0, ..Choices::default() }, false)]
    #[case::wrong_for_everybody(START, "closed", Choices { start_needs: 0, ..Choices::default() }, false)]
    #[case::a_length_is_none(LENGTH, "protocol", Choices::default(), false)]
    #[case::a_length_is_one(LENGTH, "protocol", Choices { max_message: 1 << 40, ..Choices::default() }, true)]
    fn what_is_right_only_for_other_choices_is_known_as_such(
        #[case] text: &str,
        #[case] outcome: &str,
        #[case] choices: Choices,
        #[case] expected: bool,
    ) {
        let scenario = crate::scenario::parse("limit", &format!("{text}{outcome}\n"))
            .expect("it can be meant");
        let allowed = model::allowed(&scenario, choices);
        assert_eq!(chose_otherwise(&scenario, choices, &allowed).is_some(), expected);
    }
}
