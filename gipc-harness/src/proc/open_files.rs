//! What a process holds according to `/proc`: its open descriptors, and its children that ended and were not reaped.

use super::process_tree;
use std::collections::BTreeSet;
use std::fs;

/// An open descriptor of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenFile {
    /// The number of the descriptor.
    pub fd: i32,
    /// What the descriptor refers to, as the kernel names it: `pipe:[4711]`, `socket:[4712]`, `/dev/urandom`.
    pub target: String,
}

/// The open descriptors of a process; `None` if the process is gone or is not shown.
#[must_use]
pub fn open_files(pid: i32) -> Option<BTreeSet<OpenFile>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let open_file = |entry: fs::DirEntry| {
        // A descriptor that is closed between the listing and this call is left out.
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        Some(OpenFile { fd: entry.file_name().to_str()?.parse().ok()?, target })
    };
    Some(entries.flatten().filter_map(open_file).collect())
}

/// The pids of the children of a process that have ended and that the process has not reaped; `None` if the process is
/// gone or is not shown.
#[must_use]
pub fn zombie_children(pid: i32) -> Option<BTreeSet<i32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let mut children = Vec::new();
    for thread in threads {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(pids) => {
                children.extend(
                    pids.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()),
                );
            }
            // The kernel was built without these files.
            Err(_) if thread.path().exists() => children = process_tree::children(pid)?,
            Err(_) => {}
        }
    }
    let is_zombie = |pid: &i32| process_tree::stat(*pid).is_some_and(|child| child.state == 'Z');
    Some(children.into_iter().filter(is_zombie).collect())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).expect("a small number")
    }

    #[test]
    fn a_descriptor_is_listed_until_it_is_closed() {
        let file = fs::File::open("/dev/null").expect("every system has it");
        let opened = OpenFile { fd: file.as_raw_fd(), target: "/dev/null".into() };
        assert!(open_files(own_pid()).expect("it runs").contains(&opened));
        drop(file);
        assert!(!open_files(own_pid()).expect("it runs").contains(&opened));
    }

    #[test]
    fn a_child_is_a_zombie_from_its_end_until_it_is_reaped() {
        let mut child = Command::new("true").spawn().expect("every system has it");
        let pid = i32::try_from(child.id()).expect("a small number");
        while process_tree::stat(pid).expect("it was not reaped").state != 'Z' {
            std::thread::yield_now();
        }
        assert!(zombie_children(own_pid()).expect("it runs").contains(&pid));
        child.wait().expect("it has ended");
        assert!(!zombie_children(own_pid()).expect("it runs").contains(&pid));
    }
}
