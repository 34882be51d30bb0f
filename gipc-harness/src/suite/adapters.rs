//! The adapters of the suite: finds them by name, and refuses a manifest that names something that does not exist.

use super::Suite;
use crate::adapter::skip_list::SkipList;
use crate::adapter::{self, Adapter, AdapterError, MODEL};
use crate::error::Error;
use crate::scenario::VERBS;
use crate::verdict::FURTHER_WORDS;
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Suite {
    /// Loads an adapter that can run here, by its name or path, followed by `@VARIANT` for a variant of it.
    pub fn adapter(&self, name: &str) -> Result<Adapter, Error> {
        let adapter = self.load_adapter(name)?;
        self.check_vocabulary(&adapter)?;
        adapter.ready()?;
        Ok(adapter)
    }

    /// Loads an adapter in the same way, whether or not it can run here.
    pub fn load_adapter(&self, name: &str) -> Result<Adapter, AdapterError> {
        if let Some(own) = self.own_adapter.as_ref().filter(|own| own.manifest.name == name) {
            return Ok(own.clone());
        }
        let exe = own_program().map_err(|error| AdapterError::Absent(error.to_string()))?;
        Adapter::load(name, &self.adapters, &exe)
    }

    /// The names of the adapters in the suite's folder, without their variants.
    #[must_use]
    pub fn adapter_names(&self) -> Vec<String> {
        adapter::names(&self.adapters)
    }

    /// The adapters with these names. If none is named, all that are here, without the model. `NAME@*` is an adapter with
    /// all its variants.
    pub fn adapters_named(&self, names: &[String]) -> Result<Vec<String>, Error> {
        if names.is_empty() {
            let all = self.adapter_names().into_iter();
            return Ok(all.filter(|name| name != MODEL).collect());
        }
        let mut found = Vec::new();
        for word in names {
            let Some(name) = word.strip_suffix("@*") else {
                found.push(word.clone());
                continue;
            };
            let variants = self.load_adapter(name)?.manifest.variant;
            found.push(name.to_owned());
            found.extend(variants.iter().map(|variant| format!("{name}@{}", variant.name)));
        }
        Ok(found)
    }

    /// The scenarios that an adapter's folder names and the suite does not have. Only the themes of the suite are checked,
    /// since a folder of other scenarios has other themes.
    pub fn stale_scenarios(&self, adapter: &Adapter) -> Result<Vec<String>, Error> {
        let existing: BTreeSet<String> =
            self.select(&[])?.into_iter().map(|file| file.id).collect();
        let theme = |id: &str| id.split_once('/').map(|(theme, _)| format!("{theme}/"));
        let themes: BTreeSet<String> = existing.iter().filter_map(|id| theme(id)).collect();
        let manifest = &adapter.manifest;
        let known = manifest.known.iter().flat_map(|known| &known.scenarios).map(String::as_str);
        let listed = known.chain(manifest.lacks.keys().map(String::as_str));
        let listed = listed.chain(adapter.skips.iter().flat_map(SkipList::ids));
        let is_stale = |id: &&str| {
            theme(id).is_some_and(|theme| themes.contains(&theme)) && !existing.contains(*id)
        };
        let stale: BTreeSet<String> = listed.filter(is_stale).map(str::to_owned).collect();
        Ok(stale.into_iter().collect())
    }
}

impl Suite {
    /// Refuses a manifest that names a profile or a verb that does not exist.
    pub(crate) fn check_vocabulary(&self, adapter: &Adapter) -> Result<(), Error> {
        let (manifest, mut profiles, mut verbs) = (&adapter.manifest, Vec::new(), Vec::new());
        for (usage, profile) in VERBS {
            if !profiles.contains(&profile.word()) {
                profiles.push(profile.word());
            }
            verbs.push(usage.split(' ').next().unwrap_or_default());
        }
        verbs.extend(FURTHER_WORDS);
        verbs.sort_unstable();
        verbs.dedup();
        let unknown = |what: &str, word: &str, existing: &[&str]| {
            let file = adapter.here.join("adapter.toml");
            let existing = existing.join(", ");
            Error::usage(format!(
                "error: {}: {word} is no {what}; there are {existing}",
                file.display()
            ))
        };
        if let Some(word) = manifest.profiles.iter().find(|word| !profiles.contains(&word.as_str()))
        {
            return Err(unknown("profile", word, &profiles));
        }
        let is_profile = |word: &&String| profiles.contains(&word.as_str());
        let is_known = |word: &&String| {
            word.contains('/') || verbs.contains(&word.as_str()) || is_profile(word)
        };
        if let Some(word) = manifest.lacks.keys().find(|word| !is_known(word)) {
            return Err(unknown("verb, profile or scenario (in `lacks`)", word, &verbs));
        }
        let is_declared = |word: &&String| is_profile(word) && manifest.profiles.contains(word);
        match manifest.lacks.keys().find(is_declared) {
            Some(profile) => Err(Error::usage(format!(
                "error: {}: the profile {profile} is declared, and listed under [lacks]",
                adapter.here.join("adapter.toml").display()
            ))),
            None => Ok(()),
        }
    }
}

/// The path of this program. If the system does not know it (Linux without `/proc`), it is found in the way of the shell.
pub fn own_program() -> Result<PathBuf, Error> {
    std::env::current_exe().or_else(|error| typed_program().ok_or(error)).map_err(|error| {
        Error::unable(format!("error: where is this program? {error}; type its whole path"))
    })
}

fn typed_program() -> Option<PathBuf> {
    let typed = PathBuf::from(std::env::args_os().next()?);
    if typed.components().count() > 1 {
        return typed.canonicalize().ok();
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(&typed)).find(|path| path.is_file())
}
