//! What each order is with ipc-channel and `std::process`, and what their errors are called.

use crate::ends::{End, Ends, InUse, lock};
use crate::start::{Given, start};
use crate::system::{self, System};
use gipc_harness::adapter::order::Order;
use gipc_harness::adapter::protocol::Said;
use gipc_harness::agent::{Answer, Done, Unsupported, bytes, message};
use ipc_channel::{IpcError, TryRecvError};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A child as threads share it, and its number.
type SharedChild = (Arc<Mutex<Child>>, i32);

/// What one process has.
pub(crate) struct Process {
    ends: Ends,
    children: Mutex<BTreeMap<String, SharedChild>>,
    system: System,
}

/// Why an order came to nothing.
enum Refused {
    Unsupported(String),
    Said(Said),
    By(IpcError),
}

impl From<IpcError> for Refused {
    fn from(error: IpcError) -> Self {
        Self::By(error)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::By(error.into())
    }
}

impl From<InUse> for Refused {
    fn from(_: InUse) -> Self {
        Self::Said(Said::Locked)
    }
}

/// The end was dropped here, or went to a child, or never was here.
const CLOSED: Refused = Refused::Said(Said::Closed);

impl Process {
    pub(crate) fn new(ends: Ends) -> Self {
        Self { ends, children: Mutex::default(), system: System::default() }
    }

    /// Does one order, and waits for what comes of it with the thread that asked.
    pub(crate) fn perform(&self, order: Order, within: Option<Duration>) -> Answer {
        let answer = self.attempt(order, within);
        self.system.ring();
        match answer {
            Ok(done) => Ok(done),
            Err(Refused::Unsupported(reason)) => Err(Unsupported(reason)),
            Err(Refused::Said(said)) => Ok(said.into()),
            Err(Refused::By(error)) => Ok(explain(&error)),
        }
    }

    fn attempt(&self, order: Order, within: Option<Duration>) -> Result<Done, Refused> {
        match order {
            Order::Pipe { reader, writer, codec } => {
                self.ends.channel(&reader, &writer, codec.as_deref())?;
            }
            Order::Duplex { near, far } => self.ends.duplex(&near, &far)?,
            Order::Spawn { listed, .. } if !listed.is_empty() => {
                return Err(unsupported(
                    "what is sent is given, wherever in the message it stands",
                ));
            }
            Order::Spawn { child, handles, .. } => return self.spawn(child, &handles),
            Order::Put { .. } if within.is_some() => {
                return Err(unsupported("send takes no time limit"));
            }
            Order::Put { handle, payload } => {
                let payload = bytes(&payload);
                let end = self.end(&handle)?;
                let end = end.sender().ok_or_else(|| impossible("a receiver does not send"))?;
                let sender = lock(end);
                sender.as_ref().ok_or(CLOSED)?.send(payload)?;
            }
            Order::Get { handle } => {
                let end = self.end(&handle)?;
                let end = end.receiver().ok_or_else(|| impossible("a sender does not receive"))?;
                let receiver = lock(end);
                return Ok(match receiver.as_ref().ok_or(CLOSED)?.receive(within) {
                    Ok(got) => message(&got).into(),
                    Err(TryRecvError::Empty) => Said::Timeout.into(),
                    Err(TryRecvError::IpcError(error @ IpcError::SerializationError(_))) => {
                        Done { said: Said::Decode, ..explain(&error) }
                    }
                    Err(TryRecvError::IpcError(error)) => explain(&error),
                });
            }
            Order::Close { handle } => self.close(&handle)?,
            Order::Join { child } => return Ok(join(&self.child(&child)?.0, within)?.into()),
            // That it has ended is no error: see `Child::kill`.
            Order::Kill { child } => lock(&self.child(&child)?.0).kill()?,
            Order::Terminate { .. } => {
                return Err(unsupported("neither ipc-channel nor std::process sends SIGTERM"));
            }
            Order::Alive { child } => {
                let status = lock(&self.child(&child)?.0).try_wait()?;
                return Ok(if status.is_some() { Said::No } else { Said::Yes }.into());
            }
            Order::Code { child } => {
                let status = lock(&self.child(&child)?.0).try_wait()?;
                return Ok(status.map_or(Said::Running, ended).into());
            }
            Order::Count { what } if what == "handles" => {
                return Err(unsupported("nothing counts the ends that live"));
            }
            Order::Enter { .. } | Order::Leave { .. } => {
                return Err(unsupported("a scope is the end of a variable: it cannot answer"));
            }
            Order::Pass { .. } => return Err(impossible("a channel of bytes carries no channel")),
            Order::Cut { .. } | Order::Rest { .. } | Order::Announce { .. } => {
                return Err(unsupported(
                    "a message is a packet of the system: there is no half one",
                ));
            }
            order => return self.aside(order),
        }
        Ok(Said::Ok.into())
    }

