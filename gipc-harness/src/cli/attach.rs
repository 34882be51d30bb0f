//! `run --strace` and `run --debugger`: a tool that is attached to a process of one run.

use super::run_args::Run;
use crate::adapter::is_in_path;
use crate::error::Error;
use crate::report::console::Console;
use crate::runner::AttachedTool;
use crate::suite_run::SuiteRun;
use std::path::Path;

/// The tool that the flags ask for. Fails if it is not installed, or if the system does not show whether it is attached.
pub(super) fn tool(args: &Run) -> Result<Option<AttachedTool>, Error> {
    let (flag, command, role) = if let Some(file) = &args.strace {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::unwritable(file, &error))?;
        }
        let file = file.display().to_string();
        let words = ["strace", "-q", "-f", "-tt", "-y", "-s", "64", "-o", &file, "-p", "{pid}"];
        ("--strace", words.map(str::to_owned).to_vec(), "main")
    } else if let [command, role] = &args.debugger[..] {
        let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if !command.contains("{pid}") {
            words.extend(["-p".to_owned(), "{pid}".to_owned()]);
        }
        ("--debugger", words, role.as_str())
    } else {
        return Ok(None);
    };
    let program = command.first().map_or("", String::as_str);
    if !program.contains('/') && !is_in_path(program) {
        return Err(Error::unable(format!(
            "error: {flag} needs {program}, which is not in PATH; install it, or write the path of the program"
        )));
    }
    if !Path::new("/proc/self/status").exists() {
        return Err(Error::unable(format!(
            "error: {flag} needs /proc, which says whether the tool is attached"
        )));
    }
    Ok(Some(AttachedTool::new(role, command, flag == "--debugger")))
}

/// Checks that there is one process to which the tool can be attached.
pub(super) fn check(tool: &AttachedTool, run: &SuiteRun) -> Result<(), Error> {
    let [job] = run.jobs() else {
        let count = run.jobs().len();
        return Err(Error::usage(format!(
            "error: a tool is attached to one run, and {count} were asked for; name one scenario"
        )));
    };
    if run.planned() != 1 {
        return Err(Error::usage(
            "error: a tool is attached to one run; leave out --repeat and --for",
        ));
    }
    let mut roles: Vec<&str> =
        job.scenario.steps.iter().map(|step| step.task_id.process.as_str()).collect();
    roles.sort_unstable();
    roles.dedup();
    match roles.contains(&tool.role()) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "error: {} has no process {}; it has {}",
            job.scenario.id,
            tool.role(),
            roles.join(", ")
        ))),
    }
}

/// Waits for the tool, and says where its output is.
pub(super) fn finish(tool: &AttachedTool, args: &Run, console: &mut Console) {
    match (tool.wait(), &args.strace) {
        (None, _) => {
            let role = tool.role();
            console.complain(&format!(
                "{role} was not traced: the tool failed, or the run ended before {role} connected"
            ));
        }
        (Some(_), Some(file)) => console.line(&format!("\n  strace   {}", file.display())),
        (Some(_), None) => {}
    }
}
