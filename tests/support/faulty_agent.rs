//! An agent of an implementation with one fault, which is otherwise correct: descriptors without close-on-exec, so that
//! every child inherits all handles that are open when it is spawned; gets that are never woken; gets that block the
//! whole process; and others. Some kinds are correct, and only slow.

use gipc_agent::{
    Answer, Command, Completed, ControlChannel, Ending, Failure, Identity, Implementation,
    ImplementationId, Resources, WireOutcome, message_outcome, payload_bytes, serve,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Child;
use tokio::sync::Mutex;

#[derive(Clone)]
enum Handle {
    Reader(Rc<Mutex<Receiver>>),
    Writer(Rc<Mutex<Sender>>),
}

/// The fault of the implementation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Children inherit all open handles.
    Inherits,
    /// A get that has to wait is never woken.
    Deaf,
    /// A get that has to wait blocks the event loop.
    Blocks,
    /// A get that has to wait blocks the event loop for some time, so that its limit expires late.
    Late,
    /// A process that moves a handle to a child keeps a copy.
    Keeps,
    /// A get that is cancelled leaves its handle locked.
    Locks,
    /// None, but a timer fires repeatedly in the process `clock`.
    Ticks,
    /// None, but each put is delayed.
    Delays(Delay),
    /// None, but a child ends some time after its connection and its pipes.
    EndsLate,
}

/// What delays a put for some seconds. None of it may be reported as a stall.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delay {
    /// The event loop computes.
    Compute,
    /// The task sleeps.
    Sleep,
    /// The task waits for a thread that sleeps.
    SleepInThread,
    /// The process is stopped by a signal, and continued from inside the run.
    Stop,
}

/// The interval of the timer.
const TICK: Duration = Duration::from_millis(10);
/// For how long a get blocks the event loop, or a child ends late, in milliseconds.
const LATE_MS: u16 = 1000;
/// The duration of a delay, except for a stop.
const DELAY: Duration = Duration::from_secs(3);

impl Delay {
    async fn wait(self) {
        let began = Instant::now();
        match self {
            Self::Compute => while began.elapsed() < DELAY {},
            Self::Sleep => tokio::time::sleep(DELAY).await,
            Self::SleepInThread => {
                let sleep = tokio::task::spawn_blocking(|| std::thread::sleep(DELAY));
                sleep.await.expect("the thread is not cancelled");
            }
            Self::Stop => {
                let script = format!("sleep 2; kill -CONT {}", std::process::id());
                let mut shell = std::process::Command::new("sh")
                    .args(["-c", &script])
                    .spawn()
                    .expect("a shell");
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)
                    .expect("SIGSTOP can be raised");
                shell.wait().expect("the shell is a child");
            }
        }
    }
}

/// The faulty implementation.
struct Faulty {
    fault: Fault,
    kind: String,
    handles: RefCell<BTreeMap<String, Handle>>,
    children: RefCell<BTreeMap<String, Rc<Mutex<Child>>>>,
    /// The readers whose get has begun and has not returned.
    locked: RefCell<BTreeSet<String>>,
    /// The copies of handles that were moved to a child.
    kept: RefCell<Vec<Handle>>,
}

