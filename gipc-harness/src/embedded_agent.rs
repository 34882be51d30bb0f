//! The embedded agent: gipc-core, driven like any other implementation. No other module of the harness uses gipc-core.

mod codecs;
mod second_loop;

use crate::process_role::PROGRAM;
use crate::program_agent;
use codecs::{Failing, Json, put_value};
use gipc_agent::{
    Answer, Command, Completed, Ending, Failure, Identity, Implementation, Resources, Stream,
    Streams, WireOutcome, WireStream, message_outcome, payload_bytes, serve,
};
use gipc_core::{Error, Exit, Handle, Process, Start, Stdin};
use nix::errno::Errno;
use second_loop::{SecondLoop, beside};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::RawFd;
use std::process::Stdio;
use std::thread;

/// The arguments of a child: its role, the names of the handles that it is given, and the codecs of those that have one. A
/// child that is a program gets its role and its streams instead, as arguments of the program.
type ChildArguments = (String, Vec<String>, BTreeMap<String, String>, Vec<String>);

/// A command that starts an agent.
type ChildCommand = gipc_core::Command<ChildArguments, (), Vec<Handle>>;

gipc_core::entry! {
    async fn child_entry(start: Start<ChildArguments, Vec<Handle>>) {
        let (role, names, codecs, program) = start.args;
        if !program.is_empty() {
            match program_agent::main(program.into_iter().map(Into::into)) {
                0 => return,
                code => std::process::exit(code),
            }
        }
        let given = names.into_iter().zip(start.handles).collect();
        match run_process(&role, given, codecs).await {
            0 => {}
            code => std::process::exit(code),
        }
    }
}

/// Takes over a child of the embedded implementation, in which it does not return. Must be the first statement of `main`.
pub fn init() {
    gipc_core::init!(child_entry, second_loop::greet);
}

/// Runs the process `role`, which no process of the scenario has spawned. Returns its exit code.
#[must_use]
pub fn main_agent(role: &str) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run_process(role, Vec::new(), BTreeMap::new())),
        Err(error) => complain(&error),
    }
}

async fn run_process(
    role: &str,
    given: Vec<(String, Handle)>,
    codecs: BTreeMap<String, String>,
) -> i32 {
    let second_loop = match SecondLoop::wanted() {
        Ok(second_loop) => second_loop,
        Err(error) => return complain(&error),
    };
    let core = Core { codecs: RefCell::new(codecs), second_loop, ..Core::default() };
    for (name, handle) in given {
        core.keep(&name, handle);
    }
    let identity = Identity::new("gipc-core", env!("CARGO_PKG_VERSION"), &PROFILES);
    match serve(core, &identity, role).await {
        Ok(Ending::Finished) => 0,
        Ok(Ending::Gone) => 1,
        Ok(Ending::Raised) => panic!("the scenario says that this entry fails"),
        Err(error) => complain(&error),
    }
}

/// The profiles of gipc-core. `scope` is not among them: a handle closes when it is dropped, and a drop cannot report
/// that the handle is in use.
const PROFILES: [&str; 14] = [
    "core",
    "tasks",
    "process",
    "frames",
    "signals",
    "limits",
    "counts",
    "codec",
    "stdio",
    "drop",
    "groups",
    "share",
    "drop-handle",
    "threads",
];

fn complain(error: &io::Error) -> i32 {
    let _ =
        io::Write::write_fmt(&mut io::stderr(), format_args!("this agent cannot run: {error}\n"));
    2
}

/// The handles and children of one process.
#[derive(Default)]
struct Core {
    handles: RefCell<BTreeMap<String, Handle>>,
    children: RefCell<BTreeMap<String, Process>>,
    /// The codecs of the handles that have one.
    codecs: RefCell<BTreeMap<String, String>>,
    streams: Streams,
    /// In the variant `two-loops`.
    second_loop: Option<SecondLoop>,
}

impl Resources for Core {
    fn remaining_handles(&self) -> Option<u64> {
        Some(self.open_ends() + self.streams.open())
    }

    fn descriptor(&self, name: &str) -> Result<RawFd, Failure> {
        if self.streams.has(name) {
            return self.streams.descriptor(name);
        }
        let handle = self.handle(name)?;
        let descriptor = match &handle {
            Handle::Duplex(both) => both.writer().descriptor(),
            end => end_descriptor(end),
        };
        descriptor.ok_or(WireOutcome::Closed.into())
    }

