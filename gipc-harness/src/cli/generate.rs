//! `completions` and `man`: writes what shells and `man` need to know about the command line.

use super::args::Options;
use crate::error::Error;
use crate::report::console::Console;
use clap::CommandFactory;
use clap_complete::Shell;
use std::fs;
use std::path::Path;

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell, console: &mut Console) -> Result<u8, Error> {
    let mut command = Options::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    console.verbatim(&String::from_utf8_lossy(&text));
    Ok(0)
}

/// Writes a manual page for the program and one for each command.
pub(super) fn man(folder: &Path, console: &mut Console) -> Result<u8, Error> {
    let written = fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Options::command(), folder));
    written.map_err(|error| Error::unwritable(folder, &error))?;
    let page = folder.join(format!("{}.1", Options::command().get_name()));
    console.line(&format!("man {}", crate::program::path(&page)));
    Ok(0)
}
