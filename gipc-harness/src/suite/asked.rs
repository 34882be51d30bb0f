//! Finds the requirements that an adapter is not asked for, because it can perform no scenario that tests them, and why.

use crate::adapter::{Adapter, EMBEDDED};
use crate::requirements::{self, Requirement, StandIn};
use crate::scenario::Scenario;

/// A requirement that an adapter is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// The requirement.
    pub requirement: &'static Requirement,
    /// Why it is not asked for, as part of a sentence.
    pub reason: String,
}

/// The requirements that an adapter is not asked for by these scenarios, in the order of the specification. Each scenario
/// that tests such a requirement needs a profile that the manifest does not declare, or is in the adapter's skip list.
/// Whatever stands in for a scenario concerns only gipc-core.
#[must_use]
pub fn unasked(adapter: &Adapter, scenarios: &[Scenario]) -> Vec<Unasked> {
    let unasked = requirements::requirements().iter().filter_map(|requirement| {
        let reason = why_unasked(requirement, scenarios, adapter)?;
        Some(Unasked { requirement, reason })
    });
    unasked.collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::suite::Suite;
    use std::path::Path;

    fn reasons(adapter: &str, ids: &[&str]) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let suite = Suite::find(Some(root.join("scenarios")), None).expect("the suite is here");
        let adapter = suite.load_adapter(adapter).expect("the manifest is valid");
        let file = |(id, text): (&str, &str)| parse(id, text).expect("the text is a scenario");
        let scenarios = [
            (
                "close/a",
                "# It ends.\n# covers EOF-1\n\nmain pipe r w\nmain close w\nmain get r => eof\n",
            ),
            (
                "scope/a",
                "# It closes.\n# covers CTX-2\n\nmain pipe r w\nmain enter r w\nmain leave r w\nmain get r => closed\n",
            ),
        ];
        let scenarios: Vec<Scenario> = scenarios.into_iter().map(file).collect();
        let unasked = unasked(&adapter, &scenarios);
        let reason = |id: &&str| unasked.iter().find(|one| one.requirement.id == **id);
        let text =
            |one: Option<&Unasked>| one.map_or("asked", |one| one.reason.as_str()).to_owned();
        ids.iter().map(|id| text(reason(id))).collect()
    }

    #[test]
    fn a_requirement_is_unasked_for_lack_of_a_profile_or_of_a_scenario() {
        let found = reasons("posix", &["EOF-1", "CTX-2", "EOF-2", "PIPE-9"]);
        assert_eq!(
            found[..3],
            ["asked", "the manifest does not declare the profile scope", "no scenario tests it",]
        );
        assert!(found[3].starts_with("gipc-core alone is asked, by test: "), "{}", found[3]);
    }

    #[test]
    fn what_stands_in_for_a_scenario_asks_the_embedded_implementation() {
        assert_eq!(reasons(EMBEDDED, &["PIPE-9", "EOF-2"]), ["asked", "no scenario tests it"]);
    }
}
