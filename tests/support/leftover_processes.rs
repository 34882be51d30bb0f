//! Finds the processes and files that a run of the harness left behind. The run must have had a temporary directory of
//! its own: the value of `TMPDIR` identifies its processes.

use std::fs;
use std::path::Path;

/// The command lines of all processes that were started with this temporary directory. Zombies are not found, since
/// they have no environment; only their parent can reap them.
pub(crate) fn processes(folder: &Path) -> Vec<String> {
    let variable = format!("TMPDIR={}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|other| other == variable.as_bytes()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

/// The paths of all files and folders in the temporary directory.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the temporary directory").flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
