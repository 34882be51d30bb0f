//! The pipes of a scenario, and the pipe ends that each handle stands for.
//!
//! Handles are resolved once, when a scenario is read. All other code uses the table and never takes handle names apart.

use super::{Step, Verb};
use ecow::{EcoString, eco_format};
use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use std::collections::{BTreeMap, BTreeSet};

/// Identifies a pipe of a scenario. Pipes are counted in the order of the steps that make them; a duplex is two pipes.
pub type PipeId = usize;

/// A side of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The side that gets messages.
    Reader,
    /// The side that puts messages.
    Writer,
}

impl Side {
    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }
}

/// One end of one pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PipeEnd {
    /// The pipe.
    pub pipe: PipeId,
    /// The side of the pipe.
    pub side: Side,
}

impl PipeEnd {
    /// The reading end of a pipe.
    #[must_use]
    pub fn reader(pipe: PipeId) -> Self {
        Self { pipe, side: Side::Reader }
    }

    /// The writing end of a pipe.
    #[must_use]
    pub fn writer(pipe: PipeId) -> Self {
        Self { pipe, side: Side::Writer }
    }

    /// The other end of the same pipe.
    #[must_use]
    pub fn opposite(self) -> Self {
        Self { side: self.side.opposite(), ..self }
    }

    /// Whether this is the writing end.
    #[must_use]
    pub fn is_writer(self) -> bool {
        self.side == Side::Writer
    }
}

/// Maps handle names to pipe ends, and back.
///
/// A plain handle stands for one end. A handle of a duplex stands for two, its writer first, and each half has a name
/// of its own: `near.w`, `near.r`.
#[derive(Clone, Debug, Default)]
pub struct HandleTable {
    ends: HashMap<EcoString, HandleEnds>,
    /// The names of the reading and the writing end of each pipe, indexed by pipe.
    names: Vec<[EcoString; 2]>,
    /// The first pipe that each step makes, by the index of the step.
    first_pipes: BTreeMap<usize, PipeId>,
    /// The ends that a step shares with a child.
    shared: BTreeSet<PipeEnd>,
}

/// The ends that one handle stands for: one, or two for a duplex.
type HandleEnds = SmallVec<[PipeEnd; 1]>;

impl HandleTable {
    /// Builds the table from the handles of all steps.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut table = Self::default();
        // A step that is expected to be refused makes nothing, so another step may use the same names.
        let mut unmade: Vec<(EcoString, HandleEnds)> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let first = table.names.len();
            let mut make = |name: EcoString, ends: HandleEnds| match step.expects_refusal() {
                true => unmade.push((name, ends)),
                false => {
                    table.ends.entry(name).or_insert(ends);
                }
            };
            match &step.verb {
                Verb::Pipe { reader, writer, .. } => {
                    table.names.push([reader.clone(), writer.clone()]);
                    make(reader.clone(), smallvec![PipeEnd::reader(first)]);
                    make(writer.clone(), smallvec![PipeEnd::writer(first)]);
                }
                Verb::Spawn { program: Some(program), .. } => {
                    for (reader, writer) in program.pipes() {
                        let pipe = table.names.len();
                        table.names.push([reader.into(), writer.into()]);
                        make(reader.into(), smallvec![PipeEnd::reader(pipe)]);
                        make(writer.into(), smallvec![PipeEnd::writer(pipe)]);
                    }
                }
                Verb::Duplex { near, far } => {
                    let (to_far, to_near) = (first, first + 1);
                    table.names.push([eco_format!("{far}.r"), eco_format!("{near}.w")]);
                    table.names.push([eco_format!("{near}.r"), eco_format!("{far}.w")]);
                    let handles = [(near, to_far, to_near), (far, to_near, to_far)];
                    for (name, ends) in handles.into_iter().flat_map(duplex_handle) {
                        make(name, ends);
                    }
                }
                _ => continue,
            }
            table.first_pipes.insert(index, first);
        }
        for (name, ends) in unmade {
            table.ends.entry(name).or_insert(ends);
        }
        for step in steps {
            if let Verb::Spawn { shared, .. } = &step.verb {
                let ends = shared.iter().flat_map(|handle| table.ends(handle));
                let ends: Vec<PipeEnd> = ends.copied().collect();
                table.shared.extend(ends);
            }
        }
        table
    }

    /// The ends that a handle stands for. Empty if no step makes a handle of this name.
    #[must_use]
    pub fn ends(&self, handle: &str) -> &[PipeEnd] {
        self.ends.get(handle).map_or(&[], SmallVec::as_slice)
    }

    /// The end of this side that a handle stands for.
    #[must_use]
    pub fn end(&self, handle: &str, side: Side) -> Option<PipeEnd> {
        self.ends(handle).iter().copied().find(|end| end.side == side)
    }

    /// Whether some step shares the end with a child, so that several processes may hold it.
    #[must_use]
    pub fn is_shared(&self, end: PipeEnd) -> bool {
        self.shared.contains(&end)
    }

    /// Whether some step shares an end with a child.
    pub(super) fn has_shared(&self) -> bool {
        !self.shared.is_empty()
    }

    /// The pipe that a handle reads from or writes to.
    #[must_use]
    pub fn pipe(&self, handle: &str, side: Side) -> Option<PipeId> {
        self.end(handle, side).map(|end| end.pipe)
    }

    /// The end with exactly this name: `r`, `near.w`. `None` for the handle of a duplex, which stands for two ends.
    #[must_use]
    pub fn end_named(&self, name: &str) -> Option<PipeEnd> {
        match self.ends(name) {
            [end] => Some(*end),
            _ => None,
        }
    }

    /// The name of an end as it is written in a scenario: `w`, `near.r`. `?` if there is no such pipe.
    #[must_use]
    pub fn name(&self, end: PipeEnd) -> &str {
        self.names.get(end.pipe).map_or("?", |names| &names[usize::from(end.is_writer())])
    }

    /// The ends of the pipes that a step makes.
    #[must_use]
    pub fn made_by(&self, step: usize, verb: &Verb) -> Vec<PipeEnd> {
        let pipes = match verb {
            Verb::Pipe { .. } => 1,
            Verb::Duplex { .. } => 2,
            Verb::Spawn { program: Some(program), .. } => program.pipes().count(),
            _ => 0,
        };
        let first = self.first_pipes.get(&step).copied().unwrap_or_default();
        (first..first + pipes)
            .flat_map(|pipe| [PipeEnd::reader(pipe), PipeEnd::writer(pipe)])
            .collect()
    }

    /// The number of pipes that the steps make if all of them succeed.
    #[must_use]
    pub fn pipe_count(&self) -> usize {
        self.names.len()
    }

    /// Whether two handles have an end in common, such as a duplex and one of its halves.
    #[must_use]
    pub fn overlap(&self, one: &str, other: &str) -> bool {
        self.ends(one).iter().any(|end| self.ends(other).contains(end))
    }
}

/// The names of a duplex handle and of its halves. The handle writes to one pipe and reads from the other.
fn duplex_handle((name, to, from): (&EcoString, PipeId, PipeId)) -> [(EcoString, HandleEnds); 3] {
    let (writer, reader) = (PipeEnd::writer(to), PipeEnd::reader(from));
    [
        (name.clone(), smallvec![writer, reader]),
        (eco_format!("{name}.w"), smallvec![writer]),
        (eco_format!("{name}.r"), smallvec![reader]),
    ]
}
