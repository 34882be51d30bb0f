//! The program that a scenario starts by `run`. It performs its steps with plain system calls on its standard streams, and
//! knows nothing of the implementation that started it.

use gipc_agent::{
    Answer, BlockingImplementation, Command, Failure, Identity, Resources, WireOutcome, WireStream,
    message_outcome, payload_bytes, serve_blocking,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// The profiles that the program has.
const PROFILES: [&str; 7] = ["core", "process", "frames", "signals", "limits", "stdio", "groups"];

/// The main function of the program. Its arguments are its role, and `STREAM=HANDLE` for each standard stream that is an end
/// of a pipe. Returns its exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let mut arguments =
        arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let role = arguments.next().unwrap_or_default();
    let mut program = Program::default();
    for argument in arguments {
        let Some((stream, handle)) = argument.split_once('=') else { return 2 };
        match take_stream(stream) {
            Ok(end) => {
                let ends = program.ends.get_mut().unwrap_or_else(PoisonError::into_inner);
                let end = Stream { file: end, is_truncated: false };
                ends.insert(handle.to_owned(), Arc::new(Mutex::new(Some(end))));
            }
            Err(error) => return cannot_begin(&role, &error),
        }
    }
    let identity = Identity::new("program", env!("CARGO_PKG_VERSION"), &PROFILES);
    match serve_blocking(program, &identity, &role) {
        Ok(gipc_agent::Ending::Finished) => 0,
        Ok(_) => 1,
        Err(error) => cannot_begin(&role, &error),
    }
}

/// Prints why this program cannot take part in the run, and returns the exit code. The report shows the message, and
/// recognizes from it what the system lacks.
fn cannot_begin(role: &str, error: &io::Error) -> i32 {
    let _ = writeln!(io::stderr(), "the program `{role}` of the scenario cannot begin: {error}");
    2
}

/// Moves a standard stream to a descriptor of its own, so that closing it closes the end. `/dev/null` takes its place.
fn take_stream(name: &str) -> io::Result<File> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let end: OwnedFd = match name {
        "stdin" => io::stdin().as_fd().try_clone_to_owned()?,
        "stdout" => io::stdout().as_fd().try_clone_to_owned()?,
        _ => io::stderr().as_fd().try_clone_to_owned()?,
    };
    match name {
        "stdin" => nix::unistd::dup2_stdin(null)?,
        "stdout" => nix::unistd::dup2_stdout(null)?,
        _ => nix::unistd::dup2_stderr(null)?,
    }
    Ok(end.into())
}

/// An end, which is `None` once it is closed or given to another program.
type End = Arc<Mutex<Option<Stream>>>;

/// A standard stream as the program has it.
struct Stream {
    file: File,
    /// Whether it ended inside a message. Each further get then returns the same.
    is_truncated: bool,
}

impl Stream {
    fn get(&mut self) -> Answer {
        if self.is_truncated {
            return Err(WireOutcome::Truncated.into());
        }
        let got = receive(&mut self.file);
        self.is_truncated = matches!(&got, Err(error) if error.kind() == ErrorKind::UnexpectedEof);
        Ok(got?.map_or(WireOutcome::Eof, |got| message_outcome(&got)).into())
    }
}

/// A program that was started: its pid, and the object to wait for it.
type Started = (i32, Arc<Mutex<Child>>);

/// The ends and the children of the program.
#[derive(Default)]
struct Program {
    ends: Mutex<BTreeMap<String, End>>,
    children: Mutex<BTreeMap<String, Started>>,
}

impl Resources for Program {
    fn descriptor(&self, handle: &str) -> Result<RawFd, Failure> {
        let end = self.end(handle)?;
        let end = lock_end(&end)?;
        Ok(end.as_ref().ok_or(WireOutcome::Closed)?.file.as_raw_fd())
    }

    fn frame_header(&self, _: &str, len: u64) -> Option<Vec<u8>> {
        Some(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes().to_vec())
    }

    fn child_pid(&self, child: &str) -> Option<i32> {
        lock(&self.children).get(child).map(|(pid, _)| *pid)
    }
}

