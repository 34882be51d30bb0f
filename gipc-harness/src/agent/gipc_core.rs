//! The embedded agent: gipc-core, met like any stranger. The only file of the harness that names it.

use super::system::{self, Status, System};
use super::{Answer, Done, Ending, Identity, Library, Unsupported, bytes, message, serve};
use crate::adapter::order::{Order, Place};
use crate::adapter::protocol::{Control, Effect, Named, Said};
use gipc_core::{Codec, CodecError, Command, Duplex, Error, Exit, Handle, Process, Reader, Writer};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

/// What a child is told: its role, the names of the handles that come along, and the codecs of those that have one.
type Told = (String, Vec<String>, BTreeMap<String, String>);

gipc_core::entry! {
    async fn child_entry(start: Start<Told>) -> () {
        let (role, names, codecs) = start.args;
        match play(&role, names.into_iter().zip(start.handles.into_iter().flatten()).collect(), codecs).await {
            0 => {}
            code => std::process::exit(code),
        }
    }
}

/// Must be the first statement of `main`: a child never comes back from here.
pub fn init() {
    gipc_core::init!(child_entry);
}

/// Plays the process `role`, which no other process has spawned. Returns its exit code.
#[must_use]
pub fn main_agent(role: &str) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(play(role, Vec::new(), BTreeMap::new())),
        Err(error) => complain(&error),
    }
}

