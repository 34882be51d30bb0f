//! One implementation as the harness sees it: the manifest, the command that starts it, and the failures and skips that are
//! known.
//!
//! This module loads adapters. It does not judge outcomes or execute scenarios.

pub mod transport;
pub mod manifest;
pub mod schema;
pub mod skip_list;
mod choices;
mod keeps;
mod known_failures;

pub use choices::{AfterCancel, DeclaredChoices, FromThread, LateGet, Spawn, Unjoined};
pub use keeps::Keeps;
pub use known_failures::{FailureSort, KnownFailure};
pub use manifest::Manifest;

use crate::process_role::{AGENT, EMBEDDED_AGENT, has_agent};
use crate::program;
use crate::similar::closest;
use manifest::DEFAULT;
use skip_list::SkipList;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The name of the adapter whose agent is part of the harness binary.
pub const EMBEDDED: &str = "gipc-core";
/// The name that selects the model instead of an implementation: the run only predicts and executes nothing.
pub const MODEL: &str = "model";

/// An adapter, loaded from its folder.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The manifest, with the changes of the selected variant.
    pub manifest: Manifest,
    /// The adapter as the command line gave it: a name or a path.
    pub asked: String,
    /// The folder of the manifest.
    pub here: PathBuf,
    /// The content of `skips.txt`, if there is such a file.
    pub skips: Option<SkipList>,
    /// The name of the selected variant; `default` without one.
    pub variant: String,
    /// The program of the agent and its arguments. The role of the process must be added as the last argument.
    pub command: Vec<String>,
    /// The values for `{NAME}` in the manifest.
    words: BTreeMap<String, String>,
}

/// Why an adapter cannot be used.
#[derive(Debug)]
pub enum AdapterError {
    /// The manifest or the skip list is missing or invalid.
    Bad(String),
    /// Something that the adapter needs is missing on this machine.
    Absent(String),
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Bad(text) | Self::Absent(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for AdapterError {}

impl Adapter {
    /// Loads an adapter by its name below `adapters`, or by the path of its folder or manifest. `@VARIANT` after it
    /// selects a variant. `exe` is the harness program, which contains the embedded adapter.
    pub fn load(which: &str, adapters: &Path, exe: &Path) -> Result<Self, AdapterError> {
        let embedded = which.strip_prefix(EMBEDDED);
        if let Some(variant) = embedded.filter(|rest| rest.is_empty() || rest.starts_with('@')) {
            return Self::embedded(variant.strip_prefix('@'), adapters, exe);
        }
        let (name, variant) = match which.rsplit_once('@') {
            Some((name, variant)) if !Path::new(which).exists() => (name, Some(variant)),
            _ => (which, None),
        };
        let file = manifest_file(name, adapters);
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let names = names(adapters);
            let meant = closest(name, names.iter().map(String::as_str));
            let meant = meant.map_or(String::new(), |name| format!("is it {name}? "));
            let names = names.join(", ");
            AdapterError::Bad(format!(
                "cannot read adapter {name}: {shown}: {error}; {meant}adapters here are {names}; `--adapters DIR` names another folder"
            ))
        })?;
        let manifest = Manifest::parse(&text, &shown)?.choose(variant, &shown)?;
        let skips = read_skips(&file.with_file_name("skips.txt"), &manifest)?;
        let here = file.parent().unwrap_or(Path::new(".")).to_owned();
        let here = here.canonicalize().unwrap_or(here);
        let mut words = BTreeMap::from([
            ("here".to_owned(), here.to_string_lossy().into_owned()),
            ("variant".to_owned(), variant.map(|name| format!("@{name}")).unwrap_or_default()),
        ]);
        // The words of the manifest may contain the two built-in ones.
        let declared = manifest.words.iter().map(|(name, word)| (name.clone(), fill(word, &words)));
        words.extend(declared.collect::<Vec<_>>());
        let mut command: Vec<String> =
            manifest.command.iter().map(|word| fill(word, &words)).collect();
        if command.is_empty() && has_agent() {
            command = vec![exe.to_string_lossy().into_owned(), AGENT.to_owned()];
        }
        if command.is_empty() {
            return Err(AdapterError::Bad(format!(
                "{shown}: `command` is missing: the program to start"
            )));
        }
        let variant = variant.unwrap_or(DEFAULT).to_owned();
        let asked = which.to_owned();
        Ok(Self { manifest, asked, here, skips, variant, command, words })
    }

