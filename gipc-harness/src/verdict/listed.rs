//! What the folder of an adapter says beforehand, held against what came: failures that are known, what is lacking, what
//! is skipped. It may say too little and too much.

use super::{Verdict, Word};
use crate::adapter::{Known, Manifest, skips::Skips};
use crate::scenario::Scenario;
use crate::trace::Observed;

/// What the folder would have to say of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// It fails, with this fingerprint.
    Fails {
        /// The first wrong step.
        step: String,
        /// What it comes to.
        outcome: String,
        /// What that is.
        verdict: Word,
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

impl Mend {
    /// What the verdict is as soon as the folder says so.
    #[must_use]
    pub fn word(&self) -> Word {
        match self {
            Self::Fails { .. } => Word::Known,
            Self::Skips => Word::Skip,
            Self::Passes | Self::Asked | Self::Nothing => Word::Pass,
        }
    }
}

/// Who declares a profile has all of it, but for what the manifest lists; and what it lists it does not have.
pub fn hold_to_its_word(
    verdict: &mut Verdict,
    scenario: &Scenario,
    observed: &Observed,
    manifest: &Manifest,
) {
    let lacks = |name: &str| manifest.lacks.contains_key(name);
    let step = observed.unsupported.as_ref().and_then(|lacking| lacking.step);
    match step.and_then(|step| scenario.steps.get(step)) {
        Some(step) if verdict.word == Word::Skip => {
            let profile = step.verb.profile().word().to_owned();
            let what = step.what();
            let verb = what.split(' ').next().unwrap_or_default();
            if manifest.profiles.contains(&profile) && !lacks(verb) && !lacks(&scenario.id) {
                verdict.word = Word::Error;
                verdict.notes.push(format!(
                    "the manifest declares the profile {profile}: list {verb}, or {}, with its reason under [lacks]",
                    scenario.id
                ));
            }
        }
        _ if verdict.word == Word::Pass && lacks(&scenario.id) => {
            verdict.word = Word::Fixed;
            verdict.mend = Some(Mend::Passes);
            verdict.notes.push(
                "it passes, and the manifest lists it under [lacks]: delete that entry".into(),
            );
        }
        _ => {}
    }
}

/// What is skipped is a list of its own, so that it does not grow unseen.
pub fn hold_to_its_skips(verdict: &mut Verdict, id: &str, skips: Option<&Skips>, variant: &str) {
    let Some(skips) = skips else { return };
    let (mend, note) = match (verdict.word, skips.says(id, variant)) {
        (Word::Skip, None) => (Mend::Skips, "it is skipped, and skips.txt does not list it"),
        (word, Some(false)) if word != Word::Skip && !word.says_nothing() => {
            (Mend::Asked, "it is not skipped any more, and skips.txt lists it")
        }
        _ => return,
    };
    verdict.word = if mend == Mend::Skips { Word::Error } else { Word::Fixed };
    verdict.notes.push(note.into());
    verdict.mend = Some(mend);
}

/// The fingerprint is the first wrong step, its outcome and the verdict: never a line number.
pub(super) fn compare(scenario: &Scenario, verdict: &mut Verdict, known: &[Known]) {
    let entry = known.iter().find(|known| known.scenario == scenario.id);
    if verdict.word == Word::Pass {
        let Some(entry) = entry else { return };
        if entry.sometimes {
            verdict.notes.push(format!("fails now and then: {}", entry.reason));
        } else {
            verdict.word = Word::Fixed;
            verdict.mend = Some(Mend::Passes);
            verdict
                .notes
                .push("it passes, and the manifest says that it fails: delete that entry".into());
        }
        return;
    }
    let came = verdict.first.as_ref().map(|first| {
        let step = &scenario.steps[first.step];
        (format!("{} {}", step.lane, step.what()), first.got.clone())
    });
    let (step, outcome) = came.unwrap_or_else(|| ("trace".into(), "differs".into()));
    if matches!(verdict.word, Word::Fail | Word::Deadlock | Word::Hang) {
        let (step, outcome, verdict_, instead) =
            (step.clone(), outcome.clone(), verdict.word, entry.is_some());
        verdict.mend = Some(Mend::Fails { step, outcome, verdict: verdict_, instead });
    }
    let Some(entry) = entry else { return };
    if entry.step == step && entry.outcome == outcome && entry.verdict == verdict.word.to_string() {
        verdict.word = Word::Known;
        verdict.mend = None;
        verdict.notes.insert(0, entry.reason.clone());
    } else {
        verdict.notes.push(format!(
            "the manifest knows another failure here: {} => {} ({}); this is {step} => {outcome} ({})",
            entry.step, entry.outcome, entry.verdict, verdict.word
        ));
    }
}
