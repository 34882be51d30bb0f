//! Who holds which end of a pipe, as the kernel shows it.
//!
//! Only looks. To open an end adds a reader or a writer, and changes what is looked at; so it is done for one thing, to
//! see how many bytes wait in a pipe, and only where there are readers and writers already: nobody is woken by one reader
//! more.

use super::platform;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// A pipe: the number of its inode.
pub type PipeId = u64;

/// Classified descriptor of one process that is an end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The process.
    pub pid: i32,
    /// Its descriptor.
    pub fd: i32,
    /// The pipe.
    pub pipe: PipeId,
    /// Which end.
    pub access: Access,
}

/// What can be done with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It is the end that gets.
    Read,
    /// It is the end that puts, or both.
    Write,
}

/// The pipes of a run by the names of their ends.
#[derive(Debug, Default)]
pub(crate) struct NamedPipes(BTreeMap<PipeId, [Option<String>; 2]>);

impl NamedPipes {
    /// Learns which pipe is behind the descriptors of new handles.
    pub(crate) fn learn(
        &mut self,
        pid: i32,
        descriptors: &BTreeMap<String, i32>,
        is_writer: impl Fn(&str) -> bool,
    ) {
        for (end, descriptor) in descriptors {
            if let Some(pipe) = pipe_of(pid, *descriptor) {
                self.0.entry(pipe).or_default()[usize::from(is_writer(end))] = Some(end.clone());
            }
        }
    }

    /// The ends whose pipes are known.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.0.values().flatten().flatten().cloned().collect()
    }

    /// Every descriptor in these processes that is a named end.
    pub(crate) fn holders(&self, pids: &[i32]) -> Vec<(String, Holder)> {
        let wanted: BTreeSet<PipeId> = self.0.keys().copied().collect();
        let name = |holder: &Holder| {
            self.0.get(&holder.pipe)?[usize::from(holder.access == Access::Write)].clone()
        };
        holders(pids, &wanted)
            .into_iter()
            .filter_map(|holder| Some((name(&holder)?, holder)))
            .collect()
    }
}

/// How many bytes wait in each pipe of which both ends are among these, by the name of the end that gets.
pub(crate) fn bytes(holders: &[(String, Holder)]) -> BTreeMap<String, u64> {
    let of = |access: Access| holders.iter().filter(move |(_, holder)| holder.access == access);
    let is_written = |pipe: PipeId| of(Access::Write).any(|(_, holder)| holder.pipe == pipe);
    of(Access::Read)
        .filter(|(_, holder)| is_written(holder.pipe))
        .filter_map(|(end, holder)| Some((end.clone(), platform::waiting(holder.pid, holder.fd)?)))
        .collect()
}

/// The pipe behind a descriptor; `None` if it is none, or cannot be seen.
#[must_use]
pub fn pipe_of(pid: i32, fd: i32) -> Option<PipeId> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    link.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()
}

/// Every end of the wanted pipes in these processes.
#[must_use]
pub fn holders(pids: &[i32], wanted: &BTreeSet<PipeId>) -> Vec<Holder> {
    let mut found = Vec::new();
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let pipe = fd.and_then(|fd| Some((fd, pipe_of(*pid, fd)?)));
            if let Some((fd, pipe)) = pipe.filter(|(_, pipe)| wanted.contains(pipe)) {
                found.extend(access(*pid, fd).map(|access| Holder { pid: *pid, fd, pipe, access }));
            }
        }
    }
    found.sort();
    found
}

fn access(pid: i32, fd: i32) -> Option<Access> {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
    Some(if flags & libc::O_ACCMODE == libc::O_RDONLY { Access::Read } else { Access::Write })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn both_ends_of_a_pipe_are_found_with_their_access() {
        let (r, w) = nix::unistd::pipe().expect("a pipe");
        let own = i32::try_from(std::process::id()).expect("a small number");
        let pipe = pipe_of(own, r.as_raw_fd()).expect("it is one");
        assert_eq!(pipe_of(own, w.as_raw_fd()), Some(pipe));
        let ends = holders(&[own], &BTreeSet::from([pipe]));
        let ends: BTreeSet<_> = ends.iter().map(|end| (end.fd, end.access)).collect();
        assert!(
            ends.contains(&(r.as_raw_fd(), Access::Read))
                && ends.contains(&(w.as_raw_fd(), Access::Write))
        );
        assert_eq!(pipe_of(own, 1_000_000), None);
    }
}
