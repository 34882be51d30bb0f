//! `spec`: the requirements and the scenarios that ask for them.

use super::args::Spec;
use crate::error::Error;
use crate::report::console::Console;
use crate::requirements::{self, Requirement};
use crate::scenario::{Scenario, parse};
use crate::suite::Suite;
use std::collections::BTreeMap;

pub(super) fn spec(suite: &Suite, args: &Spec, console: &mut Console) -> Result<u8, Error> {
    let scenarios: Vec<Scenario> = suite
        .select(&[])?
        .iter()
        .map(|source| {
            parse(&source.id, &source.text).map_err(|error| {
                Error::usage(error.render(&source.path.display().to_string(), &source.text))
            })
        })
        .collect::<Result<_, _>>()?;
    let is_selected = |id: &str| {
        let group = id.split('-').next().unwrap_or_default();
        args.ids.is_empty() || args.ids.iter().any(|word| word == id || word == group)
    };
    if let Some(word) = args.ids.iter().find(|word| {
        !requirements::requirements()
            .iter()
            .any(|one| one.id == **word || one.id.starts_with(&format!("{word}-")))
    }) {
        return Err(Error::usage(format!(
            "error: no requirement is called {word}; `cargo harness spec` lists all"
        )));
    }
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for scenario in &scenarios {
        for id in scenario.covers() {
            by.entry(id).or_default().push(&scenario.id);
        }
    }
    if args.by_scenario {
        for scenario in &scenarios {
            let ids: Vec<&str> =
                scenario.covers().into_iter().filter(|id| is_selected(id)).collect();
            if !ids.is_empty() {
                console.line(&format!("{:<52} {}", scenario.id, ids.join(" ")));
            }
        }
        return Ok(0);
    }
    let mut uncovered_count = 0;
    for one in requirements::requirements().iter().filter(|one| is_selected(&one.id)) {
        let scenarios = by.get(one.id.as_str());
        let stands_in = requirements::stand_ins().get(&one.id);
        let uncovered = scenarios.is_none() && stands_in.is_none();
        uncovered_count += usize::from(uncovered);
        if args.uncovered && !uncovered {
            continue;
        }
        console.text(&row(one));
        match (scenarios, stands_in) {
            (Some(ids), _) => ids.iter().for_each(|id| console.line(&format!("             {id}"))),
            (None, Some(it)) => {
                console.line(&format!("             {}: {}, {}", it.kind, it.file, it.mark));
            }
            (None, None) => console.line("             no scenario asks for it"),
        }
    }
    Ok(u8::from(args.uncovered && uncovered_count > 0))
}

fn row(one: &Requirement) -> String {
    format!("{:<12} {:<6} {:<9} {}\n", one.id, one.level, one.profile, one.what)
}
