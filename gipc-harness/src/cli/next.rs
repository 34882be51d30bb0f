//! Suggests the command to type next. Each command of the first hour prints the one that follows it: `doctor`, `run`,
//! `scenarios new`, `check`, `run FILE`, `adapter new`, `adapter check`, `run --adapter`, `matrix`.

use crate::adapter::{EMBEDDED, MODEL};
use crate::program;
use crate::report::console::Console;
use crate::suite::Suite;
use std::path::Path;

/// The names in the commands suggested for a folder that has nothing yet.
const FIRST_SCENARIO: &str = "first.scenario";
const FIRST_ADAPTER: &str = "mine";

/// Prints the command that follows `doctor`.
pub(super) fn after_doctor(suite: &Suite, console: &mut Console) {
    if is_new(suite) {
        print("run", console);
    }
}

/// Prints the command that follows a run of these scenarios, in which everything was as expected on the embedded
/// implementation.
pub(super) fn after_pass(suite: &Suite, names: &[String], console: &mut Console) {
    let has_own_file = names.iter().any(|name| Path::new(name).is_file());
    if is_new(suite) && has_own_file {
        print(&format!("adapter new {FIRST_ADAPTER} --lang python"), console);
    } else if is_new(suite) && !Path::new(FIRST_SCENARIO).exists() {
        print(&format!("scenarios new {FIRST_SCENARIO}"), console);
    }
}

/// Prints the command that follows a run of the whole suite on an adapter, whatever its result.
pub(super) fn after_adapter(suite: &Suite, adapter: &str, console: &mut Console) {
    let is_first = suite.scenarios.is_none() && suite.default_adapter.is_none();
    if is_first && ![EMBEDDED, MODEL].contains(&adapter) {
        print(&format!("matrix --adapter {EMBEDDED} --adapter {adapter} --output matrix"), console);
    }
}

/// Prints the command that follows the check of a scenario file without mistakes.
pub(super) fn after_check(suite: &Suite, names: &[String], console: &mut Console) {
    if let ([name], true) = (names, is_new(suite)) {
        if Path::new(name).is_file() {
            print(&format!("run {}", program::path(Path::new(name))), console);
        }
    }
}

/// Prints a command of this program.
pub(super) fn print(words: &str, console: &mut Console) {
    console.line(&format!("next: {}", program::command(words)));
}

/// Whether the current folder has neither scenarios nor adapters of its own.
fn is_new(suite: &Suite) -> bool {
    suite.scenarios.is_none() && suite.default_adapter.is_none() && !suite.adapters.exists()
}
