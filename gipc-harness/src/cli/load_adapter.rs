//! Mismatch an adapter that can be asked, and refusing one that speaks of what there is not.
//!
//! What it says beside that is read by the adapter's own room.

use super::suite_files::Suite;
use super::{CommandError, own_program};
use crate::adapter::Adapter;
use crate::scenario::VERBS;

/// An adapter that can be asked.
pub(super) fn load(suite: &Suite, name: &str) -> Result<Adapter, CommandError> {
    let adapter = Adapter::load(name, &suite.adapters, &own_program()?)?;
    understood(&adapter)?;
    adapter.ready()?;
    Ok(adapter)
}

/// Whether a manifest speaks of profiles and verbs that there are.
fn understood(adapter: &Adapter) -> Result<(), CommandError> {
    let (manifest, mut profiles, mut verbs) = (&adapter.manifest, Vec::new(), Vec::new());
    for (spelling, profile) in VERBS {
        profiles.push(profile.word());
        verbs.push(spelling.split(' ').next().unwrap_or_default());
    }
    profiles.dedup();
    verbs.dedup();
    let strange = |what: &str, word: &str, there: &[&str]| {
        let file = adapter.here.join("adapter.toml");
        let there = there.join(", ");
        CommandError::usage(format!(
            "error: {}: {word} is no {what}; there are {there}",
            file.display()
        ))
    };
    if let Some(word) = manifest.profiles.iter().find(|word| !profiles.contains(&word.as_str())) {
        return Err(strange("profile", word, &profiles));
    }
    let is_verb = |word: &&String| word.contains('/') || verbs.contains(&word.as_str());
    match manifest.lacks.keys().find(|word| !is_verb(word)) {
        Some(word) => Err(strange("verb or scenario (in `lacks`)", word, &verbs)),
        None => Ok(()),
    }
}
