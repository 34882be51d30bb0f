//! The embedded agent: gipc-core, met like any stranger. The only file of the harness that names it.

use super::{Answer, Done, Ending, Identity, Library, Unsupported, bytes, message, serve};
use crate::adapter::protocol::{Control, Effect, Named, Order, Said};
use gipc_core::{Command, Duplex, Error, Exit, Handle, Process, Reader, Writer};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

/// What a child is told: its role, and the names of the handles that come along.
type Told = (String, Vec<String>);

gipc_core::entry! {
    async fn child_entry(start: Start<Told>) -> () {
        let (role, names) = start.args;
        match play(&role, names.into_iter().zip(start.handles).collect()).await {
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
        Ok(runtime) => runtime.block_on(play(role, Vec::new())),
        Err(error) => complain(&error),
    }
}

async fn play(role: &str, given: Vec<(String, Handle)>) -> i32 {
    let core = Core::default();
    for (name, handle) in given {
        core.keep(&name, handle);
    }
    let identity = Identity {
        implementation: Named {
            name: "gipc-core".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        profiles: vec!["core".into(), "tasks".into()],
        control: Control::Loop,
    };
    match serve(core, &identity, role).await {
        Ok(Ending::Finished) => 0,
        Ok(Ending::Gone) => 1,
        Err(error) => complain(&error),
    }
}

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
}

impl Library for Core {
    async fn perform(&self, order: Order) -> Answer {
        match self.attempt(order).await {
            Ok(done) => Ok(done),
            Err(Refused::Unsupported(reason)) => Err(Unsupported(reason)),
            Err(Refused::By(error)) => Ok(explain(&error)),
        }
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
            Order::Pipe { reader, writer } => {
                let (r, w) = gipc_core::pipe()?;
                self.keep(&reader, Handle::Reader(r));
                self.keep(&writer, Handle::Writer(w));
                Ok(self.made(&[reader, writer]))
            }
            Order::Duplex { near, far } => {
                let (one, other) = gipc_core::duplex()?;
                self.keep(&near, Handle::Duplex(one));
                self.keep(&far, Handle::Duplex(other));
                let halves = [&near, &far].map(|name| [format!("{name}.r"), format!("{name}.w")]);
                Ok(self.made(&halves.concat()))
            }
            Order::Spawn { child, handles } => {
                let mut command = Command::new(child_entry())?;
                for name in &handles {
                    command = command.handle(self.handle(name)?);
                }
                let process = command.spawn(&(child.clone(), handles))?;
                let pid = i32::try_from(process.id()).ok();
                self.children.borrow_mut().insert(child, process);
                Ok(Done { child: pid, ..Said::Ok.into() })
            }
            Order::Put { handle, payload } => {
                let payload = bytes(&payload);
                match self.handle(&handle)? {
                    Handle::Writer(w) => w.put(&payload).await?,
                    Handle::Duplex(both) => both.put(&payload).await?,
                    Handle::Reader(_) => return Err(impossible("put into a reader")),
                }
                Ok(Said::Ok.into())
            }
            Order::Get { handle } => {
                let got = match self.handle(&handle)? {
                    Handle::Reader(r) => r.get().await?,
                    Handle::Duplex(both) => both.get().await?,
                    Handle::Writer(_) => return Err(impossible("get from a writer")),
                };
                Ok(got.map_or(Said::Eof, |got| message(&got)).into())
            }
            Order::Close { handle } => {
                match self.handle(&handle)? {
                    Handle::Reader(r) => r.close()?,
                    Handle::Writer(w) => w.close()?,
                    Handle::Duplex(both) => both.close()?,
                }
                Ok(Said::Ok.into())
            }
            Order::Join { child } => {
                let process = self.child(&child)?;
                Ok(match process.join().await? {
                    Exit::Returned(()) => Said::Exit { code: 0 },
                    Exit::Panicked(_) => Said::Exit { code: 101 },
                    Exit::NotBegun(_) => Said::Exit { code: 127 },
                    Exit::Code(code) => Said::Exit { code },
                    Exit::Signal(number) => Said::Signal { name: signal_name(number) },
                }
                .into())
            }
            Order::Kill { child } => {
                self.child(&child)?.kill()?;
                Ok(Said::Ok.into())
            }
            Order::Exit { .. } | Order::Cancel { .. } | Order::Pause { .. } => {
                Err(Refused::Unsupported("this is the conversation's own".into()))
            }
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
        Error::Timeout => (Said::Timeout, Effect::Unknown),
        Error::Encode(_) | Error::Decode(_) => (Said::Other, Effect::None),
        Error::Io(error) => match error.raw_os_error() {
            Some(number) => {
                (Said::Os { name: format!("{:?}", Errno::from_raw(number)) }, Effect::Unknown)
            }
            None => (Said::Other, Effect::Unknown),
        },
    };
    Done { effect: Some(effect), detail: Some(error.to_string()), ..said.into() }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}
