//! Makes a failing script smaller: drops processes, tasks and lines and halves sizes, as long as it still fails.
//!
//! Knows the language, and a function that says whether a script still fails; not which implementation it runs on.

use crate::scenario::{Item, Payload, Script, TaskId, Verb};
use std::collections::BTreeSet;

/// The smallest script that still fails, as far as dropping processes, tasks and lines and halving sizes leads.
pub fn shrink(mut script: Script, mut still_fails: impl FnMut(&Script) -> bool) -> Script {
    loop {
        let smaller = candidates(&script).into_iter().find(|candidate| still_fails(candidate));
        match smaller {
            Some(smaller) => script = smaller,
            None => return script,
        }
    }
}

/// Everything that is one step smaller; what takes most away comes first.
fn candidates(script: &Script) -> Vec<Script> {
    let task_ids: BTreeSet<TaskId> = lines(script).map(|(task_id, _)| task_id.clone()).collect();
    let processes: BTreeSet<&str> = lines(script)
        .filter_map(|(_, verb)| match verb {
            Verb::Spawn { child, .. } => Some(child.as_str()),
            _ => None,
        })
        .collect();
    let mut all = Vec::new();
    for process in processes {
        all.push(keep(script, |task_id, verb| {
            task_id.process != process && !is_about(verb, process)
        }));
    }
    for task_id in task_ids.iter().filter(|task_id| task_id.task.is_some()) {
        all.push(keep(script, |one, verb| one != task_id && !is_about_lane(verb, task_id)));
    }
    for index in 0..script.items.len() {
        let mut items = script.items.clone();
        if matches!(items.remove(index), Item::Line(_)) {
            all.push(Script { items });
        }
    }
    for index in 0..script.items.len() {
        let mut items = script.items.clone();
        if let Item::Line(line) = &mut items[index] {
            if let Verb::Put { payload, .. } | Verb::Cut { payload, .. } = &mut line.verb {
                if let Payload::Size(size) = payload {
                    if *size > 16 {
                        *size = (*size / 2).max(16);
                        all.push(Script { items });
                    }
                }
            }
        }
    }
    all
}

fn lines(script: &Script) -> impl Iterator<Item = (&TaskId, &Verb)> {
    script.items.iter().filter_map(|item| match item {
        Item::Line(line) => Some((&line.task_id, &line.verb)),
        _ => None,
    })
}

fn keep(script: &Script, stays: impl Fn(&TaskId, &Verb) -> bool) -> Script {
    let stays = |item: &&Item| match item {
        Item::Line(line) => stays(&line.task_id, &line.verb),
        _ => true,
    };
    Script { items: script.items.iter().filter(stays).cloned().collect() }
}

fn is_about(verb: &Verb, process: &str) -> bool {
    match verb {
        Verb::Spawn { child, .. }
        | Verb::Join { child }
        | Verb::Kill { child }
        | Verb::Signal { child, .. }
        | Verb::Child { child, .. } => child == process,
        Verb::Until { task_id } => task_id.process == process,
        _ => false,
    }
}

fn is_about_lane(verb: &Verb, task_id: &TaskId) -> bool {
    matches!(verb, Verb::Until { task_id: it } | Verb::Cancel { task: it } if it == task_id)
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    fn all() -> BTreeSet<String> {
        ["core", "tasks", "process", "frames", "signals", "counts"].map(str::to_owned).into()
    }

    #[test]
    fn what_does_not_matter_goes() {
        let script = (0..2000)
            .map(|seed| script(&mut fastrand::Rng::with_seed(seed), &all()))
            .find(|script| {
                let about = |wanted: fn(&Verb) -> bool| lines(script).any(|(_, verb)| wanted(verb));
                about(|verb| matches!(verb, Verb::Kill { .. })) && lines(script).count() > 6
            })
            .expect("one of them kills");
        let kills =
            |script: &Script| lines(script).any(|(_, verb)| matches!(verb, Verb::Kill { .. }));
        let small = shrink(script, kills);
        assert_eq!(lines(&small).count(), 1, "{small}");
    }

    #[test]
    fn a_seed_makes_the_same_script_again() {
        let make = |seed| script(&mut fastrand::Rng::with_seed(seed), &all()).to_string();
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