    /// The header of a frame: its length as four bytes, least significant first, except on the streams of a program.
    fn frame_header(&self, handle: &str, len: u64) -> Option<Vec<u8>> {
        if self.streams.has(handle) {
            return Streams::frame_header(len);
        }
        Some(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes().to_vec())
    }

    /// Why a command is refused: what the types of gipc-core do not let a program express.
    fn why_undeclared(&self, command: &Command) -> String {
        let what = match command {
            Command::Enter { .. } | Command::Leave { .. } => {
                "to be told at the end of a scope that a handle is in use"
            }
            Command::Pass { .. } => "a handle as a message",
            Command::Spawn { .. } => "a handle in the arguments",
            other => return format!("the profile {} is not declared", other.profile()),
        };
        format!("impossible by type: {what}")
    }

    fn child_pid(&self, child: &str) -> Option<i32> {
        self.children.borrow().get(child).and_then(|child| i32::try_from(child.id()).ok())
    }
}

impl Implementation for Core {
    async fn perform(&self, command: Command) -> Answer {
        match command {
            Command::Pipe { reader, writer, codec } => {
                let (r, w) = gipc_core::pipe().map_err(failure)?;
                self.keep(&reader, Handle::Reader(r));
                self.keep(&writer, Handle::Writer(w));
                for name in [&reader, &writer] {
                    let codec = codec.clone().map(|codec| (name.clone(), codec));
                    self.codecs.borrow_mut().extend(codec);
                }
                Ok(self.made(&[reader, writer]))
            }
            Command::Duplex { near, far } => {
                let (one, other) = gipc_core::duplex().map_err(failure)?;
                self.keep(&near, Handle::Duplex(one));
                self.keep(&far, Handle::Duplex(other));
                let halves = [&near, &far].map(|name| [format!("{name}.r"), format!("{name}.w")]);
                Ok(self.made(&halves.concat()))
            }
            Command::Spawn { child, handles, shared, in_group, from_thread, .. } => {
                let command = child_command(in_group)?;
                let start = || self.spawn(child, handles, &shared, command, from_thread);
                beside(self.second_loop.as_ref(), start).await
            }
            Command::Run { child, argv, stdin, stdout, stderr, in_group } => {
                self.run(child, &argv, [stdin, stdout, stderr], in_group)
            }
            Command::Put { handle, payload } if self.streams.has(&handle) => {
                self.streams.put(&handle, &payload).await
            }
            Command::Get { handle } if self.streams.has(&handle) => self.streams.get(&handle).await,
            Command::Close { handle } if self.streams.has(&handle) => self.streams.close(&handle),
            Command::Drop { child } => {
                self.child(&child)?;
                self.children.borrow_mut().remove(&child);
                Ok(WireOutcome::Ok.into())
            }
            Command::Put { handle, payload } => {
                let payload = payload_bytes(&payload);
                let codec = self.codecs.borrow().get(&handle).cloned();
                done(match (self.handle(&handle)?, codec.as_deref()) {
                    (Handle::Writer(w), None) => w.put(&payload).await,
                    (Handle::Writer(w), Some(codec)) => put_value(&w, codec, &payload).await,
                    (Handle::Duplex(both), _) => both.put(&payload).await,
                    (_, _) => return Err(impossible("put into a reader")),
                })
            }
            Command::Get { handle } => self.get(&handle).await,
            Command::Close { handle } => done(match self.handle(&handle)? {
                Handle::Reader(r) => r.close(),
                Handle::Writer(w) => w.close(),
                Handle::Duplex(both) => both.close(),
                other => return Err(Failure::unsupported(format!("{other:?}"))),
            }),
            Command::DropHandle { handle } => {
                self.handle(&handle)?;
                let names = [format!("{handle}.r"), format!("{handle}.w"), handle];
                self.handles.borrow_mut().retain(|name, _| !names.contains(name));
                Ok(WireOutcome::Ok.into())
            }
            Command::Join { child } => {
                Ok(exit_outcome(self.child(&child)?.join().await.map_err(failure)?).into())
            }
            Command::Kill { child } => done(self.child(&child)?.kill()),
            Command::Terminate { child } => done(self.child(&child)?.terminate()),
            Command::Alive { child } => {
                let runs = self.child(&child)?.try_join().map_err(failure)?.is_none();
                Ok(if runs { WireOutcome::Yes } else { WireOutcome::No }.into())
            }
            Command::Code { child } => {
                let exit = self.child(&child)?.try_join().map_err(failure)?;
                Ok(exit.map_or(WireOutcome::Running, exit_outcome).into())
            }
            Command::Count { what } if what == "handles" => {
                Ok(WireOutcome::Number { n: self.open_ends() + self.streams.open() }.into())
            }
            other => Err(Failure::unsupported(format!("{other:?}"))),
        }
    }
}

