//! The pipes of a scenario: which handle stands for which ends. Resolved once, when a scenario is read; everything else
//! asks the table and never takes handle names apart.

use super::validation::is_refusal;
use super::{Step, Verb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Identifies a pipe of a scenario. Pipes are counted in the order of the steps that make them; a duplex is two pipes.
pub type PipeId = usize;

/// One of the two sides of a pipe.
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
    /// Which of its two ends.
    pub side: Side,
}

impl PipeEnd {
    /// The end of a pipe that gets.
    #[must_use]
    pub fn reader(pipe: PipeId) -> Self {
        Self { pipe, side: Side::Reader }
    }

    /// The end of a pipe that puts.
    #[must_use]
    pub fn writer(pipe: PipeId) -> Self {
        Self { pipe, side: Side::Writer }
    }

    /// The other end of the same pipe.
    #[must_use]
    pub fn opposite(self) -> Self {
        Self { side: self.side.opposite(), ..self }
    }

    /// Whether this end puts.
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
    ends: BTreeMap<String, Vec<PipeEnd>>,
    /// The name of each end, indexed by pipe: reader, writer.
    names: Vec<[String; 2]>,
    /// The first pipe that a step makes, by the index of the step.
    made: BTreeMap<usize, PipeId>,
}

impl HandleTable {
    /// Resolves the handles of all steps.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut table = Self::default();
        for (index, step) in steps.iter().enumerate() {
            let first = table.names.len();
            let added = match &step.verb {
                Verb::Pipe { reader, writer, .. } => {
                    table.names.push([reader.clone(), writer.clone()]);
                    vec![
                        (reader.clone(), vec![PipeEnd::reader(first)]),
                        (writer.clone(), vec![PipeEnd::writer(first)]),
                    ]
                }
                Verb::Duplex { near, far } => {
                    let (there, back) = (first, first + 1);
                    table.names.push([format!("{far}.r"), format!("{near}.w")]);
                    table.names.push([format!("{near}.r"), format!("{far}.w")]);
                    let halves = |name: &String, puts: PipeId, gets: PipeId| {
                        let (w, r) = (PipeEnd::writer(puts), PipeEnd::reader(gets));
                        [
                            (name.clone(), vec![w, r]),
                            (format!("{name}.w"), vec![w]),
                            (format!("{name}.r"), vec![r]),
                        ]
                    };
                    [halves(near, there, back), halves(far, back, there)].concat()
                }
                _ => continue,
            };
            table.made.insert(index, first);
            // A step that is expected to be refused makes nothing, so a later step may use its names.
            let is_refused = step.expected.iter().all(is_refusal);
            for (name, ends) in added {
                if is_refused {
                    table.ends.entry(name).or_insert(ends);
                } else {
                    table.ends.insert(name, ends);
                }
            }
        }
        table
    }

    /// The ends that a handle stands for; none if no step makes a handle of this name.
    #[must_use]
    pub fn ends(&self, handle: &str) -> &[PipeEnd] {
        self.ends.get(handle).map_or(&[], Vec::as_slice)
    }

    /// The end of this side that a handle stands for.
    #[must_use]
    pub fn end(&self, handle: &str, side: Side) -> Option<PipeEnd> {
        self.ends(handle).iter().copied().find(|end| end.side == side)
    }

    /// The pipe that this handle gets from or puts to.
    #[must_use]
    pub fn pipe(&self, handle: &str, side: Side) -> Option<PipeId> {
        self.end(handle, side).map(|end| end.pipe)
    }

    /// The end with exactly this name: `r`, `near.w`. A handle of a duplex, which stands for two ends, gives none.
    #[must_use]
    pub fn end_named(&self, name: &str) -> Option<PipeEnd> {
        match self.ends(name) {
            [end] => Some(*end),
            _ => None,
        }
    }

    /// The name of an end, as a scenario writes it: `w`, `near.r`.
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
            _ => 0,
        };
        let first = self.made.get(&step).copied().unwrap_or_default();
        (first..first + pipes)
            .flat_map(|pipe| [PipeEnd::reader(pipe), PipeEnd::writer(pipe)])
            .collect()
    }

    /// How many pipes the steps make, if all of them succeed.
    #[must_use]
    pub fn pipe_count(&self) -> usize {
        self.names.len()
    }

    /// Whether two handles have an end in common: a duplex and one of its halves, for example.
    #[must_use]
    pub fn overlap(&self, one: &str, other: &str) -> bool {
        self.ends(one).iter().any(|end| self.ends(other).contains(end))
    }
}