/// Runs one process of a scenario and returns its exit code. The arguments are its role, and `NAME=r3` or `NAME=w4` for
/// each handle, with the number of the descriptor.
pub(crate) fn play(kind: &str, arguments: &[String]) -> i32 {
    let fault = match kind {
        "deaf" => Fault::Deaf,
        "blocking" | "blocks" => Fault::Blocks,
        "late" => Fault::Late,
        "keeps" => Fault::Keeps,
        "locks" => Fault::Locks,
        "ticks" => Fault::Ticks,
        "computes" => Fault::Delays(Delay::Compute),
        "sleeps" => Fault::Delays(Delay::Sleep),
        "sleeps-aside" => Fault::Delays(Delay::SleepInThread),
        "is-stopped" => Fault::Delays(Delay::Stop),
        "ends-late" => Fault::EndsLate,
        _ => Fault::Inherits,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let code = runtime.block_on(async {
        let (role, given) = arguments.split_first().expect("a role");
        let (handles, children, locked, kept) = Default::default();
        let library = Faulty { fault, kind: kind.to_owned(), handles, children, locked, kept };
        for argument in given {
            let (name, end) = argument.split_once('=').expect("NAME=END");
            let number: RawFd = end[1..].parse().expect("a descriptor");
            // SAFETY: the parent left this descriptor open for this process, and names it in one argument only.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            let handle = handle(end.starts_with('w'), descriptor).expect("an end of a pipe");
            library.handles.borrow_mut().insert(name.to_owned(), handle);
        }
        if fault == Fault::Ticks && role == "clock" {
            drop(tokio::spawn(async {
                loop {
                    tokio::time::sleep(TICK).await;
                }
            }));
        }
        let identity = Identity {
            implementation: ImplementationId { name: kind.into(), version: "0".into() },
            profiles: vec!["core".into()],
            control: ControlChannel::Loop,
        };
        match serve(library, &identity, role).await {
            Ok(Ending::Finished) => 0,
            _ => 1,
        }
    });
    if fault == Fault::EndsLate && arguments[0] != "main" {
        std::thread::sleep(Duration::from_millis(LATE_MS.into()));
    }
    code
}

/// The handle for a descriptor.
fn handle(is_writer: bool, descriptor: OwnedFd) -> io::Result<Handle> {
    Ok(match is_writer {
        true => Handle::Writer(Rc::new(Mutex::new(Sender::from_owned_fd(descriptor)?))),
        false => Handle::Reader(Rc::new(Mutex::new(Receiver::from_owned_fd(descriptor)?))),
    })
}

/// Makes the next child inherit this descriptor. Returns its number.
fn inherited(end: &impl AsFd) -> io::Result<RawFd> {
    fcntl(end.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(end.as_fd().as_raw_fd())
}

impl Resources for Faulty {}

impl Implementation for Faulty {
    async fn perform(&self, command: Command) -> Answer {
        self.attempt(command).await.unwrap_or_else(|error| {
            let outcome = match error.kind() {
                io::ErrorKind::BrokenPipe => WireOutcome::Broken,
                io::ErrorKind::NotFound => WireOutcome::Closed,
                io::ErrorKind::Unsupported => return Err(Failure::unsupported(error.to_string())),
                _ => WireOutcome::Other,
            };
            Ok(Completed { detail: Some(error.to_string()), ..outcome.into() })
        })
    }
}

impl Faulty {
    /// Performs a command with the fault.
    async fn attempt(&self, command: Command) -> io::Result<Answer> {
        let completed: Completed = match command {
            Command::Pipe { reader, writer, .. } => {
                let (r, w) = match self.fault {
                    Fault::Inherits | Fault::Keeps | Fault::Delays(_) => nix::unistd::pipe()?,
                    _ => close_on_exec_pipe()?,
                };
                let descriptors = BTreeMap::from([
                    (reader.clone(), r.as_raw_fd()),
                    (writer.clone(), w.as_raw_fd()),
                ]);
                self.handles.borrow_mut().insert(reader, handle(false, r)?);
                self.handles.borrow_mut().insert(writer, handle(true, w)?);
                Completed::with_descriptors(descriptors)
            }
            Command::Spawn { child, handles, .. } => {
                let mut command =
                    tokio::process::Command::new(std::env::args_os().next().unwrap_or_default());
                command.arg("agent").arg(&self.kind).arg(&child);
                let mut moved = Vec::new();
                for name in handles {
                    let handle = self.take(&name)?;
                    command.arg(match &handle {
                        Handle::Reader(r) => format!("{name}=r{}", inherited(&*r.lock().await)?),
                        Handle::Writer(w) => format!("{name}=w{}", inherited(&*w.lock().await)?),
                    });
                    moved.push(handle);
                }
                let process = command.spawn()?;
                self.children.borrow_mut().insert(child, Rc::new(Mutex::new(process)));
                if self.fault == Fault::Keeps {
                    self.kept.borrow_mut().append(&mut moved);
                }
                drop(moved);
                WireOutcome::Ok.into()
            }
            Command::Put { handle, payload } => {
                let payload = payload_bytes(&payload);
                let Handle::Writer(w) = self.get(&handle)? else {
                    return Err(io::ErrorKind::Unsupported.into());
                };
                if let Fault::Delays(delay) = self.fault {
                    delay.wait().await;
                }
                let mut w = w.lock().await;
                w.write_all(&(payload.len() as u32).to_le_bytes()).await?;
                w.write_all(&payload).await?;
                WireOutcome::Ok.into()
            }
            Command::Get { handle } => {
                let Handle::Reader(r) = self.get(&handle)? else {
                    return Err(io::ErrorKind::Unsupported.into());
                };
                let mut r = r.lock().await;
                if self.fault == Fault::Locks && !self.locked.borrow_mut().insert(handle.clone()) {
                    std::future::pending::<()>().await;
                }
                self.misbehave(&r).await;
                let mut header = [0; 4];
                if r.read(&mut header[..1]).await? == 0 {
                    return Ok(Ok(WireOutcome::Eof.into()));
                }
                r.read_exact(&mut header[1..]).await?;
                let mut payload = vec![0; u32::from_le_bytes(header) as usize];
                r.read_exact(&mut payload).await?;
                self.locked.borrow_mut().remove(&handle);
                message_outcome(&payload).into()
            }
            Command::Close { handle } => self.take(&handle).map(|_| WireOutcome::Ok.into())?,
            Command::Join { child } => {
                let process = self.children.borrow().get(&child).cloned();
                let process = process.ok_or(io::ErrorKind::Unsupported)?;
                let status = process.lock().await.wait().await?;
                WireOutcome::Exit { code: status.code().unwrap_or(-1) }.into()
            }
            other => return Ok(Err(Failure::unsupported(format!("{other:?}")))),
        };
        Ok(Ok(completed))
    }

    /// Does what is wrong before a get, which is correct otherwise.
    async fn misbehave(&self, r: &Receiver) {
        let descriptor = r.as_fd();
        let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLIN)];
        match self.fault {
            Fault::Inherits
            | Fault::Keeps
            | Fault::Locks
            | Fault::Ticks
            | Fault::Delays(_)
            | Fault::EndsLate => {}
            Fault::Deaf if poll(&mut descriptors, PollTimeout::ZERO) == Ok(0) => {
                std::future::pending().await
            }
            Fault::Deaf => {}
            Fault::Blocks => drop(poll(&mut descriptors, PollTimeout::NONE)),
            Fault::Late => drop(poll(&mut descriptors, PollTimeout::from(LATE_MS))),
        }
    }

    /// A copy of a handle.
    fn get(&self, name: &str) -> io::Result<Handle> {
        self.handles.borrow().get(name).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    /// Removes a handle from those of this process.
    fn take(&self, name: &str) -> io::Result<Handle> {
        self.handles.borrow_mut().remove(name).ok_or(io::ErrorKind::NotFound.into())
    }
}

/// A pipe that children do not inherit. The agent has one thread, so no other starts a child meanwhile.
fn close_on_exec_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe()?;
    for end in [&reader, &writer] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((reader, writer))
}
