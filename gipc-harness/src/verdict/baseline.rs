//! The baseline: what the folder of an adapter says beforehand, held against what came. Known failures, what the
//! implementation lacks, what is skipped. Both a missing and a stale entry are no pass.

use super::{Status, Verdict};
use crate::adapter::skip_list::SkipList;
use crate::adapter::{Adapter, KnownFailure};
use crate::scenario::Scenario;
use crate::trace::Observation;
use crate::variant::ChoiceExemption;
use std::collections::BTreeMap;

/// What an adapter says of itself beforehand. The default says nothing.
#[derive(Clone, Debug, Default)]
pub struct Baseline<'a> {
    /// The profiles that the implementation has. Empty: nothing is declared, and nothing is enforced.
    pub profiles: &'a [String],
    /// What it lacks of these profiles: a verb or the id of a scenario, and why.
    pub lacks: Option<&'a BTreeMap<String, String>>,
    /// The failures that are known.
    pub known: &'a [KnownFailure],
    /// The scenarios that are skipped; `None` if the adapter has no skip list.
    pub skips: Option<&'a SkipList>,
    /// The variant of the adapter, `default` without one.
    pub variant: &'a str,
}

/// What the folder of an adapter would have to say of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaselineChange {
    /// The scenario fails, with this fingerprint.
    Fails {
        /// The first wrong step.
        step: String,
        /// Its outcome.
        outcome: String,
        /// The verdict.
        verdict: Status,
        /// Another failure of this scenario is listed.
        instead: bool,
    },
    /// The scenario passes.
    Passes,
    /// The scenario is skipped.
    Skips,
    /// The scenario is not skipped.
    Asked,
    /// Nothing: the suite has no such scenario.
    Nothing,
}

impl BaselineChange {
    /// The status of the run once the folder says so.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Fails { .. } => Status::Known,
            Self::Skips => Status::Skip,
            Self::Passes | Self::Asked | Self::Nothing => Status::Pass,
        }
    }
}

impl<'a> Baseline<'a> {
    /// The baseline of an adapter.
    #[must_use]
    pub fn of(adapter: &'a Adapter) -> Self {
        Self {
            profiles: &adapter.manifest.profiles,
            lacks: Some(&adapter.manifest.lacks),
            known: &adapter.manifest.known,
            skips: adapter.skips.as_ref(),
            variant: &adapter.variant,
        }
    }

    fn lacks(&self, name: &str) -> bool {
        self.lacks.is_some_and(|lacks| lacks.contains_key(name))
    }

    /// Whether the skip list has this scenario.
    pub(super) fn skips(&self, id: &str) -> bool {
        self.skips.is_some_and(|skips| skips.says(id, self.variant).is_some())
    }

    /// Says KNOWN where the failure has the fingerprint of a listed one, and FIXED where a listed failure passes. A
    /// scenario that fails in one of several ways has an entry for each.
    pub(super) fn match_known_failure(&self, verdict: &mut Verdict, scenario: &Scenario) {
        if verdict.status == Status::Skip || verdict.status.is_inconclusive() {
            return;
        }
        let entries: Vec<&KnownFailure> =
            self.known.iter().filter(|known| known.scenario == scenario.id).collect();
        let Some(any) = entries.first() else {
            verdict.baseline_change = new_failure(verdict, scenario, false);
            return;
        };
        if verdict.status == Status::Pass {
            if entries.iter().all(|entry| entry.sometimes) {
                verdict.flaky = true;
                verdict.notes.push(format!("fails now and then: {}: {}", any.sort, any.reason));
            } else {
                verdict.status = Status::Fixed;
                verdict.baseline_change = Some(BaselineChange::Passes);
                verdict.notes.push(
                    "it passes, and the manifest says that it fails: delete that entry".into(),
                );
            }
            return;
        }
        let [step, outcome, status] = &verdict.fingerprint(scenario);
        // Where another step was wrong before, the status is that of the other step.
        let is_first = verdict.mismatch.as_ref().map(|it| it.step)
            == verdict.first_in_file().map(|it| it.step);
        let matches = |entry: &&&KnownFailure| {
            let status = if is_first { status } else { &entry.verdict };
            entry.is([step, outcome, status])
        };
        if let Some(entry) = entries.iter().find(matches) {
            verdict.status = Status::Known;
            verdict.flaky = entry.sometimes;
            verdict.sort = Some(entry.sort);
            verdict.explain(format!("{}: {}", entry.sort, entry.reason));
            return;
        }
        verdict.notes.push(format!(
            "the manifest knows another failure here: {} => {} ({}); this is {step} => {outcome} ({status})",
            any.step, any.outcome, any.verdict
        ));
        verdict.baseline_change = new_failure(verdict, scenario, true);
    }

