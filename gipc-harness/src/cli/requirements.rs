//! `spec`: which scenarios ask which requirement, and the other way round.

use super::console::Console;
use super::suite_files::Suite;
use super::{CommandError, Spec};
use crate::requirements::{self, Requirement};
use crate::scenario::{Scenario, parse};
use std::collections::BTreeMap;

pub(super) fn spec(suite: &Suite, asked: &Spec, out: &mut Console) -> Result<u8, CommandError> {
    let scenarios: Vec<Scenario> = suite
        .select(&[])?
        .iter()
        .map(|source| {
            parse(&source.id, &source.text).map_err(|error| {
                CommandError::usage(error.render(&source.path.display().to_string(), &source.text))
            })
        })
        .collect::<Result<_, _>>()?;
    let meant = |id: &str| {
        let group = id.split('-').next().unwrap_or_default();
        asked.ids.is_empty() || asked.ids.iter().any(|word| word == id || word == group)
    };
    if let Some(word) = asked.ids.iter().find(|word| {
        !requirements::requirements()
            .iter()
            .any(|one| one.id == **word || one.id.starts_with(&format!("{word}-")))
    }) {
        return Err(CommandError::usage(format!(
            "error: no requirement is called {word}; `cargo harness spec` lists all"
        )));
    }
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for scenario in &scenarios {
        for id in scenario.covers() {
            by.entry(id).or_default().push(&scenario.id);
        }
    }
    if asked.by_scenario {
        for scenario in &scenarios {
            let ids: Vec<&str> = scenario.covers().into_iter().filter(|id| meant(id)).collect();
            if !ids.is_empty() {
                out.line(&format!("{:<52} {}", scenario.id, ids.join(" ")));
            }
        }
        return Ok(0);
    }
    let mut nobody = 0;
    for one in requirements::requirements().iter().filter(|one| meant(&one.id)) {
        let scenarios = by.get(one.id.as_str());
        let stands_in = requirements::stand_ins().get(&one.id);
        let uncovered = scenarios.is_none() && stands_in.is_none();
        nobody += usize::from(uncovered);
        if asked.uncovered && !uncovered {
            continue;
        }
        out.text(&told(one));
        match (scenarios, stands_in) {
            (Some(ids), _) => ids.iter().for_each(|id| out.line(&format!("             {id}"))),
            (None, Some(it)) => {
                out.line(&format!("             {}: {}, {}", it.kind, it.file, it.mark));
            }
            (None, None) => out.line("             nobody asks it"),
        }
    }
    Ok(u8::from(asked.uncovered && nobody > 0))
}

fn told(one: &Requirement) -> String {
    format!("{:<12} {:<6} {:<9} {}\n", one.id, one.level, one.profile, one.what)
}
