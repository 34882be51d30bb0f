//! `spec`: lists the requirements and the scenarios that cover them.

use super::args::Spec;
use crate::error::Error;
use crate::program;
use crate::report::console::Console;
use crate::requirements::{self, Requirement, StandIn};
use crate::scenario::{Scenario, parse};
use crate::similar::closest;
use crate::suite::{Suite, unasked};
use std::collections::BTreeMap;

/// Lists the requirements with the scenarios that cover them, or the scenarios with their requirements. Returns the
/// exit code: 1 if only uncovered requirements are listed and there are some.
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
    let is_selected =
        |one: &Requirement| args.ids.is_empty() || args.ids.iter().any(|name| one.is_in(name));
    let is_known = |name: &&String| requirements::requirements().iter().any(|one| one.is_in(name));
    if let Some(unknown) = args.ids.iter().find(|name| !is_known(name)) {
        let known = requirements::requirements().iter().map(|one| one.id.as_str());
        let hint = match closest(unknown, known) {
            Some(id) => format!("is it {id}?"),
            None => format!("`{}` lists all", program::command("spec")),
        };
        return Err(Error::usage(format!("error: no requirement is called {unknown}; {hint}")));
    }
    if let Some(name) = &args.adapter {
        let adapter = suite.load_adapter(name)?;
        let unasked = unasked(&adapter, &scenarios).into_iter();
        let unasked: Vec<_> = unasked.filter(|one| is_selected(one.requirement)).collect();
        for one in &unasked {
            console.text(&row(one.requirement));
            console.line(&format!("             {}", one.reason));
        }
        return Ok(u8::from(!unasked.is_empty()));
    }
    let mut covering: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for scenario in &scenarios {
        for id in scenario.covers() {
            covering.entry(id).or_default().push(&scenario.id);
        }
    }
    if args.by_scenario {
        let width = scenarios.iter().map(|one| one.id.chars().count()).max().unwrap_or(0);
        for scenario in &scenarios {
            let covered = scenario.covers().into_iter().filter_map(requirements::requirement);
            let ids: Vec<&str> =
                covered.filter(|one| is_selected(one)).map(|one| one.id.as_str()).collect();
            if !ids.is_empty() {
                console.line(&format!("{:<width$}  {}", scenario.id, ids.join(" ")));
            }
        }
        return Ok(0);
    }
    let mut uncovered_count = 0;
    for one in requirements::requirements().iter().filter(|one| is_selected(one)) {
        let scenarios = covering.get(one.id.as_str());
        let stand_in = requirements::stand_ins().get(&one.id);
        let is_uncovered = scenarios.is_none() && stand_in.is_none();
        uncovered_count += usize::from(is_uncovered);
        if args.uncovered && !is_uncovered {
            continue;
        }
        console.text(&row(one));
        match (scenarios, stand_in) {
            (Some(ids), _) => ids.iter().for_each(|id| console.line(&format!("             {id}"))),
            (None, Some(StandIn { kind, file, mark })) => {
                console.line(&format!("             {kind}: {file}, {mark}"));
            }
            (None, None) => console.line("             no scenario tests it"),
        }
    }
    Ok(u8::from(args.uncovered && uncovered_count > 0))
}

/// The line of a requirement.
fn row(Requirement { id, level, what, profile, .. }: &Requirement) -> String {
    format!("{id:<12} {level:<6} {profile:<9} {what}\n")
}
