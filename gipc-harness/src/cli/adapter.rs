//! `adapter list`, `setup`, `check`, `new` and `schema`.

use super::args::{AdapterCommand, Lang};
use super::interrupt;
use super::next;
use crate::adapter::{Adapter, AdapterError, MODEL, schema};
use crate::error::Error;
use crate::program;
use crate::report::console::Console;
use crate::report::{ScenarioReport, in_flight, terminal};
use crate::runner::{Event, EventKind, Events};
use crate::suite::Suite;
use crate::suite::scaffold::scaffold;
use crate::suite_run::{ContractCheck, QuestionResult};
use crate::verdict::Status;
use gipc_agent::{FromAgent, ToAgent};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) fn adapter(
    suite: &Suite,
    command: AdapterCommand,
    console: &mut Console,
) -> Result<u8, Error> {
    match command {
        AdapterCommand::List => Ok(list(suite, console)),
        AdapterCommand::Setup { name } => setup(suite, &name, console),
        AdapterCommand::Check { name } => check(suite, &name, console),
        AdapterCommand::New { name, lang } => new(suite, &name, lang, console),
        AdapterCommand::Schema { folder } => write_schemas(&folder, console),
    }
}

/// A line for each adapter: its name, whether it can run here, and what it is. Its variants share a line if all of them can
/// run or none can.
fn list(suite: &Suite, console: &mut Console) -> u8 {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for name in suite.adapter_names() {
        if name == MODEL {
            let about = "the model itself: predicts, and starts no process".to_owned();
            rows.push([name, "ready".to_owned(), about]);
            continue;
        }
        let loaded = suite.load_adapter(&name);
        let variants = loaded.as_ref().ok().map(|adapter| adapter.manifest.variant.clone());
        rows.push(row(suite, &name, loaded));
        let (mut ready, mut absent) = (Vec::new(), Vec::new());
        for variant in variants.unwrap_or_default() {
            let full = format!("{name}@{}", variant.name);
            match suite.load_adapter(&full) {
                Ok(adapter) if adapter.ready().is_ok() => ready.push(format!("@{}", variant.name)),
                Ok(_) => absent.push(format!("@{}", variant.name)),
                broken => rows.push(row(suite, &full, broken)),
            }
        }
        for (state, variants) in [("ready", ready), ("absent", absent)] {
            if !variants.is_empty() {
                let what = if variants.len() == 1 { "variant" } else { "variants" };
                let head = format!("  {} {what}", variants.len());
                rows.push([head, state.to_owned(), variants.join(", ")]);
            }
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (name_width, state_width) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    for [name, state, about] in &rows {
        console.line(&format!("{name:<name_width$}  {state:<state_width$}  {about}"));
    }
    if rows.iter().any(|row| row[1] == "absent") {
        let setup = program::command("adapter setup NAME");
        console.line(&format!("\n`{setup}` makes what an absent adapter or variant needs"));
    }
    0
}

fn row(suite: &Suite, name: &str, loaded: Result<Adapter, AdapterError>) -> [String; 3] {
    let loaded = loaded.map_err(Error::from).and_then(|adapter| {
        suite.check_vocabulary(&adapter)?;
        Ok(adapter)
    });
    let (state, about) = match loaded {
        Ok(adapter) => match adapter.ready() {
            Ok(()) => ("ready", adapter.manifest.about),
            // Nothing can be set up, because the system lacks a program.
            Err(absent) if adapter.manifest.setup.is_empty() => ("absent", absent.to_string()),
            Err(_) => ("absent", adapter.manifest.about),
        },
        Err(broken) => {
            let broken = broken.to_string();
            ("broken", broken.strip_prefix("error: ").unwrap_or(&broken).to_owned())
        }
    };
    [name.to_owned(), state.to_owned(), about]
}

fn setup(suite: &Suite, name: &str, console: &mut Console) -> Result<u8, Error> {
    let adapter = suite.load_adapter(name)?;
    let commands = adapter.setup();
    if commands.is_empty() {
        console.line(&format!("{} needs nothing", adapter.manifest.name));
    }
    for command in commands {
        let Some((program, arguments)) = command.split_first() else { continue };
        console.line(&format!("{} {}", program, arguments.join(" ")));
        let status = Command::new(program).args(arguments).stdin(Stdio::null()).status();
        let failure = match status {
            Ok(status) if status.success() => continue,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        return Err(Error::unable(format!("error: this command failed: {failure}")));
    }
    match adapter.ready() {
        Ok(()) => Ok(0),
        Err(error) => Err(Error::unable(format!("error: after its setup {error}"))),
    }
}

fn check(suite: &Suite, name: &str, console: &mut Console) -> Result<u8, Error> {
    let mut check = ContractCheck::new(suite.adapter(name)?)?;
    let stop = check.interrupt();
    interrupt::at_first_signal(move || {
        stop.send_replace(true);
    })?;
    let manifest = &check.adapter().manifest;
    console.line(&format!("{}: {}\n", manifest.name, manifest.about));
    let (mut failed, mut left_out, mut code) = (0, 0, 0);
    let count = ContractCheck::questions().count();
    for (index, shows) in ContractCheck::questions().enumerate() {
        let (job, verdict, events, diagnosis, explains_the_rest) = match check.ask(index)? {
            QuestionResult::Asked { job, verdict, events, diagnosis, explains_the_rest } => {
                (job, verdict, events, diagnosis, explains_the_rest)
            }
            QuestionResult::NotDeclared(profile) => {
                console.line(&format!("  –     {shows}: the profile {profile} is not declared"));
                continue;
            }
            QuestionResult::Interrupted { job, observation } => {
                let adapter = &check.adapter().manifest.name;
                console.line(&in_flight::interrupted(&job.scenario, adapter, &observation));
                console.line(&format!(
                    "PARTIAL: {index} of {count} checks were done; interrupted in this one: {shows}"
                ));
                return Ok(3);
            }
        };
        match verdict.status {
            Status::Pass => console.line(&format!("  ok    {shows}")),
            Status::Skip => {
                let reasons: Vec<&str> = verdict.sentences().map(String::as_str).collect();
                console.line(&format!("  –     {shows}: {}", reasons.join("; ")));
            }
            status => {
                failed += 1;
                code = code.max(status.exit_code());
                console.line(&format!("  {status:<5} {shows}\n"));
                if let Some(diagnosis) = diagnosis {
                    console.line(&format!("  {diagnosis}\n"));
                }
                let steps = job.scenario.steps.len();
                let report = ScenarioReport {
                    scenario: job.scenario,
                    name: job.path.display().to_string(),
                    path: job.path,
                    adapter: check.adapter().manifest.name.clone(),
                    asked: name.to_owned(),
                    flags: String::new(),
                    verdict: *verdict,
                    time: Duration::ZERO,
                    record: None,
                };
                console.line(&terminal::evidence(&report));
                let lines = conversation(&events, steps);
                if !lines.is_empty() {
                    console.line("  the conversation\n");
                    for line in lines {
                        console.line(&format!("    {line}"));
                    }
                    console.line("");
                }
            }
        }
        if explains_the_rest {
            left_out = count - index - 1;
            break;
        }
    }
    if left_out > 0 {
        console.line(&format!(
            "  {left_out} further checks are left out, since this failure may be the cause of theirs"
        ));
    } else {
        console.line(&format!("\n  {}", check.times()));
    }
    match failed {
        0 => {
            let run = program::command(&format!("run --adapter {name}"));
            console.line(&format!("  the agent follows the protocol; to run the suite: {run}"));
        }
        1 => console.line("  one check failed"),
        many => {
            console.line(&format!("  {many} checks failed"));
        }
    }
    Ok(code)
}

/// The events of a run with this many steps as lines, without pings and without what an agent is asked to refuse before the
/// first step. For a long run, only the beginning and the end.
fn conversation(events: &Events, steps: usize) -> Vec<String> {
    const BEGINNING: usize = 20;
    const END: usize = 30;
    let is_left_out = |event: &Event| match &event.kind {
        EventKind::Sent { is: ToAgent::Step { id, .. }, .. }
        | EventKind::Received { is: FromAgent::Begin { id, .. }, .. }
        | EventKind::Received { is: FromAgent::Unsupported { id, .. }, .. } => *id >= steps,
        EventKind::Sent { is: ToAgent::Ping { .. }, .. }
        | EventKind::Received { is: FromAgent::Pong { .. }, .. } => true,
        _ => false,
    };
    let mut lines: Vec<String> =
        events.iter().filter(|event| !is_left_out(event)).map(|event| event.to_string()).collect();
    if lines.len() > BEGINNING + END {
        let left_out = lines.len() - BEGINNING - END;
        let note = format!("… {left_out} lines are left out …");
        lines.splice(BEGINNING..BEGINNING + left_out, [note]);
    }
    lines
}

fn new(suite: &Suite, name: &str, lang: Lang, console: &mut Console) -> Result<u8, Error> {
    let paths = scaffold(suite, name, lang.into())?;
    for path in &paths {
        console.line(&path.display().to_string());
    }
    if lang == Lang::Rust {
        next::print(&format!("adapter setup {name}"), console);
    }
    match lang {
        Lang::Other => {
            let walkthrough = paths.iter().find(|path| path.ends_with("WALKTHROUGH.md"));
            if let Some(path) = walkthrough {
                let path = path.display();
                console.line(&format!(
                    "next: read {path}, which leads through the agent in six stages"
                ));
            }
        }
        _ => next::print(&format!("adapter check {name}"), console),
    }
    Ok(0)
}

fn write_schemas(folder: &Path, console: &mut Console) -> Result<u8, Error> {
    for (name, text) in schema::files() {
        let file = folder.join(name);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, text));
        written.map_err(|error| Error::unwritable(&file, &error))?;
        console.line(&file.display().to_string());
    }
    Ok(0)
}
