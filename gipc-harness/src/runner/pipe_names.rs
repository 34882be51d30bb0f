//! Maps the pipes of the system to the pipe ends of the scenario.

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
    /// The ends whose pipes are known.
    known: BTreeSet<PipeEnd>,
    /// By process and descriptor: the pipes that were identified by descriptor numbers that may have been reused before.
    uncertain: BTreeMap<(i32, i32), PipeInode>,
}

/// A descriptor that an agent reported for an end that a step has made.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedEnd {
    pub(super) end: PipeEnd,
    pub(super) descriptor: i32,
    /// Whether the process certainly still holds the end.
    pub(super) is_open: bool,
}

#[derive(Debug, Default)]
struct Ends {
    reader: Option<PipeEnd>,
    writer: Option<PipeEnd>,
}

impl PipeNames {
    /// Learns which pipes belong to the ends that a step has made. Ignores descriptors that the system does not show as
    /// pipes.
    ///
    /// The number of a descriptor that may already have been closed may now belong to another pipe. It names its end only if
    /// the numbers of both ends lead to the same pipe: then either neither number was reused, or both were, for a newer
    /// pipe. The report about that newer pipe follows and replaces these names, or removes them if that pipe is gone as
    /// well.
    pub(super) fn learn(&mut self, pid: i32, reported: &[ReportedEnd]) {
        for one in reported {
            self.forget_earlier_use(pid, one);
            let same_pipe = || reported.iter().filter(|other| other.end.pipe == one.end.pipe);
            let shown = |reported: &ReportedEnd| pipe_holders::pipe_of(pid, reported.descriptor);
            let open = same_pipe().find(|reported| reported.is_open);
            let pipe = match open {
                Some(open) => shown(open),
                None => shown(one).filter(|pipe| {
                    same_pipe().count() == 2 && same_pipe().all(|other| shown(other) == Some(*pipe))
                }),
            };
            let Some(pipe) = pipe else { continue };
            if open.is_none() {
                self.uncertain.insert((pid, one.descriptor), pipe);
            }
            let ends = self.pipes.entry(pipe).or_default();
            // Names of another pipe date from before the numbers were reused. Both are removed, because for a stream of a
            // program only one end is reported.
            for name in [&mut ends.reader, &mut ends.writer] {
                if let Some(stale) = name.take_if(|end| end.pipe != one.end.pipe) {
                    self.known.remove(&stale);
                }
            }
            let name = if one.end.is_writer() { &mut ends.writer } else { &mut ends.reader };
            *name = Some(one.end);
            self.known.insert(one.end);
        }
    }

    /// Forgets the name that a pipe got from a number that is now reported for another pipe: the number may already have
    /// belonged to that other pipe.
    fn forget_earlier_use(&mut self, pid: i32, reported: &ReportedEnd) {
        let Some(pipe) = self.uncertain.remove(&(pid, reported.descriptor)) else { return };
        let is_other = |end: &PipeEnd| end.pipe != reported.end.pipe;
        let Some(ends) = self.pipes.get_mut(&pipe) else { return };
        for name in [&mut ends.reader, &mut ends.writer] {
            if let Some(stale) = name.take_if(|end| is_other(end)) {
                self.known.remove(&stale);
            }
        }
    }

    /// Learns that one descriptor of a process is all of these ends. Does nothing if the system does not show it as a
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

