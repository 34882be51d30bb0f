//! Makes a failing script smaller: drops processes, tasks and lines, and halves sizes, while the script still fails.

use crate::scenario::{Item, Payload, Script, TaskId, Verb};
use std::collections::BTreeSet;

/// Returns a script that still fails and that has no smaller candidate that fails.
///
/// `still_fails` is called for each candidate. It must not panic on scripts that cannot be parsed.
pub fn shrink(mut script: Script, mut still_fails: impl FnMut(&Script) -> bool) -> Script {
    loop {
        let smaller = candidates(&script).into_iter().find(|candidate| still_fails(candidate));
        match smaller {
            Some(smaller) => script = smaller,
            None => return script,
        }
    }
}

/// The scripts that are one step smaller. Those that drop the most come first.
fn candidates(script: &Script) -> Vec<Script> {
    let task_ids: BTreeSet<TaskId> = lines(script).map(|(task_id, _)| task_id.clone()).collect();
    let processes: BTreeSet<&str> = lines(script)
        .filter_map(|(_, verb)| match verb {
            Verb::Spawn { child, .. } => Some(child.as_str()),
            _ => None,
        })
        .collect();
    let mut smaller = Vec::new();
    for process in processes {
        smaller.push(keep(script, |task_id, verb| {
            task_id.process != process && !names_process(verb, process)
        }));
    }
    for task_id in task_ids.iter().filter(|task_id| task_id.task.is_some()) {
        smaller.push(keep(script, |other, verb| other != task_id && !names_task(verb, task_id)));
    }
    for index in 0..script.items.len() {
        let mut items = script.items.clone();
        if matches!(items.remove(index), Item::Line(_)) {
            smaller.push(Script { items });
        }
    }
    for index in 0..script.items.len() {
        let mut items = script.items.clone();
        if let Item::Line(line) = &mut items[index] {
            if let Verb::Put { payload, .. } | Verb::Cut { payload, .. } = &mut line.verb {
                if let Payload::Size(size) = payload {
                    if *size > 16 {
                        *size = (*size / 2).max(16);
                        smaller.push(Script { items });
                    }
                }
            }
        }
    }
    smaller
}

fn lines(script: &Script) -> impl Iterator<Item = (&TaskId, &Verb)> {
    script.items.iter().filter_map(|item| match item {
        Item::Line(line) => Some((&line.task_id, &line.verb)),
        _ => None,
    })
}

/// The script with only the kept lines.
fn keep(script: &Script, is_kept: impl Fn(&TaskId, &Verb) -> bool) -> Script {
    let is_kept = |item: &&Item| match item {
        Item::Line(line) => is_kept(&line.task_id, &line.verb),
        _ => true,
    };
    Script { items: script.items.iter().filter(is_kept).cloned().collect() }
}

fn names_process(verb: &Verb, process: &str) -> bool {
    match verb {
        Verb::Spawn { child, .. }
        | Verb::Join { child }
        | Verb::Kill { child }
        | Verb::Signal { child, .. }
        | Verb::SignalGroup { child, .. }
        | Verb::Child { child, .. } => child == process,
        Verb::Until { task_id } => task_id.process == process,
        _ => false,
    }
}

fn names_task(verb: &Verb, task_id: &TaskId) -> bool {
    matches!(verb, Verb::Until { task_id: named } | Verb::Cancel { task: named } if named == task_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::script;

    fn profiles() -> BTreeSet<String> {
        ["core", "tasks", "process", "frames", "signals", "counts"].map(str::to_owned).into()
    }

    #[test]
    fn shrinking_drops_all_lines_that_do_not_matter() {
        let script = (0..2000)
            .map(|seed| script(&mut fastrand::Rng::with_seed(seed), &profiles()))
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
    fn a_seed_always_generates_the_same_script() {
        let make = |seed| script(&mut fastrand::Rng::with_seed(seed), &profiles()).to_string();
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