async fn play(role: &str, given: Vec<(String, Handle)>, codecs: BTreeMap<String, String>) -> i32 {
    let core = Core { codecs: RefCell::new(codecs), ..Core::default() };
    for (name, handle) in given {
        core.keep(&name, handle);
    }
    let identity = Identity {
        implementation: Named {
            name: "gipc-core".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        profiles: PROFILES.map(str::to_owned).to_vec(),
        control: Control::Loop,
    };
    match serve(core, &identity, role).await {
        Ok(Ending::Finished) => 0,
        Ok(Ending::Gone) => 1,
        Ok(Ending::Raised) => panic!("the scenario says that this entry fails"),
        Err(error) => complain(&error),
    }
}

/// What can be asked of it. A scope cannot: to drop a handle closes it, and nobody can be told that it is in use.
const PROFILES: [&str; 8] =
    ["core", "tasks", "process", "frames", "signals", "limits", "counts", "codec"];

fn complain(error: &io::Error) -> i32 {
    let _ =
        io::Write::write_fmt(&mut io::stderr(), format_args!("this agent cannot play: {error}\n"));
    2
}

/// What one process has.
#[derive(Default)]
struct Core {
    handles: RefCell<BTreeMap<String, Handle>>,
    children: RefCell<BTreeMap<String, Process>>,
    /// The codecs of the handles that have one.
    codecs: RefCell<BTreeMap<String, String>>,
    system: System,
}

impl Library for Core {
    async fn perform(&self, order: Order) -> Answer {
        match self.attempt(order).await {
            Ok(done) => Ok(done),
            Err(Refused::Unsupported(reason)) => Err(Unsupported(reason)),
            Err(Refused::By(error)) => Ok(explain(&error)),
        }
    }

    fn left(&self) -> Option<u64> {
        Some(gipc_core::live_handles() as u64)
    }
}

enum Refused {
    Unsupported(String),
    By(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::By(error)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::By(error.into())
    }
}

impl Core {
    async fn attempt(&self, order: Order) -> Result<Done, Refused> {
        match order {
            Order::Pipe { reader, writer, codec } => {
                let (r, w) = gipc_core::pipe()?;
                self.keep(&reader, Handle::Reader(r));
                self.keep(&writer, Handle::Writer(w));
                for name in [&reader, &writer] {
                    let codec = codec.clone().map(|codec| (name.clone(), codec));
                    self.codecs.borrow_mut().extend(codec);
                }
                Ok(self.made(&[reader, writer]))
            }
            Order::Duplex { near, far } => {
                let (one, other) = gipc_core::duplex()?;
                self.keep(&near, Handle::Duplex(one));
                self.keep(&far, Handle::Duplex(other));
                let halves = [&near, &far].map(|name| [format!("{name}.r"), format!("{name}.w")]);
                Ok(self.made(&halves.concat()))
            }
            Order::Spawn { child, handles, listed } => {
                if !listed.is_empty() {
                    return Err(impossible("a handle in the arguments"));
                }
                let mut command = Command::new(child_entry())?;
                for name in &handles {
                    command = command.handle(self.handle(name)?);
                }
                let codecs = self.codecs.borrow().clone();
                let process = command.spawn(&(child.clone(), handles, codecs))?;
                let pid = i32::try_from(process.id()).ok();
                self.children.borrow_mut().insert(child, process);
                Ok(Done { child: pid, ..Said::Ok.into() })
            }
            Order::Put { handle, payload } => {
                let payload = bytes(&payload);
                let codec = self.codecs.borrow().get(&handle).cloned();
                match (self.handle(&handle)?, codec.as_deref()) {
                    (Handle::Writer(w), None) => w.put(&payload).await?,
                    (Handle::Writer(w), Some(codec)) => put_value(&w, codec, &payload).await?,
                    (Handle::Duplex(both), _) => both.put(&payload).await?,
                    (Handle::Reader(_), _) => return Err(impossible("put into a reader")),
                }
                Ok(Said::Ok.into())
            }
            Order::Get { handle } => {
                let codec = self.codecs.borrow().get(&handle).cloned();
                let got = match (self.handle(&handle)?, codec.as_deref()) {
                    (Handle::Reader(r), None) => r.get().await,
                    (Handle::Reader(r), Some("json")) => {
                        r.with::<Json>().get().await.map(|text| text.map(String::into_bytes))
                    }
                    (Handle::Reader(r), Some(_)) => r.with::<Failing>().get().await,
                    (Handle::Duplex(both), _) => both.get().await,
                    (Handle::Writer(_), _) => return Err(impossible("get from a writer")),
                };
                match got {
                    Ok(got) => Ok(got.map_or(Said::Eof, |got| message(&got)).into()),
                    // What came is no message.
                    Err(error @ Error::TooLarge { .. }) => {
                        Ok(Done { said: Said::Protocol, ..explain(&error) })
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Order::Close { handle } => {
                match self.handle(&handle)? {
                    Handle::Reader(r) => r.close()?,
                    Handle::Writer(w) => w.close()?,
                    Handle::Duplex(both) => both.close()?,
                }
                Ok(Said::Ok.into())
            }
            Order::Join { child } => Ok(ended(self.child(&child)?.join().await?).into()),
            Order::Kill { child } => {
                self.child(&child)?.kill()?;
                Ok(Said::Ok.into())
            }
            Order::Terminate { child } => {
                self.child(&child)?.terminate()?;
                Ok(Said::Ok.into())
            }
            Order::Alive { child } => {
                let alive = self.child(&child)?.try_join()?.is_none();
                Ok(if alive { Said::Yes } else { Said::No }.into())
            }
            Order::Code { child } => {
                Ok(self.child(&child)?.try_join()?.map_or(Said::Running, ended).into())
            }
            Order::Count { what } if what == "handles" => {
                Ok(Said::Number { n: gipc_core::live_handles() as u64 }.into())
            }
            Order::Enter { .. } | Order::Leave { .. } => {
                Err(impossible("to be told at the end of a scope that a handle is in use"))
            }
            Order::Pass { .. } => Err(impossible("a handle as a message")),
            Order::Exit { .. } | Order::Raise | Order::Cancel { .. } | Order::Pause { .. } => {
                Err(Refused::Unsupported("this is the conversation's own".into()))
            }
            order => self.aside(order).await,
        }
    }

    /// What is done without the library.
    async fn aside(&self, order: Order) -> Result<Done, Refused> {
        let system = &self.system;
        match order {
            Order::Stall { child } => {
                system.dismiss(&child);
                system::stall(self.pid(&child)?)?;
            }
            Order::Reaped { child } => system::reaped(self.pid(&child)?).await,
            Order::Reap { child } => {
                let status = system.reap_ghost(&child);
                let status =
                    status.unwrap_or_else(|| system::reap(self.pid(&child).unwrap_or(0)))?;
                return Ok(match status {
                    Status::Code(code) => Said::Exit { code },
                    Status::Signal(signal) => Said::Signal { name: signal.as_str().to_owned() },
                }
                .into());
            }
            Order::Exec { ghost } => system.exec(&ghost)?,
            Order::Cut { handle, payload, at } => {
                let payload = bytes(&payload);
                let frame = [&header(payload.len() as u64)[..], &payload].concat();
                let at = match at {
                    Place::Bytes(bytes) => bytes,
                    Place::Header(more) => 4 + more,
                    Place::End(less) => (frame.len() as u64).saturating_sub(less),
                };
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                system.cut(&handle, self.descriptor(&handle)?, frame, at)?;
            }
            Order::Rest { handle } => system.rest(&handle, self.descriptor(&handle)?)?,
            Order::Announce { handle, size } => {
                system::write(self.descriptor(&handle)?, &header(size))?;
            }
            Order::Trap { signal } => system.trap(&signal)?,
            Order::Ignore { signal } => system::ignore(&signal)?,
            Order::Block { signal } => system::block(&signal)?,
            Order::Signal { child, signal } => system::send(self.pid(&child)?, &signal)?,
            Order::Limit { free } => system.limit(free)?,
            Order::Count { what } if what == "trapped" => {
                return Ok(Said::Number { n: system.trapped().await }.into());
            }
            other => return Err(Refused::Unsupported(format!("{other:?}"))),
        }
        Ok(Said::Ok.into())
    }

    fn pid(&self, child: &str) -> Result<i32, Refused> {
        if let Some(pid) = self.system.ghost(child) {
            return Ok(pid);
        }
        i32::try_from(self.child(child)?.id()).map_err(|_| impossible("there is no such child"))
    }

    fn descriptor(&self, name: &str) -> Result<i32, Refused> {
        let descriptor = match self.handle(name)? {
            Handle::Reader(r) => r.descriptor(),
            Handle::Writer(w) => w.descriptor(),
            Handle::Duplex(both) => both.writer().descriptor(),
        };
        descriptor.ok_or(Refused::By(Error::Closed))
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

    fn handle(&self, name: &str) -> Result<Handle, Refused> {
        // A name that was never here is a handle that another process has: there is nothing to call.
        self.handles.borrow().get(name).cloned().ok_or(Refused::By(Error::Closed))
    }

    fn child(&self, name: &str) -> Result<Process, Refused> {
        let process = self.children.borrow().get(name).cloned();
        process.ok_or_else(|| impossible("there is no such child"))
    }

    fn made(&self, names: &[String]) -> Done {
        let handles = self.handles.borrow();
        let descriptor = |name: &String| match handles.get(name)? {
            Handle::Reader(r) => Reader::descriptor(r),
            Handle::Writer(w) => Writer::descriptor(w),
            Handle::Duplex(both) => Duplex::reader(both).descriptor(),
        };
        let descriptors = names.iter().filter_map(|name| Some((name.clone(), descriptor(name)?)));
        Done { descriptors: descriptors.collect(), ..Said::Ok.into() }
    }
}

/// What the types of this library do not let anybody write.
fn impossible(what: &str) -> Refused {
    Refused::Unsupported(format!("impossible by type: {what}"))
}

fn explain(error: &Error) -> Done {
    let (said, effect) = match error {
        Error::Closed => (Said::Closed, Effect::None),
        Error::Locked => (Said::Locked, Effect::None),
        Error::Truncated => (Said::Truncated, Effect::All),
        Error::Broken => (Said::Broken, Effect::Unknown),
        Error::TooLarge { .. } => (Said::TooLarge, Effect::None),
        Error::Misuse(_) => (Said::Misuse, Effect::None),
        Error::Timeout => (Said::Timeout, Effect::None),
        Error::StillSending => (Said::Timeout, Effect::Unknown),
        Error::Encode(_) => (Said::Encode, Effect::None),
        Error::Decode(_) => (Said::Decode, Effect::All),
        Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            (Said::Broken, Effect::Unknown)
        }
        Error::Io(error) => match error.raw_os_error() {
            Some(number) => {
                (Said::Os { name: format!("{:?}", Errno::from_raw(number)) }, Effect::Unknown)
            }
            None => (Said::Other, Effect::Unknown),
        },
        _ => (Said::Other, Effect::Unknown),
    };
    Done { effect: Some(effect), detail: Some(error.to_string()), ..said.into() }
}

fn ended(exit: Exit) -> Said {
    match exit {
        Exit::Returned(()) => Said::Exit { code: 0 },
        Exit::Panicked(_) | Exit::Failed(_) => Said::Raised,
        Exit::NotBegun(_) => Said::Exit { code: 127 },
        Exit::Code(code) => Said::Exit { code },
        Exit::Signal(number) => Said::Signal { name: signal_name(number) },
        _ => Said::Other,
    }
}

/// The header of this library: the length, least significant byte first.
fn header(len: u64) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

async fn put_value(writer: &Writer, codec: &str, payload: &[u8]) -> Result<(), Error> {
    match codec {
        "json" => writer.with::<Json>().put(&String::from_utf8_lossy(payload)).await,
        _ => writer.with::<Failing>().put(payload).await,
    }
}

/// Text as JSON.
struct Json;

impl Codec for Json {
    type Put = str;
    type Got = String;

    fn encode(value: &str) -> Result<Cow<'_, [u8]>, CodecError> {
        Ok(Cow::Owned(serde_json::to_vec(value)?))
    }

    fn decode(bytes: Vec<u8>) -> Result<String, CodecError> {
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Bytes as they are, but for two.
struct Failing;

impl Codec for Failing {
    type Put = [u8];
    type Got = Vec<u8>;

    fn encode(value: &[u8]) -> Result<Cow<'_, [u8]>, CodecError> {
        if value == b"unencodable" { Err("it has no bytes".into()) } else { Ok(value.into()) }
    }

    fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        if bytes == b"undecodable" { Err("it is no value".into()) } else { Ok(bytes) }
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}
