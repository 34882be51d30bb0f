//! Which processes hold which end of a pipe, as shown by the kernel.

use super::platform::is_portable_forced;
use std::collections::BTreeSet;
use std::fs;

/// Identifies a pipe of the system: the number of its inode.
pub type PipeInode = u64;

/// Identifies a socket of the system: the number of its inode. Each of the two sockets of a pair has its own.
pub type SocketInode = u64;

/// A descriptor of one process that is an end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The process id.
    pub pid: i32,
    /// The number of the descriptor.
    pub fd: i32,
    /// The pipe.
    pub pipe: PipeInode,
    /// Which end of the pipe it is.
    pub access: Access,
}

/// How a descriptor was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Only for reading.
    Read,
    /// For writing, or for both.
    Write,
}

/// The pipe behind a descriptor; `None` if the descriptor is not a pipe or is not shown.
#[must_use]
pub fn pipe_of(pid: i32, fd: i32) -> Option<PipeInode> {
    if is_portable_forced() {
        return None;
    }
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    pipe_in(link.to_str()?)
}

/// The pipe that the kernel names in this way; `None` if it names something else.
#[must_use]
pub fn pipe_in(target: &str) -> Option<PipeInode> {
    target.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()
}

/// The socket behind a descriptor; `None` if the descriptor is not a socket or is not shown.
#[must_use]
pub fn socket_of(pid: i32, fd: i32) -> Option<SocketInode> {
    if is_portable_forced() {
        return None;
    }
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Every descriptor in these processes that is one of these sockets: the pid, the descriptor and the socket.
#[must_use]
pub fn socket_holders(
    pids: &[i32],
    sockets: &BTreeSet<SocketInode>,
) -> Vec<(i32, i32, SocketInode)> {
    let mut found = Vec::new();
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let socket = fd.and_then(|fd| Some((fd, socket_of(*pid, fd)?)));
            let socket = socket.filter(|(_, socket)| sockets.contains(socket));
            found.extend(socket.map(|(fd, socket)| (*pid, fd, socket)));
        }
    }
    found.sort_unstable();
    found
}

/// Every descriptor in these processes that is an end of one of these pipes.
#[must_use]
pub fn holders(pids: &[i32], pipes: &BTreeSet<PipeInode>) -> Vec<Holder> {
    let mut found = Vec::new();
    for pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let pipe = fd.and_then(|fd| Some((fd, pipe_of(*pid, fd)?)));
            if let Some((fd, pipe)) = pipe.filter(|(_, pipe)| pipes.contains(pipe)) {
                found.extend(access(*pid, fd).map(|access| Holder { pid: *pid, fd, pipe, access }));
            }
        }
    }
    found.sort();
    found
}

/// How a descriptor of a process was opened; `None` if it is closed or not shown.
#[must_use]
pub fn access(pid: i32, fd: i32) -> Option<Access> {
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
        let pipe = pipe_of(own, r.as_raw_fd()).expect("it is a pipe");
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
