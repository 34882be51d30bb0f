//! Process groups: which processes a signal to a group may reach, by the lines of the scenario.

use super::{ChildAct, Scenario, Verb};
use std::collections::BTreeSet;

impl Scenario {
    /// The processes that may be in the process group of which `leader` is the first, including itself. A process is in the
    /// group of its parent, unless its start gives it a group of its own. Two lines may start the same process, if one of
    /// them is refused.
    #[must_use]
    pub fn process_group<'a>(&'a self, leader: &'a str) -> BTreeSet<&'a str> {
        let mut members = BTreeSet::from([leader]);
        loop {
            let new: Vec<&str> = self
                .steps
                .iter()
                .filter_map(|step| match &step.verb {
                    Verb::Spawn { child, in_group: false, .. }
                        if members.contains(step.task_id.process.as_str()) =>
                    {
                        Some(child.as_str())
                    }
                    _ => None,
                })
                .filter(|child| !members.contains(child))
                .collect();
            if new.is_empty() {
                return members;
            }
            members.extend(new);
        }
    }

    /// The processes that a step with this verb may kill, terminate or signal.
    #[must_use]
    pub fn signalled_by<'a>(&'a self, verb: &'a Verb) -> BTreeSet<&'a str> {
        match verb {
            Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::Child { act: ChildAct::Terminate, child } => BTreeSet::from([child.as_str()]),
            Verb::SignalGroup { child, .. } => self.process_group(child),
            _ => BTreeSet::new(),
        }
    }
}

impl Verb {
    /// The signal that the verb sends to other processes, if it sends one.
    #[must_use]
    pub fn sent_signal(&self) -> Option<&str> {
        match self {
            Self::Kill { .. } => Some("SIGKILL"),
            Self::Child { act: ChildAct::Terminate, .. } => Some("SIGTERM"),
            Self::Signal { signal, .. } | Self::SignalGroup { signal, .. } => Some(signal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    #[test]
    fn a_group_has_the_descendants_without_a_group_of_their_own() {
        let text = "main spawn child in-group
child spawn grandchild
child spawn other in-group
grandchild spawn last
other spawn elsewhere
main spawn sibling
main signal group child SIGTERM => ok
main join child => signal SIGTERM
";
        let scenario = parse("a.scenario", text).unwrap();
        let members: Vec<&str> = scenario.process_group("child").into_iter().collect();
        assert_eq!(members, ["child", "grandchild", "last"]);
    }
}