    /// The adapter whose manifest and agent are part of the harness binary, or a variant of it.
    fn embedded(variant: Option<&str>, adapters: &Path, exe: &Path) -> Result<Self, AdapterError> {
        let text = include_str!("../../adapters/gipc-core/adapter.toml");
        let skips = include_str!("../../adapters/gipc-core/skips.txt");
        let manifest = Manifest::parse(text, EMBEDDED)?;
        let skips = SkipList::parse(skips, &manifest.variant_names(), "skips.txt")?;
        let manifest = manifest.choose(variant, EMBEDDED)?;
        Ok(Self {
            asked: manifest.name.clone(),
            manifest,
            here: adapters.join(EMBEDDED),
            skips: Some(skips),
            variant: variant.unwrap_or(DEFAULT).to_owned(),
            command: vec![exe.to_string_lossy().into_owned(), EMBEDDED_AGENT.to_owned()],
            words: BTreeMap::new(),
        })
    }

    /// The adapter whose agent is a function of this program. It has no manifest and declares nothing, so its agent may
    /// answer `unsupported` to anything.
    ///
    /// Fails if the program has no agent.
    pub fn of_this_program(name: &str) -> Result<Self, AdapterError> {
        let exe =
            std::env::current_exe().map_err(|error| AdapterError::Absent(error.to_string()))?;
        if !has_agent() {
            return Err(AdapterError::Absent(format!(
                "{name} has no agent: this program did not call gipc_harness::init_with_agent"
            )));
        }
        let text = format!("name = {name:?}\nlanguage = \"Rust\"\n");
        Ok(Self {
            manifest: Manifest::parse(&text, name)?,
            asked: name.to_owned(),
            here: std::env::current_dir().unwrap_or_default(),
            skips: None,
            variant: DEFAULT.to_owned(),
            command: vec![exe.to_string_lossy().into_owned(), AGENT.to_owned()],
            words: BTreeMap::new(),
        })
    }

    /// Whether the adapter supports a profile. An adapter that declares no profiles may support any of them.
    pub fn has(&self, profile: &str) -> bool {
        let declared = &self.manifest.profiles;
        declared.is_empty() || declared.iter().any(|name| name == profile)
    }

    /// Checks whether everything that the adapter needs exists on this machine. The error says what is missing and how
    /// to set it up.
    pub fn ready(&self) -> Result<(), AdapterError> {
        let name = &self.manifest.name;
        let needs = self.manifest.needs.iter().map(|need| fill(need, &self.words));
        for need in needs.chain(self.command.first().cloned()) {
            let exists =
                if need.contains('/') { Path::new(&need).exists() } else { is_in_path(&need) };
            if exists {
                continue;
            }
            return Err(AdapterError::Absent(if self.manifest.setup.is_empty() {
                format!("{name} cannot run here: there is no {need}")
            } else {
                let setup = program::command(&format!("adapter setup {}", self.asked));
                format!("{name} is not set up: {need} is missing; run `{setup}`")
            }));
        }
        Ok(())
    }

    /// The commands of `adapter setup`, with all words filled in, in the order in which they must run.
    pub fn setup(&self) -> Vec<Vec<String>> {
        let fill = |word: &String| fill(word, &self.words);
        self.manifest.setup.iter().map(|command| command.iter().map(fill).collect()).collect()
    }
}

/// The file of a manifest that was given as a file, a folder, or a name below `adapters`.
fn manifest_file(name: &str, adapters: &Path) -> PathBuf {
    let path = Path::new(name);
    if path.is_file() {
        path.to_owned()
    } else if path.is_dir() {
        path.join("adapter.toml")
    } else {
        adapters.join(name).join("adapter.toml")
    }
}

/// Reads `skips.txt`. `None` if there is no such file.
fn read_skips(file: &Path, manifest: &Manifest) -> Result<Option<SkipList>, AdapterError> {
    let shown = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => SkipList::parse(&text, &manifest.variant_names(), &shown).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AdapterError::Bad(format!("cannot read {shown}: {error}"))),
    }
}

/// Replaces each `{NAME}` in a text by its word.
fn fill(text: &str, words: &BTreeMap<String, String>) -> String {
    words
        .iter()
        .fold(text.to_owned(), |text, (name, word)| text.replace(&format!("{{{name}}}"), word))
}

/// Whether a program with this name is in PATH.
#[must_use]
pub fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// The names of all adapters below `adapters`, of the embedded adapter and of the model, sorted.
pub fn names(adapters: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(adapters)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("adapter.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.push(EMBEDDED.to_owned());
    names.push(MODEL.to_owned());
    names.sort();
    names.dedup();
    names
}
