//! What a scenario needs of the machine, and what the machine has: processes, and descriptors of the harness.
//!
//! Scenarios run at the same time only if there is enough for all of them. What an implementation needs in its own processes
//! is not known here.

use crate::scenario::{Outcome, Scenario, Verb};
use nix::sys::resource::{Resource, getrlimit};
use std::fmt;
use std::ops::{Add, AddAssign, SubAssign};

/// How many descriptors the harness has open for each process of a scenario: one for the connection, and one that shows when
/// the process ends.
const PER_PROCESS: u64 = 2;
/// How many more descriptors each run needs: for the supervisor, the socket and the event loop.
const PER_RUN: u64 = 12;
/// How many descriptors the harness needs for itself.
const RESERVED: u64 = 64;
/// A scenario with at least this many processes is announced with what it needs.
const MANY_PROCESSES: u64 = 1000;

/// An amount of the things that scenarios need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    processes: u64,
    descriptors: u64,
}

impl Needs {
    /// What a scenario needs at most, if all its processes live at once.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let is_started = |expected: &[Outcome]| expected.contains(&Outcome::Ok);
        let started = scenario.steps.iter().filter(|step| match &step.verb {
            Verb::Spawn { .. } | Verb::Exec { .. } => is_started(&step.expected),
            _ => false,
        });
        // Plus `main` and the supervisor.
        let processes = started.count() as u64 + 2;
        Self { processes, descriptors: PER_RUN + PER_PROCESS * processes }
    }

    /// What the system allows. Anything that it does not limit, or does not report, counts as unlimited.
    pub(super) fn available() -> Self {
        let soft = |resource| getrlimit(resource).map_or(u64::MAX, |(soft, _)| as_u64(soft));
        #[cfg(any(target_os = "linux", target_os = "freebsd"))]
        let processes = soft(Resource::RLIMIT_NPROC);
        #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
        let processes = u64::MAX;
        let descriptors = soft(Resource::RLIMIT_NOFILE).saturating_sub(RESERVED);
        Self { processes, descriptors }
    }

    /// Whether the available amount is enough for these needs.
    pub(super) fn fit_into(self, available: Self) -> bool {
        self.processes <= available.processes && self.descriptors <= available.descriptors
    }

    /// The note about a scenario before it starts; `None` if it needs little and there is enough.
    pub(super) fn note(self, id: &str, available: Self) -> Option<String> {
        let is_enough = self.fit_into(available);
        if is_enough && self.processes < MANY_PROCESSES {
            return None;
        }
        let consequence = if is_enough { "" } else { ": it will fail" };
        Some(format!("{id} needs {self}; there are {available}{consequence}"))
    }
}

impl Add for Needs {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            processes: self.processes.saturating_add(other.processes),
            descriptors: self.descriptors.saturating_add(other.descriptors),
        }
    }
}

impl AddAssign for Needs {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Needs {
    fn sub_assign(&mut self, other: Self) {
        self.processes -= other.processes;
        self.descriptors -= other.descriptors;
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |number: u64| match number {
            // The value that systems use for unlimited.
            number if number >= u64::MAX / 2 - RESERVED => "any number of".to_owned(),
            number => number.to_string(),
        };
        let (processes, descriptors) = (limit(self.processes), limit(self.descriptors));
        write!(f, "{processes} processes and {descriptors} descriptors in the harness")
    }
}

/// Converts a limit, whose type has another size or a sign on some systems.
fn as_u64(limit: impl TryInto<u64>) -> u64 {
    limit.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Needs;
    use crate::scenario::parse;

    fn needs(lines: &str) -> Needs {
        Needs::of(&parse("test", lines).expect("the lines are well-formed"))
    }

    #[test]
    fn a_scenario_needs_what_all_its_processes_need_at_once() {
        let lines = "each i in 1..100\nmain pipe r[i] w[i]\nmain spawn child[i] w[i]\nmain join child[i] => exit 0\n";
        assert_eq!(needs(lines), Needs { processes: 102, descriptors: 216 });
        assert_eq!(
            needs("main pipe r w\nmain close w\nmain get r => eof\n"),
            Needs { processes: 2, descriptors: 16 }
        );
    }

    #[test]
    fn what_is_missing_is_said_before_the_start() {
        let needs = Needs { processes: 12, descriptors: 36 };
        let few = Needs { processes: 100, descriptors: 30 };
        let note = "a/b needs 12 processes and 36 descriptors in the harness; there are 100 processes and 30 \
                    descriptors in the harness: it will fail";
        assert_eq!(needs.note("a/b", few).as_deref(), Some(note));
        assert_eq!(needs.note("a/b", Needs { descriptors: 36, ..few }), None);
        let many = Needs { processes: 1000, descriptors: 2012 };
        let note = many.note("a/b", Needs { processes: u64::MAX, descriptors: 20_000 });
        assert!(note.is_some_and(|note| {
            note.ends_with("any number of processes and 20000 descriptors in the harness")
        }));
    }
}
