//! What is left of a run that had a temporary directory of its own: everything that belongs to it is told by that.

use std::fs;
use std::path::Path;

/// The processes that were started with this temporary directory, but for zombies: those are not ours to reap.
pub(crate) fn processes(folder: &Path) -> Vec<String> {
    let mark = format!("TMPDIR={}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("linux").flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

/// The files and folders in it.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a directory").flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
