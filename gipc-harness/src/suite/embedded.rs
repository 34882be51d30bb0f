//! The scenarios and the kits inside the program, so that no other file is needed.

include!(concat!(env!("OUT_DIR"), "/embedded_files.rs"));

use super::{EXTENSION, MARKER};
use crate::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The scenarios: the path below the suite's folder, and the text. Sorted by path.
pub(super) fn scenarios() -> impl Iterator<Item = (&'static str, &'static str)> {
    let suffix = format!(".{EXTENSION}");
    SCENARIOS.iter().copied().filter(move |(path, _)| path.ends_with(&suffix))
}

/// Writes the suite into a new folder: the scenarios, and the page of the language that marks the folder as a suite.
/// Returns how many files were written.
///
/// Fails if the folder exists and is not empty, or if a file cannot be written.
pub fn export(folder: &Path) -> Result<usize, Error> {
    let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        let shown = folder.display();
        return Err(Error::usage(format!("error: {shown} is not empty: name a new folder")));
    }
    debug_assert!(
        SCENARIOS.iter().any(|(path, text)| *path == "README.md" && text.starts_with(MARKER))
    );
    write_all(folder, SCENARIOS)?;
    Ok(SCENARIOS.len())
}

/// Writes a kit into the folder `kit` beside adapters, unless it is there. Returns the folder if it was written.
pub(super) fn export_kit(
    adapters: &Path,
    name: &str,
    files: &[(&str, &str)],
) -> Result<Option<PathBuf>, Error> {
    let folder = adapters.join("kit").join(name);
    if folder.exists() {
        return Ok(None);
    }
    // Cargo leaves a folder with a `Cargo.toml` out of a package, so the manifest is kept under another name.
    let renamed =
        |path: &str| if path == "cargo.txt" { "Cargo.toml".into() } else { path.to_owned() };
    let files: Vec<_> = files.iter().map(|(path, text)| (renamed(path), *text)).collect();
    write_all(&folder, &files)?;
    Ok(Some(folder))
}

fn write_all<P: AsRef<Path>>(folder: &Path, files: &[(P, &str)]) -> Result<(), Error> {
    for (path, text) in files {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&file, text));
        written.map_err(|error| Error::unwritable(&file, &error))?;
    }
    Ok(())
}