    /// Every descriptor in these processes that is a known socket: for each of its ends, the pid and the descriptor.
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
    pub(super) fn known_ends(&self) -> impl Iterator<Item = PipeEnd> + '_ {
        self.known.iter().copied()
    }

    /// Whether the pipe of an end is known.
    pub(super) fn knows(&self, end: PipeEnd) -> bool {
        self.known.contains(&end)
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

/// The number of bytes in each pipe that has a holder at both ends.
///
/// Counting them opens the pipe for reading for a moment. While the pipe has a reader and a writer, one more reader wakes no
/// process.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::{AsRawFd, OwnedFd};

    fn reported(pipe: usize, (r, w): &(OwnedFd, OwnedFd), is_open: bool) -> [ReportedEnd; 2] {
        let one = |end, fd: &OwnedFd| ReportedEnd { end, descriptor: fd.as_raw_fd(), is_open };
        [one(PipeEnd::reader(pipe), r), one(PipeEnd::writer(pipe), w)]
    }

    fn end_of(names: &PipeNames, fd: &OwnedFd) -> Option<PipeEnd> {
        let own = i32::try_from(std::process::id()).unwrap();
        let target = std::fs::read_link(format!("/proc/{own}/fd/{}", fd.as_raw_fd())).unwrap();
        let target = target.to_str().unwrap().to_owned();
        names.end_of(own, &OpenFile { fd: fd.as_raw_fd(), target })
    }

    #[test]
    fn a_descriptor_number_that_was_used_again_gives_no_name_to_another_pipe() {
        let own = i32::try_from(std::process::id()).unwrap();
        let (first, second) = (nix::unistd::pipe().unwrap(), nix::unistd::pipe().unwrap());
        // The writer of the first pipe was closed, and the writer of the second one got its number.
        let mut late = reported(0, &first, false);
        late[1].descriptor = second.1.as_raw_fd();

        let mut names = PipeNames::default();
        names.learn(own, &late);
        assert_eq!(end_of(&names, &first.0), None, "neither number is certain");
        assert_eq!(end_of(&names, &second.1), None);

        late[0].is_open = true;
        names.learn(own, &late);
        assert_eq!(end_of(&names, &first.0), Some(PipeEnd::reader(0)));
        assert_eq!(end_of(&names, &first.1), Some(PipeEnd::writer(0)), "a pipe has two ends");
        assert_eq!(end_of(&names, &second.1), None);

        names.learn(own, &reported(1, &second, false));
        assert_eq!(end_of(&names, &second.1), Some(PipeEnd::writer(1)), "both numbers agree");
        assert!(names.knows(PipeEnd::writer(1)), "an end that has a name is known");

        let file = OwnedFd::from(File::open("/dev/null").unwrap());
        let no_pipe = ReportedEnd { descriptor: file.as_raw_fd(), ..late[1] };
        let mut names = PipeNames::default();
        names.learn(own, &[no_pipe]);
        assert!(!names.knows(no_pipe.end));
    }

    /// Two reports come late: the second pipe got the numbers of the first one, its writer went to a program, and its reader
    /// was closed meanwhile.
    #[test]
    fn a_number_that_is_reported_again_takes_back_the_name_that_it_gave() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stream = nix::unistd::pipe().unwrap();
        let mut names = PipeNames::default();
        names.learn(own, &reported(0, &stream, false));
        assert_eq!(end_of(&names, &stream.1), Some(PipeEnd::writer(0)), "nothing tells otherwise");
        names.learn(own, &reported(1, &stream, false)[..1]);
        assert_eq!(end_of(&names, &stream.1), None);
        assert!(!names.knows(PipeEnd::writer(0)) && !names.knows(PipeEnd::reader(0)));
    }

    #[test]
    fn a_report_of_one_end_replaces_the_names_of_both() {
        let own = i32::try_from(std::process::id()).unwrap();
        let pipe = nix::unistd::pipe().unwrap();
        let mut names = PipeNames::default();
        // Pipe 1 has both numbers of pipe 0 by now, and this process keeps its writer.
        names.learn(own, &reported(0, &pipe, false));
        assert_eq!(end_of(&names, &pipe.0), Some(PipeEnd::reader(0)));
        let [_, writer] = reported(1, &pipe, true);
        names.learn(own, &[writer]);
        assert_eq!(end_of(&names, &pipe.1), Some(PipeEnd::writer(1)));
        assert_eq!(end_of(&names, &pipe.0), None);
        assert!(!names.knows(PipeEnd::reader(0)) && !names.knows(PipeEnd::writer(0)));
    }
}
