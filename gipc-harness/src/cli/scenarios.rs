//! `list`, `check` and `fmt`: commands that read scenario files.

use super::args::{Check, Fmt, List, ListFormat};
use super::next;
use super::run_args::ReportFormat;
use crate::error::Error;
use crate::model::{self, Choices};
use crate::proc::platform;
use crate::program;
use crate::report::console::Console;
use crate::report::{github, json};
use crate::scenario::parse;
use crate::suite::{self, ScenarioFile, Suite};
use crate::variant::{ChoiceExemption, declared_choices};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;

pub(super) fn list(suite: &Suite, args: &List, console: &mut Console) -> Result<u8, Error> {
    let files = args.selection.files(suite)?;
    let width = files.iter().map(|file| file.id.chars().count()).max().unwrap_or(0);
    for file in files {
        let parsed = parse(&file.id, &file.text);
        if args.format == ListFormat::Json {
            console.verbatim(&format!("{}\n", json::listed(&file, parsed.as_ref())));
            continue;
        }
        match parsed {
            Ok(scenario) => {
                let mark = if scenario.heavy().is_some() { " (heavy)" } else { "" };
                console.line(&format!("{:<width$}  {}{mark}", file.id, scenario.about()));
            }
            Err(error) => {
                console.line(&format!("{:<width$}  cannot be read: {}", file.id, error.message));
            }
        }
    }
    Ok(0)
}

pub(super) fn check(suite: &Suite, args: &Check, console: &mut Console) -> Result<u8, Error> {
    let choices = match &args.adapter {
        Some(name) => declared_choices(&suite.adapter(name)?),
        None => Choices::default(),
    };
    let files = args.selection.files(suite)?;
    let (count, mut refused, mut skipped) = (files.len(), 0, 0);
    let style = ProgressStyle::with_template("  {bar:20} {pos} of {len}  {wide_msg}");
    let progress = ProgressBar::new(count as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    for file in &files {
        progress.set_message(file.id.clone());
        let refusal = match file.checked_for(choices) {
            Ok(scenario) => {
                if file.is_named && args.format != ReportFormat::Json {
                    let notes = file.notes(&scenario);
                    progress.suspend(|| notes.iter().for_each(|note| console.line(note)));
                }
                file.warnings(&scenario)
            }
            Err(refusal) => match exemption(file, choices) {
                Some(reason) => {
                    skipped += 1;
                    let name = args.adapter.as_deref().unwrap_or_default();
                    let line = format!("note: {}: {name} skips it: {reason}", file.path.display());
                    if args.format != ReportFormat::Json {
                        progress.suspend(|| console.line(&line));
                    }
                    progress.inc(1);
                    continue;
                }
                None => {
                    refused += 1;
                    refusal
                }
            },
        };
        progress.suspend(|| match args.format {
            ReportFormat::Json => {
                for error in &refusal.errors {
                    console.verbatim(&format!("{}\n", json::mistake(&refusal.path, error)));
                }
            }
            _ if refusal.errors.is_empty() => {}
            ReportFormat::Terminal => console.complain(&refusal.to_string()),
            ReportFormat::Github => {
                console.complain(&refusal.to_string());
                for error in &refusal.errors {
                    console.verbatim(&format!("{}\n", github::mistake(&refusal.path, error)));
                }
            }
        });
        progress.inc(1);
        // The largest scenarios would otherwise leave their memory in pieces that the next one cannot use.
        platform::return_freed_memory();
    }
    progress.finish_and_clear();
    if refused > 0 {
        return Err(Error::usage(match count {
            1 => "the scenario is refused".into(),
            _ => format!("{refused} of {count} scenarios refused"),
        }));
    }
    if args.format != ReportFormat::Json {
        match count - skipped {
            0 => {}
            1 => console.line("1 scenario read, and the model agrees with it"),
            read => console.line(&format!("{read} scenarios read, and the model agrees with each")),
        }
        next::after_check(suite, &args.selection.names, console);
    }
    Ok(0)
}

/// Why an implementation with these choices skips a scenario with which the model would agree if it made the suite's own
/// choices, as `run` also says.
fn exemption(file: &ScenarioFile, choices: Choices) -> Option<String> {
    let scenario = file.checked().ok()?;
    let allowed = model::allowed(&scenario, choices);
    let exemption = ChoiceExemption::find(&scenario, choices, &allowed)?;
    exemption.reasons().next()
}

pub(super) fn fmt(suite: &Suite, args: &Fmt, console: &mut Console) -> Result<u8, Error> {
    let mut changed = 0;
    for file in args.selection.files(suite)? {
        let path = file.path.display();
        let scenario = parse(&file.id, &file.text)
            .map_err(|error| Error::usage(error.render(&path.to_string(), &file.text)))?;
        let text = scenario.script.to_string();
        if text == file.text {
            continue;
        }
        if file.is_embedded {
            return Err(Error::usage(format!(
                "error: {} is built in and cannot be changed: export the suite first, `scenarios export DIR`",
                file.id
            )));
        }
        changed += 1;
        console.line(&format!("{} {path}", if args.check { "would change" } else { "changed" }));
        if !args.check {
            std::fs::write(&file.path, text)
                .map_err(|error| Error::unwritable(&file.path, &error))?;
        }
    }
    Ok(u8::from(args.check && changed > 0))
}

pub(super) fn new(file: &Path, console: &mut Console) -> Result<u8, Error> {
    suite::scaffold::scaffold_scenario(file)?;
    console.line(&file.display().to_string());
    next::print(&format!("check {}", program::path(file)), console);
    Ok(0)
}

pub(super) fn export(folder: &Path, console: &mut Console) -> Result<u8, Error> {
    let count = suite::export(folder)?;
    console.line(&format!("{count} files in {}", folder.display()));
    Ok(0)
}
