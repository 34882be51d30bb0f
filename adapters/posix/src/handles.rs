//! The handle table: the pipe ends that this process has or had, by name, and the queue of steps at each. A duplex has
//! no entry of its own: the name `near` stands for the ends `near.r` and `near.w`. `agent` knows what the queued steps
//! do.

use crate::frame::{Incoming, Outgoing};
use crate::protocol::{Outcome, is, os_error};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::unistd::{close, pipe2};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// The number by which the harness refers to a step.
pub(crate) type StepId = u64;

/// Which end of a pipe it is, with the state of an unfinished message.
pub(crate) enum Side {
    Reader(Incoming),
    /// The rest of a put that was given up after a part of it was written. It is written before anything else.
    Writer(Outgoing),
}

/// One end of a pipe. It stays in the table after it is closed or given away, so that later uses are answered `closed`.
pub(crate) struct PipeEnd {
    pub(crate) fd: Option<OwnedFd>,
    pub(crate) side: Side,
    /// The steps that use or await this end. The first one has it.
    pub(crate) queue: VecDeque<StepId>,
}

impl PipeEnd {
    pub(crate) fn new(fd: OwnedFd, side: Side) -> Self {
        Self { fd: Some(fd), side, queue: VecDeque::new() }
    }

    /// The bytes that a new owner needs in addition to the descriptor.
    pub(crate) fn unfinished(&self) -> &[u8] {
        match &self.side {
            Side::Reader(incoming) => incoming.unfinished(),
            Side::Writer(rest) => rest.unfinished(),
        }
    }

    /// Whether the loop must watch the descriptor: a step is queued, or the rest of an abandoned put is unwritten.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
            || matches!(&self.side, Side::Writer(rest) if !rest.unfinished().is_empty())
    }

    /// Writes the rest of an abandoned put as far as there is room; returns whether another message may follow.
    pub(crate) fn flush_rest(&mut self) -> bool {
        let (Side::Writer(rest), Some(fd)) = (&mut self.side, &self.fd) else { return true };
        match rest.advance(fd.as_fd()) {
            None => false,
            Some(outcome) => {
                // If there is no reader any more, the next put gets that error itself.
                if outcome != is("ok") {
                    *rest = Outgoing::default();
                }
                true
            }
        }
    }

    /// The letter that marks the side in the arguments of a new process, as in `r5` and `w6`.
    pub(crate) fn letter(&self) -> char {
        match self.side {
            Side::Reader(_) => 'r',
            Side::Writer(_) => 'w',
        }
    }

    /// The events to poll for.
    pub(crate) fn events(&self) -> PollFlags {
        match self.side {
            Side::Reader(_) => PollFlags::POLLIN,
            Side::Writer(_) => PollFlags::POLLOUT,
        }
    }

    pub(crate) fn raw_fd(&self) -> Option<RawFd> {
        self.fd.as_ref().map(AsRawFd::as_raw_fd)
    }
}

/// Creates a pipe; returns the reader first.
pub(crate) fn pipe() -> Result<(PipeEnd, PipeEnd), Errno> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let reader = PipeEnd::new(reader, Side::Reader(Incoming::default()));
    Ok((reader, PipeEnd::new(writer, Side::Writer(Outgoing::default()))))
}

/// All pipe ends of this process, by name.
#[derive(Default)]
pub(crate) struct Handles(pub(crate) BTreeMap<String, PipeEnd>);

impl Handles {
    /// The number of open ends.
    pub(crate) fn count(&self) -> usize {
        self.0.values().filter(|end| end.fd.is_some()).count()
    }

    /// The ends that a name stands for: itself, the halves of a duplex, or none.
    fn resolve(&self, name: &str) -> Vec<String> {
        let candidates = [name.to_owned(), format!("{name}.r"), format!("{name}.w")];
        candidates.into_iter().filter(|name| self.0.contains_key(name)).collect()
    }

    /// The name of the open reader (`r`) or writer (`w`) that `name` stands for.
    pub(crate) fn usable(&self, name: &str, letter: char) -> Result<String, Outcome> {
        let half = format!("{name}.{letter}");
        let (end, name) = match self.0.get(name) {
            Some(end) if end.letter() != letter => return Err(is("misuse")),
            Some(end) => (Some(end), name.to_owned()),
            None => (self.0.get(&half), half),
        };
        // A handle that this process never had gets the same answer as one that is closed or given away.
        if end.is_some_and(|end| end.fd.is_some()) { Ok(name) } else { Err(is("closed")) }
    }

    /// The open ends that a name stands for.
    fn open(&self, name: &str) -> Result<Vec<String>, Outcome> {
        let mut ends = self.resolve(name);
        ends.retain(|end| self.0[end].fd.is_some());
        if ends.is_empty() { Err(is("closed")) } else { Ok(ends) }
    }

    /// Fails with `locked` if a step uses one of the ends, or if the rest of an abandoned put is unwritten.
    fn check_unused(&self, ends: &[String]) -> Result<(), Outcome> {
        let used = ends.iter().any(|end| self.0[end].is_busy());
        if used { Err(is("locked")) } else { Ok(()) }
    }

    /// Closes the open ends of a handle. An end whose `close` fails counts as closed too.
    pub(crate) fn close(&mut self, name: &str) -> Result<Outcome, Outcome> {
        let mut outcome = is("ok");
        let ends = self.open(name)?;
        self.check_unused(&ends)?;
        for end in ends {
            if let Some(Err(error)) = self.release(&end).map(close) {
                outcome = os_error(error);
            }
        }
        Ok(outcome)
    }

    /// The ends that a spawn with these handles gives away. The checks have an order: `closed` first, then `misuse` for
    /// a handle that is named twice, then `locked`.
    pub(crate) fn transferable(&self, names: &[&str]) -> Result<BTreeSet<String>, Outcome> {
        let ends =
            names.iter().map(|name| self.open(name)).collect::<Result<Vec<_>, _>>()?.concat();
        let distinct = BTreeSet::from_iter(ends.clone());
        if distinct.len() < ends.len() {
            return Err(is("misuse"));
        }
        self.check_unused(&ends)?;
        Ok(distinct)
    }

    /// Takes the descriptor out of an end, which is closed from then on.
    pub(crate) fn release(&mut self, name: &str) -> Option<OwnedFd> {
        let end = self.0.get_mut(name)?;
        end.side = match end.side {
            Side::Reader(_) => Side::Reader(Incoming::default()),
            Side::Writer(_) => Side::Writer(Outgoing::default()),
        };
        end.fd.take()
    }
}