impl Core {
    fn spawn(
        &self,
        child: String,
        handles: Vec<String>,
        shared: &[String],
        command: ChildCommand,
        from_thread: bool,
    ) -> Answer {
        // gipc-core refuses a handle that is named twice before it checks whether one is in use, and `share` makes that
        // check.
        let is_repeated = handles.iter().collect::<BTreeSet<_>>().len() < handles.len();
        let give = |name: &String| match shared.contains(name) && !is_repeated {
            true => self.share(name),
            false => self.handle(name),
        };
        let given = handles.iter().map(give).collect::<Result<_, _>>()?;
        let codecs = self.codecs.borrow().clone();
        let arguments = (child.clone(), handles, codecs, Vec::new());
        let mut command = command.handles(given);
        let process = match from_thread {
            // A new thread has no runtime.
            true => thread::scope(|scope| scope.spawn(|| command.spawn(&arguments)).join())
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            false => command.spawn(&arguments),
        };
        let process = process.map_err(failure)?;
        self.children.borrow_mut().insert(child, process);
        Ok(WireOutcome::Ok.into())
    }

    /// A second handle for the writer of a pipe, made of a copy of its descriptor.
    fn share(&self, name: &str) -> Result<Handle, Failure> {
        let writer = match self.handle(name)? {
            Handle::Writer(writer) if !name.contains('.') => writer,
            _ => return Err(Failure::unsupported("a Reader reads ahead, and a Duplex has one")),
        };
        let descriptor = writer.take_descriptor().map_err(failure)?;
        let copy = descriptor.try_clone();
        self.keep(name, Handle::Writer(descriptor.into()));
        Ok(Handle::Writer(copy?.into()))
    }

    /// Starts the program of the harness as an entry, since gipc-core starts only its own program.
    fn run(
        &self,
        child: String,
        argv: &[String],
        streams: [Option<WireStream>; 3],
        in_group: bool,
    ) -> Answer {
        let program = match argv {
            [_, role, program @ ..] if role == PROGRAM => program,
            _ => return Err(impossible("a program other than its own")),
        };
        let mut command = child_command(in_group)?.handles(Vec::new());
        let [stdin, stdout, stderr] = &streams;
        let mut given = self.streams.give();
        let mut end = |stream: &WireStream| match stream {
            WireStream::Given(handle) => given.take(handle).map(Some),
            WireStream::Pipe(_) => Ok(None),
        };
        if let Some(stream) = stdin {
            command = command.stdin(end(stream)?.map_or(Stdin::Piped, Stdin::from));
        }
        if let Some(stream) = stdout {
            command = command.stdout(end(stream)?.map_or_else(Stdio::piped, Stdio::from));
        }
        if let Some(stream) = stderr {
            command = command.stderr(end(stream)?.map_or_else(Stdio::piped, Stdio::from));
        }
        let arguments = (child.clone(), Vec::new(), BTreeMap::new(), program.to_vec());
        let process = command.spawn(&arguments).map_err(failure)?;
        given.leave();
        let kept = [
            (stdin.clone(), process.take_stdin().map(Stream::Stdin)),
            (stdout.clone(), process.take_stdout().map(Stream::Stdout)),
            (stderr.clone(), process.take_stderr().map(Stream::Stderr)),
        ];
        self.children.borrow_mut().insert(child, process);
        Ok(self.streams.keep(kept))
    }