    /// Starts a child and sends it what it is given. What of it is closed or in use is said before there is one.
    fn spawn(&self, child: String, names: &[String]) -> Result<Done, Refused> {
        let ends: Vec<End> = names.iter().map(|name| self.end(name)).collect::<Result<_, _>>()?;
        let mut held = Vec::new();
        for end in &ends {
            let pair = end.hold()?;
            if pair.is_closed() {
                return Err(CLOSED);
            }
            held.push(pair);
        }
        let (process, door) = start(&child)?;
        let pid = i32::try_from(process.id()).unwrap_or(-1);
        lock(&self.children).insert(child, (Arc::new(Mutex::new(process)), pid));
        let given = names.iter().zip(held).map(|(name, mut held)| {
            let (receiver, sender) = held.take();
            Given { name: name.clone(), receiver, sender }
        });
        let given = given.collect();
        door.send(given)?;
        Ok(Done { child: Some(pid), ..Said::Ok.into() })
    }

    /// Drops what is open of it.
    fn close(&self, name: &str) -> Result<(), Refused> {
        let end = self.end(name)?;
        let dropped = end.hold()?.take();
        if matches!(dropped, (None, None)) { Err(CLOSED) } else { Ok(()) }
    }

    /// What is done without the library.
    fn aside(&self, order: Order) -> Result<Done, Refused> {
        let system = &self.system;
        match order {
            Order::Stall { child } => {
                system.dismiss(&child);
                system::stall(self.pid(&child)?)?;
            }
            Order::Reaped { child } => system.reaped(self.pid(&child)?),
            Order::Reap { child } => {
                let said = match system.reap_ghost(&child) {
                    Some(code) => Said::Exit { code: code? },
                    None => match system::reap(self.pid(&child)?)? {
                        WaitStatus::Signaled(_, by, _) => by_signal(by as i32),
                        WaitStatus::Exited(_, code) => Said::Exit { code },
                        _ => Said::Other,
                    },
                };
                return Ok(said.into());
            }
            Order::Exec { ghost } => system.exec(&ghost)?,
            Order::Trap { signal } => system::trap(&signal)?,
            Order::Ignore { signal } => system::ignore(&signal)?,
            Order::Block { signal } => system::block(&signal)?,
            Order::Signal { child, signal } => system::send(self.pid(&child)?, &signal)?,
            Order::Limit { free } => system.limit(free)?,
            Order::Count { what } if what == "trapped" => {
                return Ok(Said::Number { n: system::trapped() }.into());
            }
            other => return Err(unsupported(&format!("no such thing here: {other:?}"))),
        }
        Ok(Said::Ok.into())
    }

    fn end(&self, name: &str) -> Result<End, Refused> {
        self.ends.find(name).ok_or(CLOSED)
    }

    fn child(&self, name: &str) -> Result<SharedChild, Refused> {
        let child = lock(&self.children).get(name).cloned();
        child.ok_or_else(|| impossible("there is no such child here"))
    }

    fn pid(&self, name: &str) -> Result<i32, Refused> {
        self.system.ghost(name).map_or_else(|| Ok(self.child(name)?.1), Ok)
    }
}

/// Waits for a child. With a limit it is asked again and again, since `wait` takes none.
fn join(child: &Mutex<Child>, within: Option<Duration>) -> io::Result<Said> {
    let Some(limit) = within else { return Ok(ended(lock(child).wait()?)) };
    let begun = Instant::now();
    loop {
        if let Some(status) = lock(child).try_wait()? {
            return Ok(ended(status));
        }
        if begun.elapsed() >= limit {
            return Ok(Said::Running);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn unsupported(why: &str) -> Refused {
    Refused::Unsupported(why.to_owned())
}

/// What the types of this library do not let anybody write.
fn impossible(what: &str) -> Refused {
    Refused::Unsupported(format!("impossible by type: {what}"))
}

fn ended(status: ExitStatus) -> Said {
    match (status.code(), status.signal()) {
        (Some(code), _) => Said::Exit { code },
        (None, Some(number)) => by_signal(number),
        (None, None) => Said::Other,
    }
}

fn by_signal(number: i32) -> Said {
    let name = Signal::try_from(number).map_or("another", Signal::as_str);
    Said::Signal { name: name.to_owned() }
}

fn explain(error: &IpcError) -> Done {
    let said = match error {
        IpcError::Disconnected => Said::Eof,
        IpcError::SerializationError(_) => Said::Encode,
        IpcError::Io(error) => match error.kind() {
            // The latter is what a socket says first if its reader went with messages unread.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Said::Broken,
            _ => error.raw_os_error().map_or(Said::Other, |number| Said::Os {
                name: format!("{:?}", Errno::from_raw(number)),
            }),
        },
    };
    Done { detail: Some(error.to_string()), ..said.into() }
}
