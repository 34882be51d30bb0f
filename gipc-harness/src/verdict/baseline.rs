//! What the folder of an adapter says beforehand, held against what came: failures that are known, what is lacking, what
//! is skipped. It may say too little and too much.

use super::{Status, Verdict};
use crate::adapter::{KnownFailure, Manifest, skip_list::SkipList};
use crate::scenario::Scenario;
use crate::trace::Observation;

/// What the folder would have to say of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaselineChange {
    /// It fails, with this fingerprint.
    Fails {
        /// The first wrong step.
        step: String,
        /// What it comes to.
        outcome: String,
        /// What that is.
        verdict: Status,
        /// Another failure is known here.
        instead: bool,
    },
    /// It passes.
    Passes,
    /// It is skipped.
    Skips,
    /// It can be asked.
    Asked,
    /// Nothing: there is no such scenario.
    Nothing,
}

impl BaselineChange {
    /// What the verdict is as soon as the folder says so.
    #[must_use]
    pub fn word(&self) -> Status {
        match self {
            Self::Fails { .. } => Status::Known,
            Self::Skips => Status::Skip,
            Self::Passes | Self::Asked | Self::Nothing => Status::Pass,
        }
    }
}

/// What a choice of the implementation makes of a line that was written for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The first step that comes to something else.
    pub step: usize,
    /// What it comes to.
    pub got: String,
    /// Which choice that is, in words.
    pub reason: String,
}

/// Who did what is right for his own choices, and was asked what is right for others only, has not failed. What follows
/// was not meant for him.
pub fn excuse(verdict: &mut Verdict, chosen: Option<&Chosen>) {
    let is_so = |chosen: &&Chosen| {
        verdict.first.as_ref().is_some_and(|it| it.step == chosen.step && it.got == chosen.got)
    };
    let Some(Chosen { reason, .. }) = chosen.filter(is_so) else { return };
    if matches!(verdict.word, Status::Fail | Status::Deadlock | Status::Hang | Status::Known) {
        verdict.word = Status::Skip;
        verdict.notes = vec![reason.clone()];
        (verdict.first, verdict.stuck, verdict.mend, verdict.sort) = (None, None, None, None);
        verdict.also.clear();
    }
}

/// Who declares a profile has all of it, but for what the manifest lists; and what it lists it does not have.
pub fn hold_to_its_word(
    verdict: &mut Verdict,
    scenario: &Scenario,
    observed: &Observation,
    manifest: &Manifest,
) {
    let lacks = |name: &str| manifest.lacks.contains_key(name);
    let step = observed.unsupported.as_ref().and_then(|lacking| lacking.step);
    match step.and_then(|step| scenario.steps.get(step)) {
        Some(step) if verdict.word == Status::Skip => {
            let profile = step.verb.profile().word().to_owned();
            let what = step.what();
            let verb = what.split(' ').next().unwrap_or_default();
            if manifest.profiles.contains(&profile) && !lacks(verb) && !lacks(&scenario.id) {
                verdict.word = Status::Error;
                verdict.notes.push(format!(
                    "the manifest declares the profile {profile}: list {verb}, or {}, with its reason under [lacks]",
                    scenario.id
                ));
            }
        }
        _ if verdict.word == Status::Pass && lacks(&scenario.id) => {
            verdict.word = Status::Fixed;
            verdict.mend = Some(BaselineChange::Passes);
            verdict.notes.push(
                "it passes, and the manifest lists it under [lacks]: delete that entry".into(),
            );
        }
        _ => {}
    }
}

/// What is skipped is a list of its own, so that it does not grow unseen.
pub fn hold_to_its_skips(verdict: &mut Verdict, id: &str, skips: Option<&SkipList>, variant: &str) {
    let Some(skips) = skips else { return };
    verdict.sometimes |= skips.says(id, variant) == Some(true);
    let (mend, note) = match (verdict.word, skips.says(id, variant)) {
        (Status::Skip, None) => {
            (BaselineChange::Skips, "it is skipped, and skips.txt does not list it")
        }
        (word, Some(false)) if word != Status::Skip && !word.says_nothing() => {
            (BaselineChange::Asked, "it is not skipped any more, and skips.txt lists it")
        }
        _ => return,
    };
    verdict.word = if mend == BaselineChange::Skips { Status::Error } else { Status::Fixed };
    verdict.notes.push(note.into());
    verdict.mend = Some(mend);
}

/// The fingerprint is the first wrong step, its outcome and the verdict: never a line number. Who fails in one of several
/// ways has an entry for each.
pub(super) fn compare(scenario: &Scenario, verdict: &mut Verdict, known: &[KnownFailure]) {
    let entries = || known.iter().filter(|known| known.scenario == scenario.id);
    let Some(any) = entries().next() else {
        if let Some((step, outcome)) = fails(scenario, verdict) {
            let (verdict_, instead) = (verdict.word, false);
            verdict.mend =
                Some(BaselineChange::Fails { step, outcome, verdict: verdict_, instead });
        }
        return;
    };
    if verdict.word == Status::Pass {
        if entries().all(|entry| entry.sometimes) {
            verdict.sometimes = true;
            verdict.notes.push(format!("fails now and then: {}: {}", any.sort, any.reason));
        } else {
            verdict.word = Status::Fixed;
            verdict.mend = Some(BaselineChange::Passes);
            verdict
                .notes
                .push("it passes, and the manifest says that it fails: delete that entry".into());
        }
        return;
    }
    let word = verdict.word.to_string();
    let (step, outcome) = fingerprint(scenario, verdict);
    if let Some(entry) = entries().find(|entry| entry.is([&step, &outcome, &word])) {
        verdict.word = Status::Known;
        verdict.sometimes = entry.sometimes;
        verdict.sort = Some(entry.sort);
        verdict.notes.insert(0, format!("{}: {}", entry.sort, entry.reason));
        return;
    }
    verdict.notes.push(format!(
        "the manifest knows another failure here: {} => {} ({}); this is {step} => {outcome} ({word})",
        any.step, any.outcome, any.verdict
    ));
    if let Some((step, outcome)) = fails(scenario, verdict) {
        let (verdict_, instead) = (verdict.word, true);
        verdict.mend = Some(BaselineChange::Fails { step, outcome, verdict: verdict_, instead });
    }
}

/// The fingerprint of what can be known to fail.
fn fails(scenario: &Scenario, verdict: &Verdict) -> Option<(String, String)> {
    matches!(verdict.word, Status::Fail | Status::Deadlock | Status::Hang)
        .then(|| fingerprint(scenario, verdict))
}

fn fingerprint(scenario: &Scenario, verdict: &Verdict) -> (String, String) {
    let came = verdict.first.as_ref().map(|first| {
        let step = &scenario.steps[first.step];
        (format!("{} {}", step.task_id, step.what()), first.got.clone())
    });
    came.unwrap_or_else(|| ("trace".into(), "differs".into()))
}
