//! The system that the suite runs on: what it offers, and which assumptions of the suite do not hold there.
//!
//! This module only inspects the system. It changes nothing and judges no runs.

mod assumptions;
mod facts;
mod speed;

use assumptions::Assumption;
pub use assumptions::{SLEEPER, sleeper_main};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::Path;

/// What is known about the system.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// The facts, in the order in which a report shows them.
    pub facts: Vec<SystemFact>,
    /// The factor by which timeouts are extended: 1 on an ordinary machine, more on a slow one such as an emulator.
    pub slow_factor: u32,
}

/// One property of the system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SystemFact {
    /// The name of the property.
    pub name: String,
    /// Its value, for people.
    pub found: String,
    /// The assumption of the suite that does not hold, if there is one.
    pub unmet: Option<UnmetAssumption>,
    /// What heavy scenarios assume in addition, if it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet_by_heavy: Option<UnmetAssumption>,
}

impl SystemFact {
    fn new(name: &str, found: impl Display, unmet: Option<Assumption>) -> Self {
        let unmet = unmet.map(UnmetAssumption::from);
        Self { name: name.into(), found: found.to_string(), unmet, unmet_by_heavy: None }
    }
}

/// An assumption of the suite that does not hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnmetAssumption {
    /// The consequence, and what to do about it.
    pub means: String,
    /// Texts in the description of a failure that this assumption explains: the name of an error, a path.
    pub explains: Vec<String>,
}

impl From<Assumption> for UnmetAssumption {
    fn from(assumption: Assumption) -> Self {
        let explains = assumption.explains.iter().map(|text| (*text).to_owned()).collect();
        Self { means: assumption.means.into(), explains }
    }
}

/// Inspects the system. Starts a few short-lived processes; `exe` is the program of the harness.
#[must_use]
pub fn look(exe: &Path) -> Environment {
    let (speed, slow_factor) = speed::measure(exe);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let facts = vec![
        SystemFact::new("system", facts::system(), None),
        SystemFact::new("processors", processors, None),
        SystemFact::new("user", facts::user(), None),
        SystemFact::new("container", facts::container(), None),
        assumptions::process_information(exe),
        SystemFact::new("process end", facts::process_end(), None),
        SystemFact::new("ptrace", facts::ptrace(), None),
        SystemFact::new("cgroups", facts::cgroups(), None),
        SystemFact::new("clock", facts::clock(), None),
        SystemFact::new("inherited", facts::inherited_descriptors(), None),
        assumptions::descriptors(),
        assumptions::processes(),
        SystemFact::new("pipes", facts::pipes(), None),
        assumptions::memory(),
        assumptions::scratch_folder(),
        assumptions::dev_null(),
        assumptions::shell(),
        SystemFact::new("speed", speed, None),
    ];
    Environment { facts, slow_factor }
}

impl Environment {
    /// The unmet assumption that explains a failure with this description, if there is one, with the fact that it is about.
    /// Heavy scenarios have additional assumptions.
    #[must_use]
    pub fn explains(
        &self,
        failure: &str,
        is_heavy: bool,
    ) -> Option<(&SystemFact, &UnmetAssumption)> {
        let explains = |unmet: &UnmetAssumption| {
            unmet.explains.iter().any(|text| failure.contains(text.as_str()))
        };
        let mut unmet = self.facts.iter().flat_map(|fact| {
            let of_heavy = fact.unmet_by_heavy.as_ref().filter(|_| is_heavy);
            fact.unmet.iter().chain(of_heavy).map(move |unmet| (fact, unmet))
        });
        unmet.find(|(_, unmet)| explains(unmet))
    }

    /// The facts that break an assumption of the suite.
    pub fn unmet(&self) -> impl Iterator<Item = (&SystemFact, &UnmetAssumption)> {
        self.facts.iter().filter_map(|fact| Some((fact, fact.unmet.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::assumptions::{FEW_DESCRIPTORS, FEW_DESCRIPTORS_FOR_HEAVY, LITTLE_MEMORY, NO_PROC};
    use super::{Environment, SystemFact};
    use rstest::rstest;

    #[rstest]
    #[case("os:EMFILE", Some("descriptors"))]
    #[case("no /proc/self/exe available", Some("processes shown"))]
    #[case("truncated", None)]
    fn an_unmet_assumption_explains_only_its_own_failures(
        #[case] failure: &str,
        #[case] expected: Option<&str>,
    ) {
        let facts = [
            ("descriptors", FEW_DESCRIPTORS),
            ("processes shown", NO_PROC),
            ("memory", LITTLE_MEMORY),
        ];
        let facts = facts.map(|(name, unmet)| SystemFact::new(name, "", Some(unmet)));
        let environment = Environment { facts: facts.into(), slow_factor: 1 };
        let explained = environment.explains(failure, false);
        assert_eq!(explained.map(|(fact, _)| fact.name.as_str()), expected);
    }

    #[test]
    fn an_assumption_that_holds_explains_nothing() {
        let facts = vec![SystemFact::new("descriptors", 1024, None)];
        let environment = Environment { facts, slow_factor: 1 };
        assert!(environment.explains("os:EMFILE", true).is_none());
    }

    #[test]
    fn too_few_descriptors_for_thousands_of_children_explain_failures_of_heavy_scenarios_only() {
        let unmet_by_heavy = Some(FEW_DESCRIPTORS_FOR_HEAVY.into());
        let fact = SystemFact { unmet_by_heavy, ..SystemFact::new("descriptors", 1024, None) };
        let environment = Environment { facts: vec![fact], slow_factor: 1 };
        assert!(environment.explains("os:EMFILE", true).is_some());
        assert!(environment.explains("os:EMFILE", false).is_none());
        assert!(environment.explains("truncated", true).is_none());
    }
}
