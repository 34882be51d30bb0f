//! Checks whether a scenario that ran several times had the same verdict and the same trace each time.

use super::console::Console;
use crate::variant::{Job, Order, Variant};
use crate::verdict::Status;
use std::collections::{BTreeMap, BTreeSet};

/// The statuses and traces of each scenario. A scenario with more than one of either is unstable.
#[derive(Debug, Default)]
pub(super) struct Stability {
    by_scenario: BTreeMap<String, (BTreeSet<Status>, BTreeSet<String>)>,
}

impl Stability {
    pub(super) fn add(&mut self, job: &Job, status: Status, trace: &str) {
        // Runs of one scenario in several orders must agree. Runs with different faults need not.
        let flags = match &job.variant {
            Variant::Stepwise(Order::Random(_) | Order::Tasks(_)) => String::new(),
            variant => variant.flags(),
        };
        let key = format!("{} {flags}", job.scenario.id).trim_end().to_owned();
        let (statuses, traces) = self.by_scenario.entry(key).or_default();
        statuses.insert(status);
        traces.insert(trace.to_owned());
    }

    /// How many scenarios ran, counting each way to execute one.
    pub(super) fn len(&self) -> usize {
        self.by_scenario.len()
    }

    /// Reports the unstable scenarios. Returns the number of those that `is_accepted` does not contain.
    pub(super) fn report(
        &self,
        console: &mut Console,
        is_accepted: impl Fn(&str) -> bool,
    ) -> usize {
        for (key, (_, traces)) in self.by_scenario.iter().filter(|(_, (_, all))| all.len() > 1) {
            console.complain(&format!("{key} gave {} different traces", traces.len()));
        }
        for (key, (statuses, _)) in self.by_scenario.iter().filter(|(_, (all, _))| all.len() > 1) {
            let statuses: Vec<String> = statuses.iter().map(Status::to_string).collect();
            console.complain(&format!("{key} was {}", statuses.join(" and ")));
        }
        let is_unstable = |(statuses, traces): &(BTreeSet<Status>, BTreeSet<String>)| {
            statuses.len() > 1 || traces.len() > 1
        };
        let id = |key: &str| key.split(' ').next().unwrap_or_default().to_owned();
        let all = self.by_scenario.iter().filter(|(_, all)| is_unstable(all));
        all.filter(|(key, _)| !is_accepted(&id(key))).count()
    }
}
