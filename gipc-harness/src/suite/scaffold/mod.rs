//! `adapter new` and `scenarios new`: generate the files of a new adapter, which pass `adapter check` unchanged, and a first
//! scenario.
//!
//! The templates are the files beside this one, in which `NAME` stands for the name of the adapter.

use super::Suite;
use super::embedded::{NODE_KIT, PYTHON_KIT, RUST_KIT, export_kit};
use crate::error::Error;
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
}

impl Language {
    /// The name of the folder of the kit, and its files.
    fn kit(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::Python => ("python", PYTHON_KIT),
            Self::Node => ("node", NODE_KIT),
            Self::Rust => ("rust", RUST_KIT),
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
            "error: {name:?} is no name of an adapter: small letters, digits and -, a letter first"
        )));
    }
    let folder = suite.adapters.join(name);
    if folder.exists() {
        let shown = folder.display();
        return Err(Error::usage(format!("error: {shown} is there already: choose another name")));
    }
    let (kit, kit_files) = language.kit();
    let mut paths: Vec<PathBuf> =
        export_kit(&suite.adapters, kit, kit_files)?.into_iter().collect();
    for (file, text) in language.files() {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
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
        return Err(Error::usage(format!("error: {shown} is there already: choose another name")));
    }
    fs::write(file, include_str!("first.scenario")).map_err(|error| Error::unwritable(file, &error))
}
