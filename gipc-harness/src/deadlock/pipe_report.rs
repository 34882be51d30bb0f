//! The pipes at which somebody waits: what is in them, who holds them as which descriptor, and who should not.
//!
//! Says nothing where the kernel did not show it.

use super::WaitEdge;
use super::wait_for_graph::{WaitForGraph, some};
use crate::scenario::{PipeEnd, PipeId, Step, Verb};
use crate::trace::EndState;
use std::collections::BTreeSet;

impl WaitForGraph<'_> {
    fn awaited_by(&self, waits: &[WaitEdge]) -> BTreeSet<PipeEnd> {
        waits.iter().filter_map(|wait| self.awaited(wait.step)).collect()
    }

    /// Each pipe at which somebody waits, as the kernel shows it: `r ◀ w` and how many bytes are in it, who can read it,
    /// and who can write it.
    pub(super) fn pipes(&self, waits: &[WaitEdge]) -> Vec<String> {
        let pipes: BTreeSet<PipeId> =
            self.awaited_by(waits).into_iter().map(|end| end.pipe).collect();
        let names = pipes.into_iter().map(|pipe| {
            let name = |end| self.owners.name(end).to_owned();
            (name(PipeEnd::reader(pipe)), name(PipeEnd::writer(pipe)))
        });
        let is_shown =
            |(r, w): &(String, String)| self.stop.known.contains(r) && self.stop.known.contains(w);
        names.filter(is_shown).map(|(r, w)| self.pipe(&r, &w)).collect()
    }

    fn pipe(&self, reader: &str, writer: &str) -> String {
        let who = |name: &str| {
            let held = self.stop.held.iter().filter(|held| held.end == name);
            let who: Vec<String> =
                held.map(|held| format!("{} as fd {}", held.process, held.descriptor)).collect();
            if who.is_empty() { "nobody".to_owned() } else { some(&who) }
        };
        let bytes = match self.stop.bytes.get(reader) {
            Some(1) => "1 byte; ".to_owned(),
            Some(bytes) => format!("{bytes} bytes; "),
            None => String::new(),
        };
        format!("{reader} ◀ {writer}: {bytes}read by {}, written by {}", who(reader), who(writer))
    }

    /// The ends that a process holds and should not, at the pipes where somebody waits.
    pub(super) fn leaks(&self, waits: &[WaitEdge]) -> Vec<String> {
        let awaited = self.awaited_by(waits);
        let mut leaks = Vec::new();
        for held in &self.stop.held {
            let Some((end, last)) =
                self.owners.all().find(|(end, _)| self.owners.name(*end) == held.end)
            else {
                continue;
            };
            if !awaited.contains(&end) {
                continue;
            }
            if *last == EndState::Held(held.process.clone()) || self.is_in_hand(end, &held.process)
            {
                continue;
            }
            leaks.push(self.leak(&held.process, &held.end, held.descriptor));
        }
        leaks
    }

    /// A step that waits may hold an end that the replay thinks is gone with it.
    fn is_in_hand(&self, end: PipeEnd, process: &str) -> bool {
        self.owners.state(end) == Some(&EndState::Exited(process.to_owned()))
    }

    fn leak(&self, process: &str, end: &str, descriptor: i32) -> String {
        let is_of = |name: &String| self.scenario.handles.overlap(name, end);
        let touched = |step: &&Step| match &step.verb {
            Verb::Pipe { reader, writer, .. } => {
                step.task_id.process == process && (is_of(reader) || is_of(writer))
            }
            Verb::Duplex { near, far } => {
                step.task_id.process == process && (is_of(near) || is_of(far))
            }
            Verb::Spawn { child, handles, .. } => child == process && handles.iter().any(is_of),
            _ => false,
        };
        let had = self.scenario.steps.iter().any(|step| touched(&step));
        if had {
            return format!(
                "{process} gave {end} away or closed it, and still holds it as fd {descriptor}"
            );
        }
        let spawn = self
            .scenario
            .steps
            .iter()
            .find(|step| matches!(&step.verb, Verb::Spawn { child, .. } if child == process));
        if spawn.is_none() && process != "main" {
            return format!(
                "{process}, a process of the implementation's own, holds {end} as fd {descriptor}"
            );
        }
        let line = spawn.map_or(String::new(), |step| format!(" (line {})", step.position.line));
        format!(
            "{process} was never given {end}; it inherited it, as fd {descriptor}, when it was spawned{line}"
        )
    }
}
