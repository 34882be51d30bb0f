//! The small commands: list, check, show, fmt, adapter, doctor. None of them starts a process of a scenario, but `show`.

use super::console::Console;
use super::suite_files::Suite;
use super::{CommandError, Show, load, own_program, run_suite};
use crate::adapter::{self, Adapter, AdapterError, MODEL};
use crate::environment;
use crate::model::{self, Choices, Deadlock};
use crate::report::terminal;
use crate::scenario::{Scenario, parse};
use crate::trace::sequence_diagram;
use crate::verdict;
use std::process::{Command, Stdio};

pub(super) fn list(suite: &Suite, what: &[String], out: &mut Console) -> Result<u8, CommandError> {
    for source in suite.select(what)? {
        match parse(&source.id, &source.text) {
            Ok(scenario) => {
                let mark = if scenario.heavy().is_some() { " (heavy)" } else { "" };
                out.line(&format!("{:<40} {}{mark}", source.id, scenario.about()));
            }
            Err(error) => out.line(&format!("{:<40} cannot be read: {}", source.id, error.message)),
        }
    }
    Ok(0)
}

pub(super) fn check(suite: &Suite, what: &[String], out: &mut Console) -> Result<u8, CommandError> {
    let sources = suite.select(what)?;
    let mut wrong = 0;
    for source in &sources {
        if let Err(text) = source.scenario() {
            out.complain(&text);
            wrong += 1;
        }
    }
    let all = sources.len();
    match wrong {
        0 => {
            out.line(&format!("{all} scenarios read, and the model agrees with each"));
            Ok(0)
        }
        _ => Err(CommandError::usage(format!("{wrong} of {all} scenarios refused"))),
    }
}

/// What the model says of the scenario as a whole: how much can come of it, and whether it stops.
fn beyond(scenario: &Scenario, choices: Choices) -> String {
    let allowed = model::allowed(scenario, choices);
    let races = match (allowed.complete, allowed.traces.len()) {
        (false, _) => "more can come of it than can be enumerated".to_owned(),
        (true, 1) => "one outcome: nothing races".to_owned(),
        (true, many) => format!("{many} outcomes: this is the story's"),
    };
    let stops = match model::deadlock(scenario, choices) {
        Deadlock::Cannot => "it cannot deadlock, whatever a pipe holds".to_owned(),
        Deadlock::Must => "something waits for ever, whatever a pipe holds".to_owned(),
        Deadlock::Can => "whether something waits for ever depends on who is first".to_owned(),
        Deadlock::Below(bytes) => {
            format!("it deadlocks where a pipe holds less than {bytes} bytes")
        }
        Deadlock::Unknown => "nobody can say whether it can deadlock".to_owned(),
    };
    format!("{races}; {stops}")
}

pub(super) fn show(suite: &Suite, show: &Show, out: &mut Console) -> Result<u8, CommandError> {
    for source in suite.select(std::slice::from_ref(&show.what))? {
        let scenario = source.scenario().map_err(CommandError::usage)?;
        out.line(&format!("{}  {}\n", scenario.id, show.adapter));
        if show.adapter == MODEL {
            let choices = Choices::default();
            out.text(&sequence_diagram(&scenario, &model::predict(&scenario, choices)));
            out.line(&format!("\n{}", beyond(&scenario, choices)));
            continue;
        }
        let adapter = load(suite, &show.adapter)?;
        let choices = run_suite::choices(&adapter);
        let allowed = model::allowed(&scenario, choices);
        let course = run_suite::as_written(&scenario, choices);
        let observed = run_suite::once(&scenario, &course, &adapter, own_program()?)?.observation;
        out.text(&sequence_diagram(&scenario, &observed.trace));
        let verdict = verdict::judge(&scenario, &allowed, &observed, &adapter.manifest.known);
        out.line(&format!("\n{}", verdict.word));
    }
    Ok(0)
}

pub(super) fn fmt(
    suite: &Suite,
    what: &[String],
    check: bool,
    out: &mut Console,
) -> Result<u8, CommandError> {
    let mut changed = 0;
    for source in suite.select(what)? {
        let path = source.path.display();
        let scenario = parse(&source.id, &source.text)
            .map_err(|error| CommandError::usage(error.render(&path.to_string(), &source.text)))?;
        let text = scenario.script.to_string();
        if text == source.text {
            continue;
        }
        changed += 1;
        out.line(&format!("{} {path}", if check { "would change" } else { "changed" }));
        if !check {
            std::fs::write(&source.path, text).map_err(|error| {
                CommandError::unable(format!("error: cannot write {path}: {error}"))
            })?;
        }
    }
    Ok(u8::from(check && changed > 0))
}

pub(super) fn adapters(suite: &Suite, out: &mut Console) -> Result<u8, CommandError> {
    for name in adapter::names(&suite.adapters) {
        if name == MODEL {
            out.line(&format!(
                "{name:<24} ready     the model itself: predicts, and starts no process"
            ));
            continue;
        }
        let loaded = Adapter::load(&name, &suite.adapters, &own_program()?);
        let variants =
            loaded.as_ref().map_or(Vec::new(), |adapter| adapter.manifest.variant.clone());
        out.line(&state(&name, loaded));
        for variant in variants {
            let name = format!("{name}@{}", variant.name);
            let loaded = Adapter::load(&name, &suite.adapters, &own_program()?);
            out.line(&state(&name, loaded));
        }
    }
    Ok(0)
}

fn state(name: &str, loaded: Result<Adapter, AdapterError>) -> String {
    let (state, about) = match loaded {
        Ok(adapter) => match adapter.ready() {
            Ok(()) => ("ready", adapter.manifest.about),
            Err(absent) => ("absent", absent.to_string()),
        },
        Err(bad) => ("broken", bad.to_string()),
    };
    format!("{name:<24} {state:<9} {about}")
}

pub(super) fn setup(suite: &Suite, name: &str, out: &mut Console) -> Result<u8, CommandError> {
    let adapter = Adapter::load(name, &suite.adapters, &own_program()?)?;
    let commands = adapter.setup();
    if commands.is_empty() {
        out.line(&format!("{} needs nothing", adapter.manifest.name));
    }
    for command in commands {
        let Some((program, arguments)) = command.split_first() else { continue };
        out.line(&format!("{} {}", program, arguments.join(" ")));
        let status = Command::new(program).args(arguments).stdin(Stdio::null()).status();
        let failure = match status {
            Ok(status) if status.success() => continue,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        return Err(CommandError::unable(format!("error: this command failed: {failure}")));
    }
    match adapter.ready() {
        Ok(()) => Ok(0),
        Err(AdapterError::Absent(text) | AdapterError::Bad(text)) => {
            Err(CommandError::unable(format!("error: after its setup {text}")))
        }
    }
}

pub(super) fn doctor(out: &mut Console) -> Result<u8, CommandError> {
    let here = environment::look(&own_program()?);
    out.text(&terminal::environment(&here));
    Ok(u8::from(here.unmet().next().is_some()))
}
