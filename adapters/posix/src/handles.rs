//! The handle table: the pipe ends that this process has or had, by name, and the queue of steps at each. A duplex has
//! no entry of its own: the name `near` stands for the ends `near.r` and `near.w`. `agent` knows what the queued steps
//! do.

use crate::commands::Operation;
use crate::faults::{self, fault, is_marked, mark};
use crate::frame::{Incoming, Outgoing};
use crate::protocol::{Outcome, is, os_error};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::unistd::{close, pipe2};
use serde_json::Value;
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
            Side::Reader(_) if fault!("half-a-message-stays-behind") => &[],
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

    /// Moves the last put to the front, unless the first one has begun.
    pub(crate) fn put_last_first(&mut self, begun: &[StepId]) {
        let first_has_begun = self.queue.front().is_some_and(|id| begun.contains(id));
        if matches!(self.side, Side::Writer(_)) && !first_has_begun {
            self.queue.rotate_right(1);
        }
    }

    /// Faults of a step that is cancelled or reaches its limit.
    pub(crate) fn spoil_abandoned(&mut self, is_cancelled: bool, operation: &mut Operation) {
        if fault!("a-cancelled-step-keeps-its-end") {
            std::mem::forget(self.fd.as_ref().map(|fd| fd.try_clone()));
        }
        match (&mut self.side, operation) {
            (Side::Reader(incoming), Operation::Get { .. }) => {
                if is_cancelled && fault!("a-cancelled-get-drops-what-came")
                    || !is_cancelled && fault!("a-get-past-its-limit-drops-what-came")
                {
                    *incoming = Incoming::default();
                }
                if is_cancelled && fault!("the-second-cancelled-get-loses-a-message", |n| n == 2) {
                    mark("swallow");
                }
            }
            (Side::Writer(rest), Operation::Put { outgoing, .. }) => {
                if fault!("a-withdrawn-put-is-sent") && !outgoing.has_begun() {
                    *rest = std::mem::take(outgoing);
                }
                if fault!("a-cancelled-put-is-sent-again") && outgoing.has_begun() {
                    outgoing.start_again();
                }
            }
            _ => {}
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
    let mut flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    if fault!("siblings-inherit") || fault!("the-third-pipe-is-inherited", |n| n == 3) {
        flags.remove(OFlag::O_CLOEXEC);
    }
    let (reader, writer) = pipe2(flags)?;
    let reader = PipeEnd::new(reader, Side::Reader(Incoming::default()));
    Ok((reader, PipeEnd::new(writer, Side::Writer(Outgoing::default()))))
}

/// All pipe ends of this process, by name.
#[derive(Default)]
pub(crate) struct Handles(pub(crate) BTreeMap<String, PipeEnd>);

impl Handles {
    /// The number of open ends.
    pub(crate) fn count(&self) -> usize {
        let counts = |end: &PipeEnd| end.fd.is_some() || fault!("closed-handles-are-counted");
        self.0.values().filter(|end| counts(end)).count()
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
        match end {
            Some(PipeEnd { fd: Some(_), .. }) => Ok(name),
            _ if fault!("a-closed-reader-is-at-its-end") && letter == 'r' => Err(is("eof")),
            _ if fault!("a-closed-writer-takes-all") && letter == 'w' => Err(is("ok")),
            _ => Err(is("closed")),
        }
    }

    /// The ends that a spawn gives away and keeps, by the field `shared` of the command.
    pub(crate) fn shared(&self, names: &Value) -> BTreeSet<String> {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        if fault!("what-is-shared-moves") {
            return BTreeSet::new();
        }
        names.flat_map(|name| self.resolve(name)).collect()
    }

    /// The open ends that a name stands for.
    fn open(&self, name: &str) -> Result<Vec<String>, Outcome> {
        let mut ends = self.resolve(name);
        let known = ends.len();
        ends.retain(|end| self.0[end].fd.is_some());
        if fault!("a-half-closed-duplex-is-closed") && ends.len() < known {
            return Err(is("closed"));
        }
        if ends.is_empty() { Err(is("closed")) } else { Ok(ends) }
    }

    /// Fails with `locked` if a step uses one of the ends, or if the rest of an abandoned put is unwritten.
    fn check_unused(&self, ends: &[String]) -> Result<(), Outcome> {
        let used = ends.iter().any(|end| self.0[end].is_busy());
        if used && fault!("close-waits-for-the-user") {
            loop {
                std::thread::park();
            }
        }
        if used && !fault!("what-is-in-use-can-be-closed") { Err(is("locked")) } else { Ok(()) }
    }

    /// Closes the open ends of a handle. An end whose `close` fails counts as closed too.
    pub(crate) fn close(&mut self, name: &str) -> Result<Outcome, Outcome> {
        let mut outcome = is("ok");
        let ends = match self.open(name) {
            Err(_) if fault!("a-second-close-is-ok") => return Ok(is("ok")),
            Err(_) if fault!("a-second-close-hits-another") => return Err(self.close_again(name)),
            ends => ends?,
        };
        self.check_unused(&ends)?;
        if fault!("a-half-closes-the-whole") {
            self.release(&name.replace(".w", ".r"));
        }
        for end in ends {
            if fault!("a-close-keeps-the-descriptor")
                || fault!("every-second-close-keeps-the-descriptor", |n| n % 2 == 0)
                || fault!("closing-a-duplex-keeps-the-reader")
                    && end.ends_with(".r")
                    && !name.ends_with(".r")
            {
                std::mem::forget(self.release(&end));
                continue;
            }
            if fault!("closing-a-reader-waits-for-a-message") && self.0[&end].letter() == 'r' {
                if let Some(fd) = self.0[&end].raw_fd() {
                    faults::block_until(fd, nix::libc::POLLIN);
                }
            }
            if let Some(Err(error)) = self.release(&end).map(close) {
                outcome = os_error(error);
            }
        }
        Ok(outcome)
    }

    /// The ends that a spawn with these handles gives away. The checks have an order: `closed` first, then `misuse` for
    /// a handle that is named twice, then `locked`.
    pub(crate) fn transferable(&self, names: &[&str]) -> Result<BTreeSet<String>, Outcome> {
        if fault!("in-use-is-said-before-closed") {
            let known: Vec<String> = names.iter().flat_map(|name| self.resolve(name)).collect();
            self.check_unused(&known)?;
        }
        let ends =
            names.iter().map(|name| self.open(name)).collect::<Result<Vec<_>, _>>()?.concat();
        let distinct = BTreeSet::from_iter(ends.clone());
        if distinct.len() < ends.len() && !fault!("one-handle-is-given-twice") {
            return Err(is("misuse"));
        }
        if fault!("a-start-needs-idle-pipes") && self.0.values().any(PipeEnd::is_busy) {
            return Err(is("locked"));
        }
        if !fault!("what-is-in-use-is-given") {
            self.check_unused(&ends)?;
        }
        Ok(distinct)
    }

    /// Closes the descriptor that now has the number of a closed handle.
    fn close_again(&self, name: &str) -> Outcome {
        if let Some(fd) = (3..1024).find(|fd| is_marked(&format!("{name} was {fd}"))) {
            faults::close_number(fd);
        }
        is("closed")
    }

    /// Takes the descriptor out of an end, which is closed from then on.
    pub(crate) fn release(&mut self, name: &str) -> Option<OwnedFd> {
        let end = self.0.get_mut(name)?;
        if let Some(fd) = end.raw_fd().filter(|_| fault!("a-second-close-hits-another")) {
            mark(&format!("{name} was {fd}"));
        }
        end.side = match end.side {
            Side::Reader(_) => Side::Reader(Incoming::default()),
            Side::Writer(_) => Side::Writer(Outgoing::default()),
        };
        end.fd.take()
    }
}
