//! What a process still held when its last step had completed, and how long its time limits took.
//!
//! This module has the data and the rules for judging it. The runner uses the same rules to decide how long it keeps
//! looking.

use super::Trace;
use super::cause::shortened;
use crate::scenario::{Outcome, PipeEnd, Scenario, Step, Verb};
use ecow::EcoString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a process held between its last step and the order to finish that it did not hold when it connected.
///
/// The process was asleep during this observation, so it was not about to close or reap anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// The descriptors that the process did not have when it connected and that are not an end that it owns.
    pub descriptors: Vec<HeldDescriptor>,
    /// How many descriptors that are not a known pipe end the process may hold: what the manifest says under `[keeps]`, and
    /// one for each open end whose descriptor the agent did not report.
    pub allowed: u64,
    /// The children that ended and should have been reaped, by name.
    pub zombies: Vec<String>,
}

/// A descriptor that a process held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldDescriptor {
    /// The number of the descriptor.
    pub number: i32,
    /// What the descriptor refers to, as the kernel names it.
    pub what: String,
    /// The pipe end that the descriptor is, if it is one of the scenario. Either the process does not own this end, or it
    /// owns the end and this is a second descriptor of it.
    pub end: Option<PipeEnd>,
}

impl Census {
    /// The descriptors that are leaks: each that is a pipe end of the scenario, and all others if there are too many.
    pub fn leaked(&self) -> impl Iterator<Item = &HeldDescriptor> {
        let others = self.descriptors.iter().filter(|held| held.end.is_none()).count();
        let are_too_many = others as u64 > self.allowed;
        self.descriptors.iter().filter(move |held| held.end.is_some() || are_too_many)
    }

    /// Whether the process held nothing that it should not hold.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.zombies.is_empty() && self.leaked().next().is_none()
    }

    /// A sentence for each thing that the process should not have held.
    #[must_use]
    pub fn sentences(&self, scenario: &Scenario, trace: &Trace, process: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut others = Vec::new();
        for held in self.leaked() {
            let HeldDescriptor { number, what, end } = held;
            match end {
                Some(end) => sentences.push(format!(
                    "{process} had done all its steps and still held fd {number}, which is {} ({what}): {}",
                    scenario.handles.name(*end),
                    origin(scenario, trace, process, *end)
                )),
                None => others.push(format!("fd {number} ({what})")),
            }
        }
        if !others.is_empty() {
            let allowed = match self.allowed {
                0 => String::new(),
                allowed => format!(" (it may keep {allowed})"),
            };
            sentences.push(format!(
                "{process} had done all its steps and still held {} that it did not have when it connected{allowed}",
                shortened(&others.iter().map(String::as_str).collect::<Vec<_>>(), "other descriptors")
            ));
        }
        let zombie = |child: &String| {
            format!(
                "{process} had done all its steps and had not reaped {child}{}, which is a zombie",
                spawn_line(scenario, child)
            )
        };
        sentences.extend(self.zombies.iter().map(zombie));
        sentences
    }
}

/// How a process got a pipe end that it should not hold any more, as part of a sentence with the lines of the scenario.
fn origin(scenario: &Scenario, trace: &Trace, process: &str, end: PipeEnd) -> String {
    let name = scenario.handles.name(end);
    let is_end = |handle: &EcoString| scenario.handles.ends(handle).contains(&end);
    let (mut got, mut lost) = (None, None);
    for (index, step) in scenario.steps.iter().enumerate() {
        if !trace.steps.get(index).is_some_and(|state| state.is(&Outcome::Ok)) {
            continue;
        }
        let (line, is_own) = (step.position.line, step.task_id.process == process);
        match &step.verb {
            verb if is_own && scenario.handles.made_by(index, verb).contains(&end) => {
                got = Some(format!("{process} made it in line {line}"));
            }
            Verb::Spawn { child, handles, shared, .. } if handles.iter().any(is_end) => {
                if child == process {
                    got = Some(format!("{process} was given it in line {line}"));
                } else if is_own && !shared.iter().any(is_end) {
                    lost = Some(format!("gave it to {child} in line {line}"));
                }
            }
            Verb::Close { handle, .. } if is_own && is_end(handle) => {
                lost = Some(format!("closed it in line {line}"));
            }
            Verb::Leave { handles, .. } if is_own && handles.iter().any(is_end) => {
                lost = Some(format!("closed it in line {line}"));
            }
            _ => {}
        }
    }
    match (got, lost) {
        (Some(got), Some(lost)) => format!("{got} and {lost}"),
        (Some(got), None) => format!("{got}, and this is a second descriptor of it"),
        (None, _) => {
            let line = spawn_line(scenario, process);
            format!("{process} was never given {name}, and inherited it when it was spawned{line}")
        }
    }
}

