//! `gipc-harness.toml`: the folders of a project, its adapter, and default flags for its commands.

use super::is_suite;
use crate::error::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the file.
const FILE_NAME: &str = "gipc-harness.toml";

/// The flags of one command: the name of each flag without its dashes, and its value.
pub type Flags = toml::Table;

/// The content of a `gipc-harness.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProjectFile {
    /// The path of the file.
    #[serde(skip)]
    pub path: PathBuf,
    /// The folder with the project's own scenarios, relative to the file; the built-in suite if left out.
    pub scenarios: Option<PathBuf>,
    /// The folder with adapters, relative to the file; `adapters` if left out.
    pub adapters: Option<PathBuf>,
    /// The adapter that runs if none is named.
    pub adapter: Option<String>,
    /// The default flags of each command. Flags on the command line replace them.
    #[serde(default)]
    pub flags: CommandFlags,
    /// Further flags, for `--preset NAME`.
    #[serde(default)]
    pub preset: BTreeMap<String, CommandFlags>,
}

/// The flags of the commands that run scenarios.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandFlags {
    /// Flags of `check`.
    pub check: Flags,
    /// Flags of `explore`.
    pub explore: Flags,
    /// Flags of `matrix`.
    pub matrix: Flags,
    /// Flags of `run`.
    pub run: Flags,
}

impl CommandFlags {
    /// The flags of a command; `None` for a command that cannot have any in the file.
    fn of(&self, command: &str) -> Option<&Flags> {
        match command {
            "check" => Some(&self.check),
            "explore" => Some(&self.explore),
            "matrix" => Some(&self.matrix),
            "run" => Some(&self.run),
            _ => None,
        }
    }
}

impl ProjectFile {
    /// Reads the nearest `gipc-harness.toml`, in this folder or above it. `None` if there is no such file, or if an exported
    /// suite is nearer.
    ///
    /// Fails if the file cannot be read.
    pub fn nearest(folder: &Path) -> Result<Option<Self>, Error> {
        for folder in folder.ancestors() {
            let path = folder.join(FILE_NAME);
            if path.is_file() {
                return Self::read(path).map(Some);
            }
            if is_suite(&folder.join("scenarios")) {
                break;
            }
        }
        Ok(None)
    }

    fn read(path: PathBuf) -> Result<Self, Error> {
        let shown = path.display();
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::usage(format!("error: cannot read {shown}: {error}")))?;
        let file: Self = toml::from_str(&text).map_err(|error| {
            Error::usage(format!(
                "error: {shown}: {}\n  it may set scenarios, adapters, adapter, flags.COMMAND and preset.NAME.COMMAND, where the command is check, explore, matrix or run",
                error.to_string().trim_end()
            ))
        })?;
        Ok(Self { path, ..file })
    }

    /// The flags of a command, combined with those of a preset, which replace flags of the same name.
    ///
    /// Fails if there is no such preset.
    pub fn flags_of(&self, command: &str, preset: Option<&str>) -> Result<Flags, Error> {
        let mut flags = self.flags.of(command).cloned().unwrap_or_default();
        if let Some(name) = preset {
            let preset = self.preset.get(name).ok_or_else(|| self.no_preset(name))?;
            flags.extend(preset.of(command).cloned().unwrap_or_default());
        }
        Ok(flags)
    }

    fn no_preset(&self, name: &str) -> Error {
        let names: Vec<&str> = self.preset.keys().map(String::as_str).collect();
        let existing = match names.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", names.join(", ")),
        };
        Error::usage(format!("error: {} has no preset {name}; {existing}", self.path.display()))
    }
}
