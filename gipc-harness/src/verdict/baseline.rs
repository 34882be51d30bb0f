//! The baseline: compares what the folder of an adapter says beforehand with what happened: known failures, what the
//! implementation lacks, what is skipped. Neither a missing nor a stale entry is a pass.

use super::{Status, Verdict};
use crate::adapter::skip_list::SkipList;
use crate::adapter::{Adapter, KnownFailure};
use crate::scenario::{ChildAct, Scenario, Verb};
use crate::trace::Observation;
use crate::variant::ChoiceExemption;
use std::collections::BTreeMap;

/// What an adapter says about itself beforehand. The default says nothing.
#[derive(Clone, Debug, Default)]
pub struct Baseline<'a> {
    /// The profiles that the implementation has. If empty, nothing is declared, and nothing is enforced.
    pub profiles: &'a [String],
    /// What the implementation lacks of these profiles: a verb or the id of a scenario, and why.
    pub lacks: Option<&'a BTreeMap<String, String>>,
    /// The failures that are known.
    pub known: &'a [KnownFailure],
    /// The scenarios that are skipped; `None` if the adapter has no skip list.
    pub skips: Option<&'a SkipList>,
    /// The variant of the adapter, `default` without one.
    pub variant: &'a str,
}

/// What the folder of an adapter would have to say about a scenario.
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
        /// Whether another failure of this scenario is listed.
        instead: bool,
    },
    /// The scenario passes.
    Passes,
    /// The scenario is skipped.
    Skips,
    /// The scenario is not skipped.
    Asked,
    /// Nothing, because the suite has no such scenario.
    Nothing,
}

impl BaselineChange {
    /// The status of the run once the folder says this.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Fails { .. } => Status::Known,
            Self::Skips => Status::Skip,
            Self::Passes | Self::Asked | Self::Nothing => Status::Pass,
        }
    }
}

