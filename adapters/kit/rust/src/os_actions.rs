//! The commands that an agent performs without the library: signals, limits, hand-written frames, unrelated programs,
//! and waiting for a child with the system's own calls.

use crate::command::{Command, FramePosition, WirePayload};
use crate::implementation::{Answer, Completed, Failure, Resources, payload_bytes};
use crate::protocol::WireOutcome;
use crate::signals;
use nix::errno::Errno;
use nix::libc::{self, rlim_t};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::process::{Child, Stdio};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What one process has besides its library. The sessions use it by themselves; it is public for sessions that are
/// written by hand.
#[derive(Debug, Default)]
pub struct OsActions {
    /// The programs that `exec` started, by name.
    programs: Mutex<BTreeMap<String, Child>>,
    /// The limits on descriptors before the first `limit`: soft and hard.
    limits: Mutex<Option<(rlim_t, rlim_t)>>,
    /// What `cut` left out, by handle.
    rests: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl OsActions {
    /// Whether [`perform`](Self::perform) performs this command.
    ///
    /// `reaped` is not among them, since the session must go on while it waits.
    #[must_use]
    pub fn performs(command: &Command) -> bool {
        match command {
            Command::Stall { .. }
            | Command::Reap { .. }
            | Command::Exec { .. }
            | Command::Cut { .. }
            | Command::Rest { .. }
            | Command::Announce { .. }
            | Command::Trap { .. }
            | Command::Ignore { .. }
            | Command::Block { .. }
            | Command::Signal { .. }
            | Command::SignalGroup { .. }
            | Command::Limit { .. } => true,
            Command::Count { what } => what == "trapped",
            _ => false,
        }
    }

    /// Performs one of these commands. `stall`, `reap`, and a write to a full pipe block the calling thread.
    ///
    /// # Errors
    ///
    /// The outcome of a call that failed; or `unsupported`, if the implementation does not provide what the command
    /// needs, or if the command is none of these.
    pub fn perform(&self, command: Command, resources: &impl Resources) -> Answer {
        match command {
            Command::Stall { child } => {
                let pid = self.pid(&child, resources)?;
                if let Some(program) = lock(&self.programs).get_mut(&child) {
                    drop(program.stdin.take());
                }
                stall(pid)?;
            }
            Command::Reap { child } => return Ok(self.reap(&child, resources)?.into()),
            Command::Exec { ghost } => self.exec(ghost)?,
            Command::Cut { handle, payload, at } => self.cut(handle, &payload, at, resources)?,
            Command::Rest { handle } => {
                let descriptor = resources.descriptor(&handle)?;
                let rest = lock(&self.rests).remove(&handle).unwrap_or_default();
                write(descriptor, &rest)?;
            }
            Command::Announce { handle, size } => {
                let header = header(resources, &handle, size)?;
                write(resources.descriptor(&handle)?, &header)?;
            }
            Command::Trap { signal } => signals::trap(&signal)?,
            Command::Ignore { signal } => signals::ignore(&signal)?,
            Command::Block { signal } => signals::block(&signal)?,
            Command::Signal { child, signal } => {
                let pid = Pid::from_raw(self.pid(&child, resources)?);
                let signal = Signal::from_str(&signal).map_err(io::Error::from)?;
                kill(pid, signal).map_err(io::Error::from)?;
            }
            Command::SignalGroup { child, signal } => {
                let group = Pid::from_raw(self.pid(&child, resources)?);
                let signal = Signal::from_str(&signal).map_err(io::Error::from)?;
                killpg(group, signal).map_err(io::Error::from)?;
            }
            Command::Limit { free } => self.limit(free)?,
            Command::Count { what } if what == "trapped" => {
                return Ok(WireOutcome::Number { n: signals::trapped() }.into());
            }
            other => return Err(Failure::unsupported(format!("not supported: {other:?}"))),
        }
        Ok(WireOutcome::Ok.into())
    }

    /// The pid of a child, or of a program that `exec` started.
    ///
    /// # Errors
    ///
    /// `unsupported`, if this process has started neither.
    pub fn pid(&self, child: &str, resources: &impl Resources) -> Result<i32, Failure> {
        let program = lock(&self.programs).get(child).map(Child::id);
        program
            .and_then(|pid| i32::try_from(pid).ok())
            .or_else(|| resources.child_pid(child))
            .ok_or_else(|| Failure::unsupported(format!("this process has no child {child}")))
    }

    /// Whether the system still knows this pid, as a running process or as a zombie.
    #[must_use]
    pub fn pid_exists(pid: i32) -> bool {
        kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
    }

    fn exec(&self, name: String) -> Result<(), Failure> {
        let mut shell = std::process::Command::new("sh");
        let program = shell.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn();
        let program = program.map_err(|error| Failure::Outcome(no_shell(&error)))?;
        lock(&self.programs).insert(name, program);
        Ok(())
    }

    fn reap(&self, child: &str, resources: &impl Resources) -> Result<WireOutcome, Failure> {
        let program = lock(&self.programs).remove(child);
        if let Some(mut program) = program {
            drop(program.stdin.take());
            return Ok(program.wait()?.into());
        }
        let pid = self.pid(child, resources)?;
        Ok(match waitpid(Pid::from_raw(pid), None).map_err(io::Error::from)? {
            WaitStatus::Signaled(_, signal, _) => WireOutcome::signal(signal as i32),
            WaitStatus::Exited(_, code) => WireOutcome::Exit { code },
            _ => WireOutcome::Other,
        })
    }

    fn cut(
        &self,
        handle: String,
        payload: &WirePayload,
        at: FramePosition,
        resources: &impl Resources,
    ) -> Result<(), Failure> {
        let payload = payload_bytes(payload);
        let mut frame = header(resources, &handle, payload.len() as u64)?;
        let header_len = frame.len();
        frame.extend(payload);
        let descriptor = resources.descriptor(&handle)?;
        let rest = frame.split_off(at.offset(header_len, frame.len()));
        lock(&self.rests).insert(handle, rest);
        Ok(write(descriptor, &frame)?)
    }

    /// Lowers the limit on descriptors so that `free` more can be opened, or restores it.
    fn limit(&self, free: Option<u64>) -> io::Result<()> {
        let mut limits = lock(&self.limits);
        let (soft, hard) = limits.map_or_else(|| getrlimit(Resource::RLIMIT_NOFILE), Ok)?;
        *limits = Some((soft, hard));
        let nth = free.map(|free| usize::try_from(free).unwrap_or(usize::MAX));
        let lowered = nth.and_then(|nth| (0..soft).filter(|fd| !is_open(*fd)).nth(nth));
        Ok(setrlimit(Resource::RLIMIT_NOFILE, lowered.unwrap_or(soft), hard)?)
    }
}

fn header(resources: &impl Resources, handle: &str, len: u64) -> Result<Vec<u8>, Failure> {
    let header = resources.frame_header(handle, len);
    header.ok_or_else(|| Failure::unsupported(format!("no header announces {len} bytes")))
}

/// The outcome of an `exec` for which there is no shell, which is not the fault of an implementation.
fn no_shell(error: &io::Error) -> Completed {
    Completed { detail: Some(format!("cannot start sh: {error}")), ..error.into() }
}

/// Whether this process has a descriptor of this number.
fn is_open(descriptor: rlim_t) -> bool {
    let is_open = |descriptor: RawFd| {
        // SAFETY: F_GETFD only asks whether the descriptor exists.
        unsafe { libc::fcntl(descriptor, libc::F_GETFD) != -1 }
    };
    RawFd::try_from(descriptor).is_ok_and(is_open)
}

/// Writes to the pipe behind a descriptor that the library owns, and waits while the pipe is full, although the
/// descriptor may be non-blocking.
fn write(descriptor: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the library has just named this descriptor as open. It is only copied, and the copy is owned here.
    let library_owned = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let mut pipe = File::from(library_owned.try_clone_to_owned()?);
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut writable = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
                // An error, such as an interruption, shows at the next write.
                let _ = poll(&mut writable, PollTimeout::NONE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until a child has ended, and leaves it to be reaped.
fn stall(pid: i32) -> io::Result<()> {
    let id = libc::id_t::try_from(pid).map_err(io::Error::other)?;
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    // nix has this call on some systems only.
    // SAFETY: the call writes at most one siginfo_t to the address, which nothing reads.
    let waited =
        unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
    match Errno::result(waited) {
        // ECHILD: it ended before, and was reaped.
        Ok(_) | Err(Errno::ECHILD) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