impl BlockingImplementation for Program {
    fn perform(&self, command: Command, _within: Option<Duration>) -> Answer {
        match command {
            Command::Put { handle, payload } => {
                let payload = payload_bytes(&payload);
                let len = u32::try_from(payload.len()).map_err(|_| WireOutcome::TooLarge)?;
                let end = self.end(&handle)?;
                let mut end = lock(&end);
                let end = end.as_mut().ok_or(WireOutcome::Closed)?;
                end.file.write_all(&[&len.to_be_bytes()[..], &payload].concat())?;
            }
            Command::Get { handle } => {
                let end = self.end(&handle)?;
                return lock(&end).as_mut().ok_or(WireOutcome::Closed)?.get();
            }
            Command::Close { handle } => {
                let end = self.end(&handle)?;
                drop(lock_end(&end)?.take().ok_or(WireOutcome::Closed)?);
            }
            Command::Run { child, argv, stdin, stdout, stderr, in_group } => {
                let (program, arguments) = argv.split_first().ok_or(WireOutcome::Misuse)?;
                let mut command = std::process::Command::new(program);
                command.args(arguments);
                if in_group {
                    command.process_group(0);
                }
                self.run(child, command, [stdin, stdout, stderr])?;
            }
            Command::Join { child } => {
                let (_, child) = self.child(&child)?;
                let status = lock(&child).wait()?;
                return Ok(WireOutcome::from(status).into());
            }
            Command::Kill { child } => self.signal(&child, Signal::SIGKILL)?,
            Command::Terminate { child } => self.signal(&child, Signal::SIGTERM)?,
            other => return Err(Failure::unsupported(format!("the program has no {other:?}"))),
        }
        Ok(WireOutcome::Ok.into())
    }
}

impl Program {
    fn end(&self, name: &str) -> Result<End, Failure> {
        lock(&self.ends).get(name).cloned().ok_or(WireOutcome::Closed.into())
    }

    fn child(&self, name: &str) -> Result<(i32, Arc<Mutex<Child>>), Failure> {
        let child = lock(&self.children).get(name).cloned();
        child.ok_or_else(|| Failure::unsupported(format!("the program has no child {name}")))
    }

    /// Starts a program, which gets ends that this program has.
    fn run(
        &self,
        child: String,
        mut command: std::process::Command,
        streams: [Option<WireStream>; 3],
    ) -> Result<(), Failure> {
        let mut given = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let stdio = match stream {
                None => continue,
                Some(WireStream::Pipe(_)) => {
                    return Err(Failure::unsupported("the program gives only what it has"));
                }
                Some(WireStream::Given(handle)) => {
                    let end = self.end(&handle)?;
                    if given.iter().any(|other| Arc::ptr_eq(other, &end)) {
                        return Err(WireOutcome::Misuse.into());
                    }
                    let copy =
                        lock_end(&end)?.as_ref().ok_or(WireOutcome::Closed)?.file.try_clone()?;
                    given.push(end);
                    Stdio::from(copy)
                }
            };
            match number {
                0 => command.stdin(stdio),
                1 => command.stdout(stdio),
                _ => command.stderr(stdio),
            };
        }
        let started = command.spawn()?;
        drop(command);
        given.iter().for_each(|end| drop(lock(end).take()));
        let pid = i32::try_from(started.id()).map_err(io::Error::other)?;
        lock(&self.children).insert(child, (pid, Arc::new(Mutex::new(started))));
        Ok(())
    }

    fn signal(&self, child: &str, signal: Signal) -> Result<(), Failure> {
        let (pid, _) = self.child(child)?;
        Ok(kill(Pid::from_raw(pid), signal).map_err(io::Error::from)?)
    }
}

/// Receives one message: four bytes of length, most significant first, and the message. `None` at the end of the stream.
fn receive(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 4];
    let first = loop {
        match stream.read(&mut header) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[first..])?;
    let mut message = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks an end unless another task uses it.
fn lock_end(end: &End) -> Result<MutexGuard<'_, Option<Stream>>, Failure> {
    match end.try_lock() {
        Ok(end) => Ok(end),
        Err(TryLockError::Poisoned(end)) => Ok(end.into_inner()),
        Err(TryLockError::WouldBlock) => Err(WireOutcome::Locked.into()),
    }
}