/// ` (line 7)`, if a step in that line spawns the process.
fn spawn_line(scenario: &Scenario, process: &str) -> String {
    let spawns = |step: &&Step| matches!(&step.verb, Verb::Spawn { child, .. } if child == process);
    let spawn = scenario.steps.iter().find(spawns);
    spawn.map_or(String::new(), |step| format!(" (line {})", step.position.line))
}

/// What processes held at their end. `None` in an observation where the system does not show it.
pub type Censuses = BTreeMap<String, Census>;

/// How long a step with a time limit took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitTime {
    /// The step.
    pub step: usize,
    /// The time from when the step was sent until its end arrived, in microseconds. The step took no longer than this.
    /// `None` if it did not end.
    pub at_most_us: Option<u64>,
    /// The longest time during the step, in microseconds, for which every thread of its process slept in one system call
    /// without getting the processor. The step took longer than this.
    pub asleep_us: u64,
}

/// What is wrong with the time that a limit took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongTime {
    /// The limit expired too early.
    Early,
    /// The limit did not expire when it should have.
    Late,
}

impl LimitTime {
    /// What is wrong with the time that the limit took, if anything. No load on the machine causes a wrong result:
    ///
    /// - A limit is early if it expired, and less time than the limit had passed from the sending of the step until its end
    ///   arrived. Whatever delays a message makes this time longer. A millisecond, or a tenth of the limit, is tolerated for
    ///   clocks that are rounded.
    /// - A limit is late if its process slept for five times the limit, and 100 ms more than the limit, without getting the
    ///   processor once. A timer that expires makes a thread runnable, however long it then waits for a processor, and a
    ///   runnable thread is not asleep. So no timer for this limit expired in all this time. Neither a late begin of the
    ///   step matters, since only time after its begin is counted, nor how late its end arrived.
    #[must_use]
    pub fn wrong(&self, limit_ms: u64, outcome: Option<&Outcome>) -> Option<WrongTime> {
        let limit = Duration::from_millis(limit_ms);
        let asleep = Duration::from_micros(self.asleep_us);
        let has_expired = matches!(outcome, Some(Outcome::Timeout | Outcome::Running));
        let rounding = Duration::from_millis(1).max(limit / 10);
        let is_early = |us: u64| Duration::from_micros(us) + rounding < limit;
        if has_expired && self.at_most_us.is_some_and(is_early) {
            return Some(WrongTime::Early);
        }
        let is_late = asleep >= limit * 5 && asleep >= limit + Duration::from_millis(100);
        is_late.then_some(WrongTime::Late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::trace::StepState;
    use rstest::rstest;

    #[rstest]
    #[case::closed(
        "main",
        PipeEnd::reader(0),
        "r (pipe:[7]): main made it in line 1 and closed it in line 3"
    )]
    #[case::given_away(
        "main",
        PipeEnd::writer(0),
        "w (pipe:[7]): main made it in line 1 and gave it to child in line 2"
    )]
    #[case::doubled(
        "child",
        PipeEnd::writer(0),
        "w (pipe:[7]): child was given it in line 2, and this is a second descriptor of it"
    )]
    #[case::left(
        "main",
        PipeEnd::reader(1),
        "a (pipe:[7]): main made it in line 4 and closed it in line 6"
    )]
    #[case::inherited(
        "child",
        PipeEnd::reader(0),
        "r (pipe:[7]): child was never given r, and inherited it when it was spawned (line 2)"
    )]
    fn a_leaked_end_is_reported_with_the_lines_in_which_it_came_and_went(
        #[case] process: &str,
        #[case] end: PipeEnd,
        #[case] says: &str,
    ) {
        let lines = "main pipe r w\nmain spawn child w\nmain close r\nmain pipe a b\nmain enter a\n\
                     main leave a\nmain join child => exit 0\n";
        let scenario = parse("it", lines).expect("the lines are a scenario");
        let steps = vec![StepState::completed(Outcome::Ok); 7];
        let trace = Trace { steps, ..Trace::default() };
        let census = Census {
            descriptors: vec![held(7, Some(end))],
            zombies: vec!["child".into()],
            ..Census::default()
        };
        let sentences = census.sentences(&scenario, &trace, process);
        assert!(sentences[0].ends_with(says), "{sentences:?}");
        assert!(sentences[1].ends_with("had not reaped child (line 2), which is a zombie"));
    }

    fn held(number: i32, end: Option<PipeEnd>) -> HeldDescriptor {
        HeldDescriptor { number, what: "pipe:[7]".into(), end }
    }

    #[rstest]
    #[case::nothing(vec![], 0, vec![])]
    #[case::one_that_it_may_keep(vec![held(7, None)], 1, vec![])]
    #[case::one_too_many(vec![held(7, None), held(8, None)], 1, vec![7, 8])]
    #[case::an_end_is_never_kept(vec![held(7, Some(PipeEnd::reader(0))), held(8, None)], 1, vec![7])]
    fn descriptors_leak_if_they_are_ends_or_too_many(
        #[case] descriptors: Vec<HeldDescriptor>,
        #[case] allowed: u64,
        #[case] leaked: Vec<i32>,
    ) {
        let census = Census { descriptors, allowed, zombies: Vec::new() };
        assert_eq!(census.leaked().map(|held| held.number).collect::<Vec<_>>(), leaked);
    }

    #[rstest]
    #[case::a_few(2, 0, "fd 7 (pipe:[7]), fd 8 (pipe:[7]) that it did not have when it connected")]
    #[case::many(
        12,
        3,
        "fd 9 (pipe:[7]), fd 10 (pipe:[7]) and 8 other descriptors that it did not have when it connected (it may keep 3)"
    )]
    fn of_many_descriptors_a_few_are_named(
        #[case] count: i32,
        #[case] allowed: u64,
        #[case] says: &str,
    ) {
        let scenario = parse("it", "main spawn child\nmain join child => exit 0\n")
            .expect("the line is a scenario");
        let descriptors = (7..7 + count).map(|number| held(number, None)).collect();
        let census = Census { descriptors, allowed, ..Census::default() };
        let sentences = census.sentences(&scenario, &Trace::default(), "main");
        assert!(sentences[0].ends_with(says), "{sentences:?}");
    }

    #[rstest]
    #[case::in_time(60_000, 45_000, Outcome::Timeout, None)]
    #[case::late_to_be_heard(9_000_000, 49_000, Outcome::Timeout, None)]
    #[case::a_little_late(200_000, 149_000, Outcome::Timeout, None)]
    #[case::four_times_the_limit(210_000, 200_000, Outcome::Timeout, None)]
    #[case::late(510_000, 251_000, Outcome::Timeout, Some(WrongTime::Late))]
    #[case::late_although_a_message_came(510_000, 251_000, Outcome::Ok, Some(WrongTime::Late))]
    #[case::rounded(49_500, 45_000, Outcome::Timeout, None)]
    #[case::early(30_000, 25_000, Outcome::Running, Some(WrongTime::Early))]
    #[case::a_message_may_be_early(30_000, 25_000, Outcome::Ok, None)]
    fn a_limit_of_50_ms_is_judged_by_what_no_load_can_change(
        #[case] at_most_us: u64,
        #[case] asleep_us: u64,
        #[case] outcome: Outcome,
        #[case] wrong: Option<WrongTime>,
    ) {
        let time = LimitTime { step: 0, at_most_us: Some(at_most_us), asleep_us };
        assert_eq!(time.wrong(50, Some(&outcome)), wrong);
    }
}
