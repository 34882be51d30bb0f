//! An implementation as the harness meets it: a manifest, a command, and the failures that are known.
//!
//! Does not know what is right or wrong, nor how a run is conducted.

pub mod transport;
pub mod manifest;
pub mod schema;
pub mod skip_list;

pub use manifest::{
    AfterCancel, DeclaredChoices, FailureSort, KnownFailure, LateGet, Manifest, Spawn,
};

use manifest::DEFAULT;
use skip_list::SkipList;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The adapter that is in the binary.
pub const EMBEDDED: &str = "gipc-core";
/// What performs nothing and predicts.
pub const MODEL: &str = "model";

/// One implementation, ready to be asked.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What is read from `adapter.toml`.
    pub manifest: Manifest,
    /// The folder of the manifest.
    pub here: PathBuf,
    /// What `skips.txt` says, if it is there.
    pub skips: Option<SkipList>,
    /// The name of the variant, `default` without one.
    pub variant: String,
    /// The program and its arguments; the role is added behind them.
    pub command: Vec<String>,
    words: BTreeMap<String, String>,
}

/// Why an adapter cannot be used.
#[derive(Debug)]
pub enum AdapterError {
    /// The manifest is not there, or says what cannot be.
    Bad(String),
    /// What it needs is not on this machine.
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
    /// Finds an adapter by its name below `adapters`, or by the path of its folder or manifest; `@VARIANT` behind it
    /// chooses one.
    ///
    /// `exe` is the harness itself, which carries the embedded one.
    pub fn load(which: &str, adapters: &Path, exe: &Path) -> Result<Self, AdapterError> {
        if which == EMBEDDED {
            let text = include_str!("../../adapters/gipc-core/adapter.toml");
            let manifest = Manifest::parse(text, EMBEDDED)?;
            let command = vec![exe.to_string_lossy().into_owned(), "agent".to_owned()];
            let here = adapters.join(EMBEDDED);
            let skips = include_str!("../../adapters/gipc-core/skips.txt");
            let skips = Some(SkipList::parse(skips, &[DEFAULT], "skips.txt")?);
            let (variant, words) = (DEFAULT.to_owned(), BTreeMap::new());
            return Ok(Self { manifest, here, skips, variant, command, words });
        }
        let (name, variant) = match which.rsplit_once('@') {
            Some((name, variant)) if !Path::new(which).exists() => (name, Some(variant)),
            _ => (which, None),
        };
        let path = Path::new(name);
        let file = if path.is_file() {
            path.to_owned()
        } else if path.is_dir() {
            path.join("adapter.toml")
        } else {
            adapters.join(name).join("adapter.toml")
        };
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(&file).map_err(|error| {
            AdapterError::Bad(format!(
                "cannot read adapter {name}: {shown}: {error}; adapters here are {}",
                names(adapters).join(", ")
            ))
        })?;
        let manifest = Manifest::parse(&text, &shown)?.choose(variant, &shown)?;
        let skips = read_skips(&file.with_file_name("skips.txt"), &manifest)?;
        let here = file.parent().unwrap_or(Path::new(".")).to_owned();
        let here = here.canonicalize().unwrap_or(here);
        let own = [
            ("here", here.to_string_lossy().into_owned()),
            ("variant", variant.map(|name| format!("@{name}")).unwrap_or_default()),
        ];
        let own = own.map(|(name, word)| (name.to_owned(), word));
        let mut words = BTreeMap::from(own);
        // Those of the manifest may be made of these.
        let given = manifest.words.iter().map(|(name, word)| (name.clone(), fill(word, &words)));
        words.extend(given.collect::<Vec<_>>());
        let command = manifest.command.iter().map(|word| fill(word, &words)).collect::<Vec<_>>();
        if command.is_empty() {
            return Err(AdapterError::Bad(format!(
                "{shown}: `command` is missing: the program to start"
            )));
        }
        let variant = variant.unwrap_or(DEFAULT).to_owned();
        Ok(Self { manifest, here, skips, variant, command, words })
    }

    /// Whether it declares a profile; one that declares none leaves it open.
    pub fn has(&self, profile: &str) -> bool {
        let declared = &self.manifest.profiles;
        declared.is_empty() || declared.iter().any(|name| name == profile)
    }

    /// Whether what it needs is there; if not, what to type.
    pub fn ready(&self) -> Result<(), AdapterError> {
        for need in &self.manifest.needs {
            let need = fill(need, &self.words);
            let found = match need.contains('/') {
                true => Path::new(&need).exists(),
                false => is_program(&need),
            };
            if !found {
                let name = &self.manifest.name;
                return Err(AdapterError::Absent(match self.manifest.setup.is_empty() {
                    true => format!("{name} cannot run here: there is no {need}"),
                    false => format!(
                        "{name} is not set up: {need} is missing; run `cargo harness adapter setup {name}`"
                    ),
                }));
            }
        }
        Ok(())
    }

    /// The commands of `adapter setup`, ready to be run one after the other.
    pub fn setup(&self) -> Vec<Vec<String>> {
        let fill = |word: &String| fill(word, &self.words);
        self.manifest.setup.iter().map(|command| command.iter().map(fill).collect()).collect()
    }
}

/// Reads `skips.txt`; who has none is not held to any.
fn read_skips(file: &Path, manifest: &Manifest) -> Result<Option<SkipList>, AdapterError> {
    let shown = file.display().to_string();
    let variants = manifest.variant.iter().map(|variant| variant.name.as_str());
    let variants: Vec<&str> = [DEFAULT].into_iter().chain(variants).collect();
    match std::fs::read_to_string(file) {
        Ok(text) => SkipList::parse(&text, &variants, &shown).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AdapterError::Bad(format!("cannot read {shown}: {error}"))),
    }
}

/// Puts words in the place of their `{names}`.
fn fill(text: &str, words: &BTreeMap<String, String>) -> String {
    words
        .iter()
        .fold(text.to_owned(), |text, (name, word)| text.replace(&format!("{{{name}}}"), word))
}

/// Whether a program of this name is on the path.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// The names of all adapters that can be asked for.
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