    async fn get(&self, name: &str) -> Answer {
        let codec = self.codecs.borrow().get(name).cloned();
        let got = match (self.handle(name)?, codec.as_deref()) {
            (Handle::Reader(r), None) => r.get().await,
            (Handle::Reader(r), Some("json")) => {
                r.with::<Json>().get().await.map(|text| text.map(String::into_bytes))
            }
            (Handle::Reader(r), Some(_)) => r.with::<Failing>().get().await,
            (Handle::Duplex(both), _) => both.get().await,
            (_, _) => return Err(impossible("get from a writer")),
        };
        match got {
            Ok(got) => Ok(got.map_or(WireOutcome::Eof, |got| message_outcome(&got)).into()),
            // A length that gipc-core never sends: the bytes on the pipe are not a message.
            Err(error @ Error::TooLarge { .. }) => {
                Ok(Completed { outcome: WireOutcome::Protocol, ..explain(&error) })
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// Keeps a handle under its name, and the halves of a duplex under theirs.
    fn keep(&self, name: &str, handle: Handle) {
        let mut handles = self.handles.borrow_mut();
        if let Handle::Duplex(both) = &handle {
            handles.insert(format!("{name}.r"), Handle::Reader(both.reader().clone()));
            handles.insert(format!("{name}.w"), Handle::Writer(both.writer().clone()));
        }
        handles.insert(name.to_owned(), handle);
    }

    /// A handle of this process. An unknown name belongs to a handle of another process, which cannot be used here.
    fn handle(&self, name: &str) -> Result<Handle, Failure> {
        self.handles.borrow().get(name).cloned().ok_or(WireOutcome::Closed.into())
    }

    fn child(&self, name: &str) -> Result<Process, Failure> {
        let process = self.children.borrow().get(name).cloned();
        // A start that was refused returned no object for its child.
        process.ok_or(WireOutcome::Misuse.into())
    }

    fn made(&self, names: &[String]) -> Completed {
        let handles = self.handles.borrow();
        let descriptor = |name: &String| end_descriptor(handles.get(name)?);
        let descriptors = names.iter().filter_map(|name| Some((name.clone(), descriptor(name)?)));
        Completed::with_descriptors(descriptors.collect())
    }

    /// How many ends of pipes this process has open. The halves of a duplex are kept as handles too.
    fn open_ends(&self) -> u64 {
        self.handles.borrow().values().filter_map(end_descriptor).count() as u64
    }
}

/// A command that starts an agent, in a process group of its own or in that of this process.
fn child_command(in_group: bool) -> Result<ChildCommand, Failure> {
    let command = gipc_core::Command::new(child_entry()).map_err(failure)?;
    Ok(if in_group { command.process_group(0) } else { command })
}

/// The descriptor of a reader or a writer, while it is open here.
fn end_descriptor(handle: &Handle) -> Option<RawFd> {
    match handle {
        Handle::Reader(r) => r.descriptor(),
        Handle::Writer(w) => w.descriptor(),
        _ => None,
    }
}

/// The answer to a call that returns no value.
fn done(result: Result<(), impl Into<Error>>) -> Answer {
    result.map_err(failure)?;
    Ok(WireOutcome::Ok.into())
}

/// The answer to a command that the types of gipc-core do not let a program express.
fn impossible(what: &str) -> Failure {
    Failure::unsupported(format!("impossible by type: {what}"))
}

fn failure(error: impl Into<Error>) -> Failure {
    Failure::Outcome(explain(&error.into()))
}

fn explain(error: &Error) -> Completed {
    let outcome = match error {
        Error::Closed => WireOutcome::Closed,
        Error::Locked => WireOutcome::Locked,
        Error::Truncated => WireOutcome::Truncated,
        Error::Broken => WireOutcome::Broken,
        Error::TooLarge { .. } => WireOutcome::TooLarge,
        Error::GivenTwice | Error::NotInitialised | Error::NoRuntime => WireOutcome::Misuse,
        Error::Timeout | Error::StillSending => WireOutcome::Timeout,
        Error::Encode(_) => WireOutcome::Encode,
        Error::Decode(_) => WireOutcome::Decode,
        Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => WireOutcome::Broken,
        Error::Io(error) => match error.raw_os_error() {
            Some(number) => WireOutcome::Os { name: format!("{:?}", Errno::from_raw(number)) },
            None => WireOutcome::Other,
        },
        // gipc-core may add variants to its error type.
        _ => WireOutcome::Other,
    };
    Completed { detail: Some(error.to_string()), ..outcome.into() }
}

fn exit_outcome(exit: Exit) -> WireOutcome {
    match exit {
        Exit::Returned(()) => WireOutcome::Exit { code: 0 },
        Exit::Panicked(_) | Exit::Failed(_) => WireOutcome::Raised,
        Exit::NotBegun(_) => WireOutcome::Exit { code: 127 },
        Exit::Code(code) => WireOutcome::Exit { code },
        Exit::Signal(number) => WireOutcome::signal(number),
        _ => WireOutcome::Other,
    }
}
