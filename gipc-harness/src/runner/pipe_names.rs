//! Which pipe of the system stands behind each pipe end of the scenario.

use crate::proc::open_files::OpenFile;
use crate::proc::pipe_holders::{self, Access, Holder, PipeInode, SocketInode};
use crate::proc::platform;
use crate::scenario::PipeEnd;
use crate::trace::FillLevel;
use std::collections::{BTreeMap, BTreeSet};

/// The pipes and sockets that the agents reported, by inode.
#[derive(Debug, Default)]
pub(super) struct PipeNames {
    pipes: BTreeMap<PipeInode, Ends>,
    /// A socket is two ends at once: the near side of both pipes of a duplex.
    sockets: BTreeMap<SocketInode, Vec<PipeEnd>>,
}

#[derive(Debug, Default)]
struct Ends {
    reader: Option<PipeEnd>,
    writer: Option<PipeEnd>,
}

impl PipeNames {
    /// Learns that a descriptor of a process is an end of a pipe. Does nothing if the system does not show it as a pipe.
    pub(super) fn learn(&mut self, pid: i32, descriptor: i32, end: PipeEnd) {
        if let Some(pipe) = pipe_holders::pipe_of(pid, descriptor) {
            let ends = self.pipes.entry(pipe).or_default();
            *(if end.is_writer() { &mut ends.writer } else { &mut ends.reader }) = Some(end);
        }
    }

    /// Learns that a descriptor of a process is these ends together. Does nothing if the system does not show it as a
    /// socket.
    pub(super) fn learn_socket(&mut self, pid: i32, descriptor: i32, ends: &[PipeEnd]) {
        if let Some(socket) = pipe_holders::socket_of(pid, descriptor) {
            self.sockets.insert(socket, ends.to_vec());
        }
    }

    /// The pipe end of the scenario that an open descriptor of a process is.
    pub(super) fn end_of(&self, pid: i32, file: &OpenFile) -> Option<PipeEnd> {
        let ends = self.pipes.get(&pipe_holders::pipe_in(&file.target)?)?;
        match pipe_holders::access(pid, file.fd)? {
            Access::Read => ends.reader,
            Access::Write => ends.writer,
        }
    }

    /// The ends whose sockets are known.
    pub(super) fn socket_ends(&self) -> impl Iterator<Item = PipeEnd> + '_ {
        self.sockets.values().flatten().copied()
    }

    /// Every descriptor in these processes that is a known socket: for each of its ends the pid and the descriptor.
    pub(super) fn socket_holders(&self, pids: &[i32]) -> Vec<(PipeEnd, i32, i32)> {
        let sockets: BTreeSet<SocketInode> = self.sockets.keys().copied().collect();
        if sockets.is_empty() {
            return Vec::new();
        }
        let holders = pipe_holders::socket_holders(pids, &sockets).into_iter();
        let of_ends = |(pid, fd, socket)| {
            self.sockets[&socket].iter().map(move |end| (*end, pid, fd)).collect::<Vec<_>>()
        };
        holders.flat_map(of_ends).collect()
    }

    /// The ends whose pipes are known.
    pub(super) fn known_ends(&self) -> BTreeSet<PipeEnd> {
        self.pipes.values().flat_map(|ends| [ends.reader, ends.writer]).flatten().collect()
    }

    /// Every descriptor in these processes that is a known end.
    pub(super) fn holders(&self, pids: &[i32]) -> Vec<(PipeEnd, Holder)> {
        let pipes: BTreeSet<PipeInode> = self.pipes.keys().copied().collect();
        let end = |holder: &Holder| {
            let ends = self.pipes.get(&holder.pipe)?;
            match holder.access {
                Access::Read => ends.reader,
                Access::Write => ends.writer,
            }
        };
        let holders = pipe_holders::holders(pids, &pipes).into_iter();
        holders.filter_map(|holder| Some((end(&holder)?, holder))).collect()
    }
}

/// The number of bytes in each pipe both ends of which have a holder.
///
/// To count them opens the pipe for reading for a moment. While the pipe has a reader and a writer, one reader more or
/// less wakes no process.
pub(super) fn fill_levels(holders: &[(PipeEnd, Holder)]) -> Vec<FillLevel> {
    let is_written = |pipe: PipeInode| {
        holders.iter().any(|(_, other)| other.access == Access::Write && other.pipe == pipe)
    };
    let mut levels: Vec<FillLevel> = holders
        .iter()
        .filter(|(_, holder)| holder.access == Access::Read && is_written(holder.pipe))
        .filter_map(|(end, holder)| {
            let bytes = platform::bytes_in_pipe(holder.pid, holder.fd)?;
            Some(FillLevel { pipe: end.pipe, bytes })
        })
        .collect();
    levels.sort_by_key(|level| level.pipe);
    levels.dedup_by_key(|level| level.pipe);
    levels
}
