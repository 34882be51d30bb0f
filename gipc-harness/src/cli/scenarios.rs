//! `list`, `check` and `fmt`: commands that read scenario files.

use super::args::{Check, Fmt};
use super::run_args::Selection;
use crate::error::Error;
use crate::model::Choices;
use crate::report::console::Console;
use crate::scenario::parse;
use crate::suite::Suite;
use crate::variant::declared_choices;

pub(super) fn list(
    suite: &Suite,
    selection: &Selection,
    console: &mut Console,
) -> Result<u8, Error> {
    for file in suite.select(&selection.names)? {
        match parse(&file.id, &file.text) {
            Ok(scenario) => {
                let mark = if scenario.heavy().is_some() { " (heavy)" } else { "" };
                console.line(&format!("{:<40} {}{mark}", file.id, scenario.about()));
            }
            Err(error) => {
                console.line(&format!("{:<40} cannot be read: {}", file.id, error.message));
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
    let files = suite.select(&args.selection.names)?;
    let mut refused = 0;
    for file in &files {
        match file.checked_for(choices) {
            Ok(scenario) if file.is_named => {
                file.notes(&scenario).iter().for_each(|note| console.line(note));
            }
            Ok(_) => {}
            Err(text) => {
                console.complain(&text);
                refused += 1;
            }
        }
    }
    let count = files.len();
    if refused > 0 {
        return Err(Error::usage(format!("{refused} of {count} scenarios refused")));
    }
    console.line(&format!("{count} scenarios read, and the model agrees with each"));
    Ok(0)
}

pub(super) fn fmt(suite: &Suite, args: &Fmt, console: &mut Console) -> Result<u8, Error> {
    let mut changed = 0;
    for file in suite.select(&args.selection.names)? {
        let path = file.path.display();
        let scenario = parse(&file.id, &file.text)
            .map_err(|error| Error::usage(error.render(&path.to_string(), &file.text)))?;
        let text = scenario.script.to_string();
        if text == file.text {
            continue;
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