    /// Says SKIP where the implementation did what is right for its declared choices, on a line that is written for
    /// others. What follows that line does not apply to it.
    pub(super) fn apply_exemption(verdict: &mut Verdict, exemption: Option<&ChoiceExemption>) {
        let first = verdict.first_in_file();
        let reason = exemption.zip(first).and_then(|(it, first)| it.reason(first.step, &first.got));
        let Some(reason) = reason else { return };
        if verdict.status.is_failure() || verdict.status == Status::Known {
            let texts =
                (std::mem::take(&mut verdict.trace_text), std::mem::take(&mut verdict.model_text));
            *verdict = Verdict {
                status: Status::Skip,
                reason: Some(reason),
                flaky: verdict.flaky,
                ..Verdict::new(texts.0, texts.1)
            };
        }
    }

    /// Says ERROR where the implementation refuses a verb of a profile that it declares, and FIXED where a scenario
    /// passes that it is said to lack.
    pub(super) fn enforce_profiles(
        &self,
        verdict: &mut Verdict,
        scenario: &Scenario,
        observation: &Observation,
    ) {
        let unsupported = observation.unsupported.as_ref().and_then(|it| it.step);
        match unsupported.and_then(|step| scenario.steps.get(step)) {
            Some(step) if verdict.status == Status::Skip => {
                let profile = step.verb.profile().word().to_owned();
                let what = step.what();
                let verb = what.split(' ').next().unwrap_or_default();
                let id = &scenario.id;
                if self.profiles.contains(&profile) && !self.lacks(verb) && !self.lacks(id) {
                    verdict.status = Status::Error;
                    verdict.notes.push(format!(
                        "the manifest declares the profile {profile}: list {verb}, or {id}, with its reason under [lacks]"
                    ));
                }
            }
            _ if verdict.status == Status::Pass && self.lacks(&scenario.id) => {
                verdict.status = Status::Fixed;
                verdict.baseline_change = Some(BaselineChange::Passes);
                verdict.notes.push(
                    "it passes, and the manifest lists it under [lacks]: delete that entry".into(),
                );
            }
            _ => {}
        }
    }

    /// Says ERROR where a scenario is skipped that the skip list does not have, and FIXED where one of the list is not
    /// skipped any more: what is skipped cannot grow unnoticed.
    pub(super) fn enforce_skip_list(&self, verdict: &mut Verdict, id: &str) {
        let Some(skips) = self.skips else { return };
        let listed = skips.says(id, self.variant);
        verdict.flaky |= listed == Some(true);
        let (status, change, note) = match (verdict.status, listed) {
            (Status::Skip, None) => (
                Status::Error,
                BaselineChange::Skips,
                "it is skipped, and skips.txt does not list it",
            ),
            (status, Some(false)) if status != Status::Skip && !status.is_inconclusive() => (
                Status::Fixed,
                BaselineChange::Asked,
                "it is not skipped any more, and skips.txt lists it",
            ),
            _ => return,
        };
        verdict.status = status;
        verdict.notes.push(note.into());
        verdict.baseline_change = Some(change);
    }
}

/// The entry for a failure that is not listed.
fn new_failure(verdict: &Verdict, scenario: &Scenario, instead: bool) -> Option<BaselineChange> {
    let [step, outcome, _] = verdict.fingerprint(scenario);
    let fails = BaselineChange::Fails { step, outcome, verdict: verdict.status, instead };
    verdict.status.is_failure().then_some(fails)
}