/// The word in the manifest under `[lacks]` for an implementation whose calls take no time limit.
const WITHIN: &str = "within";
/// The word of the protocol for `until CHILD is reaped`.
const REAPED: &str = "reaped";
/// The word of the protocol for `put W handle H`.
const PASS: &str = "pass";
/// What the manifest may list under `[lacks]` beside the verbs of the scenario language.
pub const FURTHER_WORDS: [&str; 3] = [WITHIN, REAPED, PASS];

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

    /// Says KNOWN if the failure has the fingerprint of a listed one, and FIXED if a listed failure passes. A scenario that
    /// fails in one of several ways has one entry for each.
    pub(super) fn match_known_failure(&self, verdict: &mut Verdict, scenario: &Scenario) {
        if verdict.status == Status::Skip || verdict.status.is_inconclusive() {
            return;
        }
        verdict.failed_as = verdict.status.is_failure().then(|| verdict.fingerprint(scenario));
        let entries: Vec<&KnownFailure> =
            self.known.iter().filter(|known| known.is_about(&scenario.id)).collect();
        let Some(any) = entries.first() else {
            verdict.baseline_change = new_failure(verdict, scenario, false);
            return;
        };
        if verdict.status == Status::Pass {
            if entries.iter().all(|entry| entry.sometimes) {
                verdict.flaky = true;
                let why = any.explanation().unwrap_or_default();
                verdict.notes.push(format!("fails in some runs: {why}").trim_end().to_owned());
            } else {
                verdict.status = Status::Fixed;
                verdict.baseline_change = Some(BaselineChange::Passes);
                verdict.notes.push("it passes, and the manifest says that it fails".into());
            }
            return;
        }
        let [step, outcome, status] = &verdict.fingerprint(scenario);
        // If another step was wrong before, the status is about that other step.
        let is_first = verdict.mismatch.as_ref().map(|it| it.step)
            == verdict.first_in_file().map(|it| it.step);
        let matches = |entry: &&&KnownFailure| {
            let status = if is_first { status } else { &entry.verdict };
            entry.is([step, outcome, status])
        };
        if let Some(entry) = entries.iter().find(matches) {
            verdict.flaky = entry.sometimes;
            match entry.explanation() {
                Some(explanation) => {
                    verdict.status = Status::Known;
                    verdict.sort = entry.sort;
                    verdict.cause.clone_from(&entry.cause);
                    verdict.explain(explanation);
                }
                None => verdict.notes.push(
                    "the manifest lists this failure, but its sort or its reason is empty: fill them in".into(),
                ),
            }
            return;
        }
        verdict.notes.push(format!(
            "the manifest lists another failure of this scenario: {} => {} ({}); this is {step} => {outcome} ({status})",
            any.step, any.outcome, any.verdict
        ));
        verdict.baseline_change = new_failure(verdict, scenario, true);
    }

    /// Says SKIP if the implementation did what is right for its declared choices on a line that is written for others. What
    /// follows that line does not apply to it.
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

    /// Says ERROR if the implementation refuses a verb of a profile that it declares, and FIXED if a scenario passes that
    /// the manifest says it lacks.
    pub(super) fn enforce_profiles(
        &self,
        verdict: &mut Verdict,
        scenario: &Scenario,
        observation: &Observation,
    ) {
        let unsupported = observation.unsupported.as_ref().and_then(|it| it.step);
        match unsupported.and_then(|step| scenario.steps.get(step)) {
            Some(step) if verdict.status == Status::Skip => {
                let profile = step.verb.profile().word();
                let what = step.what();
                let verb = match &step.verb {
                    _ if step.within_ms.is_some() => WITHIN,
                    // The protocol has words of its own for forms of `until` and `put`.
                    Verb::Child { act: ChildAct::Reaped, .. } => REAPED,
                    Verb::Pass { .. } => PASS,
                    _ => what.split(' ').next().unwrap_or_default(),
                };
                let id = &scenario.id;
                let is_declared = step.undeclared_profile(self.profiles).is_none();
                let is_lacking =
                    what.split(' ').take(1).chain([verb, id]).any(|name| self.lacks(name));
                if is_declared && !is_lacking {
                    verdict.status = Status::Error;
                    verdict.notes.push(format!(
                        "the manifest declares the profile {profile}, and the agent refused {verb}. If the implementation has no {verb}, add \
                         this line under [lacks] in adapter.toml: {verb} = \"why\". If only this scenario is affected: \"{id}\" = \"why\""
                    ));
                }
            }
            _ if verdict.status == Status::Pass && self.lacks(&scenario.id) => {
                verdict.status = Status::Fixed;
                verdict.baseline_change = Some(BaselineChange::Passes);
                verdict.notes.push("it passes, and the manifest lists it under [lacks]".into());
            }
            _ => {}
        }
    }

    /// Says ERROR if a scenario is skipped that is not in the skip list, and FIXED if one of the list is no longer skipped.
    /// So the number of skipped scenarios cannot grow unnoticed.
    ///
    /// A skip that follows from the profiles of the manifest need not be listed.
    pub(super) fn enforce_skip_list(&self, verdict: &mut Verdict, scenario: &Scenario) {
        let Some(skips) = self.skips else { return };
        let listed = skips.says(&scenario.id, self.variant);
        let is_undeclared = !self.profiles.is_empty()
            && scenario.steps.iter().any(|step| step.undeclared_profile(self.profiles).is_some());
        if is_undeclared && listed.is_none() {
            return;
        }
        verdict.flaky |= listed == Some(true);
        let (status, change, note) = match (verdict.status, listed) {
            (Status::Skip, None) => (Status::Error, BaselineChange::Skips, UNLISTED_SKIP),
            (status, Some(false)) if status != Status::Skip && !status.is_inconclusive() => (
                Status::Fixed,
                BaselineChange::Asked,
                "it is not skipped any more, and skips.txt lists it: delete the line, or let `run --accept` do it",
            ),
            _ => return,
        };
        verdict.status = status;
        verdict.notes.push(note.into());
        verdict.baseline_change = Some(change);
    }
}

/// The note on a skip that is not in the list.
pub(super) const UNLISTED_SKIP: &str =
    "it was skipped, and skips.txt does not list it: add its id, or let `run --accept` do it";

/// The entry for a failure that is not listed, if it can be listed.
fn new_failure(verdict: &Verdict, scenario: &Scenario, instead: bool) -> Option<BaselineChange> {
    let [step, outcome, _] = verdict.fingerprint(scenario);
    let fails = BaselineChange::Fails { step, outcome, verdict: verdict.status, instead };
    verdict.status.is_failure().then_some(fails)
}
