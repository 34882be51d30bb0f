//! The pipe ends of a script that is being generated: which process owns each, and how many messages are in each pipe
//! according to file order.

use crate::scenario::Side;
use std::collections::BTreeMap;

/// All ends, by their names.
#[derive(Default)]
pub(super) struct Ends {
    ends: BTreeMap<String, End>,
    /// How many more puts than gets there are, by the name of the writer.
    messages: BTreeMap<String, i32>,
}

struct End {
    side: Side,
    owner: String,
    /// The processes with which the owner has shared it.
    sharers: Vec<String>,
    /// The name of the other end of the same pipe.
    opposite: String,
}

impl Ends {
    pub(super) fn add_pipe(&mut self, reader: &str, writer: &str, owner: &str) {
        for (name, side, opposite) in
            [(reader, Side::Reader, writer), (writer, Side::Writer, reader)]
        {
            let (owner, opposite) = (owner.to_owned(), opposite.to_owned());
            let end = End { side, owner, sharers: Vec::new(), opposite };
            self.ends.insert(name.to_owned(), end);
        }
    }

    pub(super) fn give(&mut self, end: &str, owner: &str) {
        if let Some(end) = self.ends.get_mut(end) {
            owner.clone_into(&mut end.owner);
        }
    }

    /// Shares an end: the owner keeps it, and another process gets it too.
    pub(super) fn share(&mut self, end: &str, other: &str) {
        if let Some(end) = self.ends.get_mut(end) {
            end.sharers.push(other.to_owned());
        }
    }

    pub(super) fn owner(&self, end: &str) -> Option<String> {
        self.ends.get(end).map(|end| end.owner.clone())
    }

    /// The names of the ends of a side that a process owns or shares. Without a process, of all processes.
    pub(super) fn names(&self, side: Side, owner: Option<&str>) -> Vec<&String> {
        let has = |end: &End, process: &str| {
            end.owner == process || end.sharers.iter().any(|sharer| sharer == process)
        };
        let is_wanted =
            |end: &End| end.side == side && owner.is_none_or(|process| has(end, process));
        self.ends.iter().filter(|(_, end)| is_wanted(end)).map(|(name, _)| name).collect()
    }

    /// The name of the other end of the same pipe.
    pub(super) fn opposite(&self, end: &str) -> Option<String> {
        self.ends.get(end).map(|end| end.opposite.clone())
    }

    pub(super) fn count_put(&mut self, writer: &str) {
        *self.messages.entry(writer.to_owned()).or_default() += 1;
    }

    pub(super) fn count_get(&mut self, reader: &str) {
        if let Some(writer) = self.opposite(reader) {
            *self.messages.entry(writer).or_default() -= 1;
        }
    }

    /// Whether a get from this end would receive a message.
    pub(super) fn has_message(&self, reader: &str) -> bool {
        let writer = self.ends.get(reader).map(|end| &end.opposite);
        writer.and_then(|writer| self.messages.get(writer)).is_some_and(|count| *count > 0)
    }
}
