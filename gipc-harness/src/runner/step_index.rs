//! Indexes the steps by process and by pipe end, so that a question about one process does not search all steps.

use crate::scenario::{PipeEnd, Scenario, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// The steps of a scenario by process and by pipe end.
pub(super) struct StepIndex<'a> {
    /// The steps of each process and of its tasks.
    own: BTreeMap<&'a str, Vec<usize>>,
    /// The steps that start each process. There may be several: a later one can be tried if an earlier one failed.
    starts: BTreeMap<&'a str, Vec<usize>>,
    /// The steps that make, give away or close each end.
    of_end: BTreeMap<PipeEnd, Vec<usize>>,
}

impl<'a> StepIndex<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut index =
            Self { own: BTreeMap::new(), starts: BTreeMap::new(), of_end: BTreeMap::new() };
        for (number, step) in scenario.steps.iter().enumerate() {
            index.own.entry(&step.task_id.process).or_default().push(number);
            if let Verb::Spawn { child, .. } = &step.verb {
                index.starts.entry(child).or_default().push(number);
            }
            for end in touched_ends(scenario, number) {
                index.of_end.entry(end).or_default().push(number);
            }
        }
        index
    }

    /// The steps of a process and of its tasks, in the order of the file.
    pub(super) fn own_steps(&self, process: &str) -> &[usize] {
        self.own.get(process).map_or(&[], Vec::as_slice)
    }

    /// The steps that decide which ends a process owns, in the order of the file.
    pub(super) fn steps_about_ends_of(
        &self,
        scenario: &Scenario,
        process: &str,
    ) -> BTreeSet<usize> {
        let starts = self.starts.get(process).map_or(&[][..], Vec::as_slice);
        let ends = self.own_steps(process).iter().chain(starts);
        let ends = ends.flat_map(|step| touched_ends(scenario, *step));
        ends.filter_map(|end| self.of_end.get(&end)).flatten().copied().collect()
    }
}

/// The ends that a step makes, gives away or closes.
fn touched_ends(scenario: &Scenario, step: usize) -> Vec<PipeEnd> {
    let verb = &scenario.steps[step].verb;
    let named = match verb {
        Verb::Close { handle, .. } => std::slice::from_ref(handle),
        Verb::Spawn { handles, .. } => handles,
        Verb::Leave { handles, .. } => handles,
        _ => &[],
    };
    let mut ends = scenario.handles.made_by(step, verb);
    ends.extend(named.iter().flat_map(|handle| scenario.handles.ends(handle)));
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::trace::Ownership;

    #[test]
    fn the_steps_about_the_ends_of_a_process_tell_what_it_owns() {
        let scenario = parse(
            "a.scenario",
            "main pipe r w
main pipe r2 w2
main duplex near far
main spawn one r far
one spawn two r
one close far.r
two get r => eof
main close w
main join one => exit 0
",
        )
        .unwrap();
        let index = StepIndex::new(&scenario);
        let all = Ownership::replay_steps(&scenario, 0..scenario.steps.len(), |_| true);
        for process in ["main", "one", "two"] {
            let steps = index.steps_about_ends_of(&scenario, process);
            let part = Ownership::replay_steps(&scenario, steps.into_iter(), |_| true);
            let owned = |ownership: &Ownership<'_>| -> Vec<PipeEnd> {
                let ends = ownership.all().map(|(end, _)| end);
                ends.filter(|end| ownership.is_held_by(*end, process)).collect()
            };
            assert_eq!(owned(&part), owned(&all), "{process}");
            assert!(!owned(&all).is_empty(), "{process}");
        }
        let other = index.steps_about_ends_of(&scenario, "two");
        assert!(!other.contains(&1), "the second pipe does not concern the process two");
    }
}
