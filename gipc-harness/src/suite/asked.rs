//! What an adapter is asked: which requirements no scenario tests that it can perform, and why.

use super::Suite;
use crate::adapter::{Adapter, EMBEDDED};
use crate::error::Error;
use crate::requirements::{self, Requirement, StandIn};
use crate::scenario::Scenario;

/// A requirement that an adapter is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// The requirement.
    pub requirement: &'static Requirement,
    /// Why it is not asked, as half a sentence.
    pub reason: String,
}

impl Suite {
    /// The requirements that an adapter is not asked for, in the order of the specification: each scenario that tests one
    /// needs a profile that the manifest does not declare, or is in the adapter's skip list. What stands in for a scenario
    /// concerns gipc-core alone.
    ///
    /// # Errors
    ///
    /// A scenario of the suite cannot be read.
    pub fn unasked(&self, adapter: &Adapter) -> Result<Vec<Unasked>, Error> {
        let mut scenarios = Vec::new();
        for file in self.select(&[])? {
            scenarios.push(file.parse()?);
        }
        let unasked = requirements::requirements().iter().filter_map(|requirement| {
            let reason = why_unasked(requirement, &scenarios, adapter)?;
            Some(Unasked { requirement, reason })
        });
        Ok(unasked.collect())
    }
}

/// Why no scenario asks an adapter for a requirement; `None` if one does.
fn why_unasked(
    requirement: &Requirement,
    scenarios: &[Scenario],
    adapter: &Adapter,
) -> Option<String> {
    let id = requirement.id.as_str();
    let covering = scenarios.iter().filter(|scenario| scenario.covers().contains(&id));
    let mut reason = None;
    for scenario in covering {
        let profiles = &adapter.manifest.profiles;
        let mut steps = scenario.steps.iter();
        let undeclared = steps.find_map(|step| step.undeclared_profile(profiles));
        let is_listed = || {
            let skips = adapter.skips.as_ref();
            skips.is_some_and(|skips| skips.says(&scenario.id, &adapter.variant).is_some())
        };
        let why = match undeclared {
            Some(profile) => format!("the manifest does not declare the profile {profile}"),
            None if is_listed() => format!("skips.txt lists {}", scenario.id),
            None => return None,
        };
        reason.get_or_insert(why);
    }
    match (reason, requirements::stand_ins().get(id)) {
        (Some(reason), _) => Some(reason),
        (None, Some(_)) if adapter.manifest.name == EMBEDDED => None,
        (None, Some(StandIn { kind, file, mark })) => {
            Some(format!("gipc-core alone is asked, by {kind}: {file}, {mark}"))
        }
        (None, None) => Some("no scenario tests it".to_owned()),
    }
}
