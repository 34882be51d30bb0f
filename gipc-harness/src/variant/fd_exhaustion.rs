//! Descriptor exhaustion: a process has no free descriptor when it makes a pipe, a duplex or a child, and tries again.
//!
//! A refused start must lose nothing and leave nothing behind, so everything that follows must have the same outcomes as
//! without it.

use super::{Edits, InjectionSelector, JobSet, Variant};
use crate::scenario::{Outcome, Scenario, Step, StreamSource, Verb};
use ecow::{EcoString, eco_format};
use smallvec::smallvec;
use std::collections::BTreeMap;

/// How many attempts of one process fail, each in its own run. More attempts would test the same thing again.
const MAX_PER_PROCESS: usize = 20;
/// Scenarios with more steps than this are left out unless one place is named: the model needs seconds for each variant.
const MAX_STEPS: usize = 300;

/// The variants of a scenario, one for each selected pipe, duplex and child that a step makes, and a note about what was
/// left out. A scenario that limits descriptors itself has no variants.
pub(super) fn variants(
    scenario: &Scenario,
    selector: &InjectionSelector,
) -> (Vec<Variant>, Option<&'static str>) {
    if scenario.steps.iter().any(|step| matches!(step.verb, Verb::Limit { .. })) {
        return (Vec::new(), None);
    }
    let all = *selector == InjectionSelector::All;
    if all && scenario.steps.len() > MAX_STEPS {
        return (Vec::new(), Some(JobSet::TOO_LONG_FOR_EXHAUSTION));
    }
    let (mut variants, mut note) = (Vec::new(), None);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        if attempt(&step.verb).is_none() || step.expected[..] != [Outcome::Ok] {
            continue;
        }
        let role = step.task_id.process.as_str();
        let count = counts.entry(role).or_insert(0);
        *count += 1;
        if all && *count > MAX_PER_PROCESS {
            note = Some(JobSet::TOO_MANY_FOR_EXHAUSTION);
        } else if selector.selects(role, *count) {
            variants.push(Variant::ExhaustFds { role: role.into(), number: *count, step: index });
        }
    }
    (variants, note)
}

/// The steps that such a variant inserts before the step: no free descriptors, an attempt that fails, and the limit lifted.
pub(super) fn edits(scenario: &Scenario, step: usize) -> Option<Edits> {
    let original = scenario.steps.get(step)?;
    let like = |verb, outcome| Step { verb, expected: smallvec![outcome], ..original.clone() };
    let steps = vec![
        like(Verb::Limit { free: Some(0) }, Outcome::Ok),
        like(attempt(&original.verb)?, Outcome::Os("EMFILE".into())),
        like(Verb::Limit { free: None }, Outcome::Ok),
    ];
    Some(Edits::insert(step, steps))
}

/// The same verb with new names, which no later step uses.
fn attempt(verb: &Verb) -> Option<Verb> {
    let other = |name: &EcoString| eco_format!("{name}-starved");
    let mut verb = verb.clone();
    match &mut verb {
        Verb::Pipe { reader: one, writer: two, .. } | Verb::Duplex { near: one, far: two } => {
            (*one, *two) = (other(one), other(two));
        }
        // A program without pipes may be started without a free descriptor.
        Verb::Spawn { program: Some(program), .. } if program.streams.is_empty() => return None,
        Verb::Spawn { child, handles, program, .. } => {
            *child = other(child);
            for stream in program.iter_mut().flat_map(|program| &mut program.streams) {
                if let StreamSource::Pipe { reader, writer } = &mut stream.source {
                    (*reader, *writer) = (other(reader), other(writer));
                }
            }
            if let Some(program) = program {
                *handles = program.given_to_child().map(EcoString::from).collect();
            }
        }
        _ => return None,
    }
    Some(verb)
}
