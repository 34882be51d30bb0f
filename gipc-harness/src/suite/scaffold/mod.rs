//! `adapter new` and `scenarios new`: generate the files of a new adapter, and a first scenario. In a language with a kit,
//! the new adapter passes `adapter check` unchanged. In any other language it consists of a manifest and a walk-through.
//!
//! The templates are the files beside this one. `NAME` in them stands for the name of the adapter.

use super::Suite;
use super::embedded::{NODE_KIT, PYTHON_KIT, RUST_KIT, export_kit};
use crate::error::Error;
use crate::program;
use std::fs;
use std::path::{Path, PathBuf};

/// The language of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python, with the kit `adapters/kit/python`.
    Python,
    /// JavaScript for Node, with the kit `adapters/kit/node`.
    Node,
    /// Rust, with the crate gipc-agent, `adapters/kit/rust`.
    Rust,
    /// A language without a kit: the files are a manifest, and the stages in which to write the agent.
    Other,
}

impl Language {
    /// The name of the folder of the kit, and its files; `None` if there is no kit.
    fn kit(self) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        match self {
            Self::Python => Some(("python", PYTHON_KIT)),
            Self::Node => Some(("node", NODE_KIT)),
            Self::Rust => Some(("rust", RUST_KIT)),
            Self::Other => None,
        }
    }

    /// The templates, by their paths in the folder of the adapter.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Python => &[
                ("adapter.toml", include_str!("python/adapter.toml")),
                ("agent.py", include_str!("python/agent.py")),
            ],
            Self::Node => &[
                ("adapter.toml", include_str!("node/adapter.toml")),
                ("agent.mjs", include_str!("node/agent.mjs")),
            ],
            Self::Rust => &[
                ("adapter.toml", include_str!("rust/adapter.toml")),
                ("Cargo.toml", include_str!("rust/cargo.txt")),
                ("src/main.rs", include_str!("rust/main.txt")),
                (".gitignore", "/target/\n"),
            ],
            Self::Other => &[
                ("adapter.toml", include_str!("other/adapter.toml")),
                ("WALKTHROUGH.md", include_str!("other/WALKTHROUGH.md")),
            ],
        }
    }
}

/// Writes the files of a new adapter into a new folder beside the other adapters, and the kit of its language unless it is
/// there. Returns the paths of the files, and of the kit if it was written.
///
/// Fails if the name is not valid, if the folder exists, or if a file cannot be written.
pub fn scaffold(suite: &Suite, name: &str, language: Language) -> Result<Vec<PathBuf>, Error> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_plain) {
        return Err(Error::usage(format!(
            "error: {name:?} is not a name for an adapter: lower-case letters, digits and -, beginning with a letter"
        )));
    }
    let folder = suite.adapters.join(name);
    if folder.exists() {
        let shown = folder.display();
        return Err(Error::usage(format!("error: {shown} exists already: choose another name")));
    }
    let mut paths = Vec::new();
    if let Some((kit, files)) = language.kit() {
        paths.extend(export_kit(&suite.adapters, kit, files)?);
    }
    let commands = [
        ("CHECK_COMMAND", program::command(&format!("adapter check {name}"))),
        ("RUN_COMMAND", program::command(&format!("run --adapter {name}"))),
        ("EXPORT_COMMAND", program::command("scenarios export DIR")),
    ];
    for (file, text) in language.files() {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
        let text = commands
            .iter()
            .fold((*text).to_owned(), |text, (word, command)| text.replace(word, command));
        let written =
            fs::create_dir_all(parent).and_then(|()| fs::write(&path, text.replace("NAME", name)));
        written.map_err(|error| Error::unwritable(&path, &error))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Writes a scenario of ten lines into a new file.
///
/// Fails if the file exists or cannot be written.
pub fn scaffold_scenario(file: &Path) -> Result<(), Error> {
    if file.exists() {
        let shown = file.display();
        return Err(Error::usage(format!("error: {shown} exists already: choose another name")));
    }
    fs::write(file, include_str!("first.scenario")).map_err(|error| Error::unwritable(file, &error))
}
