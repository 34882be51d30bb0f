//! The ends of pipes that this process has or had, by name, and who waits at each. A duplex is no thing of its own:
//! `near` stands for the ends `near.r` and `near.w`. What the waiting steps want is not known here.

use crate::frame::{Incoming, Outgoing};
use crate::words::{Outcome, is, system};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::unistd::{close, pipe2};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Names a step that is under way.
pub(crate) type StepId = u64;

/// What an end is for, with what the message that is half through left behind.
pub(crate) enum Side {
    Reader(Incoming),
    /// The rest of a put that gave up in its middle: it goes before anything else.
    Writer(Outgoing),
}

/// One end of a pipe. It stays in the table when it is closed or given away, so that this can be told.
pub(crate) struct End {
    pub(crate) fd: Option<OwnedFd>,
    pub(crate) side: Side,
    /// The steps that want it, the first of which has it.
    pub(crate) waiting: VecDeque<StepId>,
}

impl End {
    pub(crate) fn new(fd: OwnedFd, side: Side) -> Self {
        Self { fd: Some(fd), side, waiting: VecDeque::new() }
    }

    /// What must reach a new owner beside the descriptor.
    pub(crate) fn carried(&self) -> &[u8] {
        match &self.side {
            Side::Reader(incoming) => incoming.carried(),
            Side::Writer(owed) => owed.carried(),
        }
    }

    /// Whether anything waits for its descriptor. Who gave up in the middle of a put does not have it any more, but
    /// the loop still writes what is owed.
    pub(crate) fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
            || matches!(&self.side, Side::Writer(owed) if !owed.carried().is_empty())
    }

    /// Writes what is owed, as far as there is room; whether anything else may follow.
    pub(crate) fn pay(&mut self) -> bool {
        let (Side::Writer(owed), Some(fd)) = (&mut self.side, &self.fd) else { return true };
        match owed.advance(fd.as_fd()) {
            None => false,
            Some(outcome) => {
                // If nobody reads any more, the next put finds that out for itself.
                if outcome != is("ok") {
                    *owed = Outgoing::default();
                }
                true
            }
        }
    }

    /// How its descriptor is told to a new program: `r5`, `w6`.
    pub(crate) fn letter(&self) -> char {
        match self.side {
            Side::Reader(_) => 'r',
            Side::Writer(_) => 'w',
        }
    }

    /// What must happen to the descriptor before it is of use.
    pub(crate) fn events(&self) -> PollFlags {
        match self.side {
            Side::Reader(_) => PollFlags::POLLIN,
            Side::Writer(_) => PollFlags::POLLOUT,
        }
    }

    /// The number of its descriptor.
    pub(crate) fn number(&self) -> Option<RawFd> {
        self.fd.as_ref().map(AsRawFd::as_raw_fd)
    }
}

/// A new pipe, reader first.
pub(crate) fn pipe() -> Result<(End, End), Errno> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let reader = End::new(reader, Side::Reader(Incoming::default()));
    Ok((reader, End::new(writer, Side::Writer(Outgoing::default()))))
}

/// All ends, by name.
#[derive(Default)]
pub(crate) struct Ends(pub(crate) BTreeMap<String, End>);

impl Ends {
    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.0.values().filter(|end| end.fd.is_some()).count()
    }

    /// The names of the ends that a name stands for: itself, the halves of a duplex, or none.
    fn meant(&self, name: &str) -> Vec<String> {
        let halves = [name.to_owned(), format!("{name}.r"), format!("{name}.w")];
        halves.into_iter().filter(|name| self.0.contains_key(name)).collect()
    }

    /// The name of the end behind `name` that is a reader (`r`) or a writer (`w`), if it is open.
    pub(crate) fn usable(&self, name: &str, letter: char) -> Result<String, Outcome> {
        let half = format!("{name}.{letter}");
        let (end, name) = match self.0.get(name) {
            Some(end) if end.letter() != letter => return Err(is("misuse")),
            Some(end) => (Some(end), name.to_owned()),
            None => (self.0.get(&half), half),
        };
        // What was never here is as closed as what is no longer here.
        if end.is_some_and(|end| end.fd.is_some()) { Ok(name) } else { Err(is("closed")) }
    }

    /// What is open of what a name stands for.
    fn open(&self, name: &str) -> Result<Vec<String>, Outcome> {
        let mut ends = self.meant(name);
        ends.retain(|end| self.0[end].fd.is_some());
        if ends.is_empty() { Err(is("closed")) } else { Ok(ends) }
    }

    /// Refuses ends that a task is using, or where the rest of a put is still owed.
    fn unused(&self, ends: &[String]) -> Result<(), Outcome> {
        let used = ends.iter().any(|end| self.0[end].is_busy());
        if used { Err(is("locked")) } else { Ok(()) }
    }

    /// Closes what is open of a handle. An end that cannot be closed in good order is closed all the same.
    pub(crate) fn close(&mut self, name: &str) -> Result<Outcome, Outcome> {
        let mut outcome = is("ok");
        let ends = self.open(name)?;
        self.unused(&ends)?;
        for end in ends {
            if let Some(Err(error)) = self.release(&end).map(close) {
                outcome = system(error);
            }
        }
        Ok(outcome)
    }

    /// The ends that a start would give away, if all of them can be given. That something is closed is said first, and
    /// that it is in use last: until then the call has to make sense.
    pub(crate) fn giveable(&self, names: &[&str]) -> Result<BTreeSet<String>, Outcome> {
        let ends =
            names.iter().map(|name| self.open(name)).collect::<Result<Vec<_>, _>>()?.concat();
        let once = BTreeSet::from_iter(ends.clone());
        if once.len() < ends.len() {
            return Err(is("misuse"));
        }
        self.unused(&ends)?;
        Ok(once)
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
