//! What each order is with raw tokio, and what its errors are called.

use crate::child::Owner;
use crate::ends::{End, Ends, Held, InUse};
use crate::start::start;
use crate::system::{self, System};
use crate::wire::{self, HEADER};
use gipc_harness::adapter::order::{Order, Place};
use gipc_harness::adapter::protocol::Said;
use gipc_harness::agent::{Answer, Done, Library, Unsupported, bytes, message};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What one process has.
pub(crate) struct Raw {
    ends: Ends,
    children: RefCell<BTreeMap<String, Owner>>,
    system: System,
}

/// Why an order came to nothing.
enum Refused {
    Unsupported(String),
    Said(Said),
    By(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::By(error)
    }
}

impl From<InUse> for Refused {
    fn from(_: InUse) -> Self {
        Self::Said(Said::Locked)
    }
}

/// The end was dropped here, or went to a child, or never was here.
const CLOSED: Refused = Refused::Said(Said::Closed);

impl Library for Raw {
    async fn perform(&self, order: Order) -> Answer {
        match self.attempt(order).await {
            Ok(done) => Ok(done),
            Err(Refused::Unsupported(reason)) => Err(Unsupported(reason)),
            Err(Refused::Said(said)) => Ok(said.into()),
            Err(Refused::By(error)) => Ok(explain(&error)),
        }
    }
}

impl Raw {
    pub(crate) fn new(ends: Ends) -> Self {
        Self { ends, children: RefCell::default(), system: System::default() }
    }

    async fn attempt(&self, order: Order) -> Result<Done, Refused> {
        match order {
            Order::Pipe { codec: Some(_), .. } => {
                return Err(unsupported("bytes are what is sent: there is no codec"));
            }
            Order::Pipe { reader, writer, codec: None } => {
                let descriptors = self.ends.pipe(&reader, &writer)?;
                return Ok(Done { descriptors, ..Said::Ok.into() });
            }
            Order::Duplex { near, far } => {
                let descriptors = self.ends.duplex(&near, &far)?;
                return Ok(Done { descriptors, ..Said::Ok.into() });
            }
            Order::Spawn { listed, .. } if !listed.is_empty() => {
                return Err(unsupported("arguments are text: no end can be inside of one"));
            }
            Order::Spawn { child, handles, .. } => return self.spawn(child, &handles),
            Order::Put { handle, payload } => {
                let payload = bytes(&payload);
                let (End::Sender(end) | End::Both(_, end)) = self.end(&handle)? else {
                    return Err(unsupported("impossible by type: a receiver cannot send"));
                };
                let mut end = end.lock().await;
                wire::send(end.as_mut().ok_or(CLOSED)?, &payload).await?;
            }
            Order::Get { handle } => {
                let (End::Receiver(end) | End::Both(end, _)) = self.end(&handle)? else {
                    return Err(unsupported("impossible by type: a sender cannot receive"));
                };
                let mut end = end.lock().await;
                let got = wire::receive(end.as_mut().ok_or(CLOSED)?).await?;
                return Ok(got.map_or(Said::Eof, |got| message(&got)).into());
            }
            Order::Close { handle } => {
                let held = self.end(&handle)?.hold()?;
                if held.iter().all(|end| end.descriptor().is_none()) {
                    return Err(CLOSED);
                }
                held.into_iter().for_each(Held::drop_it);
            }
            Order::Join { child } => return Ok(ended(self.child(&child)?.wait().await?).into()),
            Order::Kill { child } => self.child(&child)?.kill().await?,
            Order::Terminate { child } => {
                // tokio has no call for that; its `id` is there for those who need one.
                if let Some(id) = self.child(&child)?.id().await? {
                    system::send(id as i32, "SIGTERM")?;
                }
            }
            Order::Alive { child } => {
                let status = self.child(&child)?.try_wait().await?;
                return Ok(if status.is_some() { Said::No } else { Said::Yes }.into());
            }
            Order::Code { child } => {
                let status = self.child(&child)?.try_wait().await?;
                return Ok(status.map_or(Said::Running, ended).into());
            }
            Order::Count { what } if what == "handles" => {
                return Err(unsupported("nothing counts the ends that live"));
            }
            Order::Enter { .. } | Order::Leave { .. } => {
                return Err(unsupported("a scope is the end of a variable: it cannot answer"));
            }
            Order::Pass { .. } => return Err(unsupported("an end is no bytes")),
            order => return self.aside(order).await,
        }
        Ok(Said::Ok.into())
    }

    fn spawn(&self, child: String, names: &[String]) -> Result<Done, Refused> {
        let (mut arguments, mut given) = (Vec::new(), Vec::new());
        let mut all = Vec::new();
        for name in names {
            let held = self.end(name)?.hold()?;
            let mut written = Vec::new();
            for end in &held {
                let fd = end.descriptor().ok_or(CLOSED)?;
                given.push(fd);
                written.push(match (end, held.len()) {
                    (_, 2) => fd.to_string(),
                    (Held::Receiver(_), _) => format!("r{fd}"),
                    (Held::Sender(_), _) => format!("w{fd}"),
                });
            }
            arguments.push(format!("{name}={}", written.join(",")));
            all.extend(held);
        }
        let owner = Owner::new(start(&child, &arguments, given)?);
        all.into_iter().for_each(Held::drop_it);
        let pid = owner.pid;
        self.children.borrow_mut().insert(child, owner);
        Ok(Done { child: Some(pid), ..Said::Ok.into() })
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
            Order::Cut { handle, payload, at } => {
                let payload = bytes(&payload);
                let frame = [&header(payload.len() as u64)?[..], &payload].concat();
                let at = match at {
                    Place::Bytes(bytes) => bytes as usize,
                    Place::Header(more) => HEADER + more as usize,
                    Place::End(less) => frame.len().saturating_sub(less as usize),
                };
                system.cut(&handle, self.descriptor(&handle)?, frame, at)?;
            }
            Order::Rest { handle } => system.rest(&handle, self.descriptor(&handle)?)?,
            Order::Announce { handle, size } => {
                system::write(self.descriptor(&handle)?, &header(size)?)?;
            }
            Order::Trap { signal } => system.trap(&signal)?,
            Order::Ignore { signal } => system::ignore(&signal)?,
            Order::Block { signal } => system::block(&signal)?,
            Order::Signal { child, signal } => system::send(self.pid(&child)?, &signal)?,
            Order::Limit { free } => system.limit(free)?,
            Order::Count { what } if what == "trapped" => {
                return Ok(Said::Number { n: system.trapped().await }.into());
            }
            other => return Err(unsupported(&format!("no such thing here: {other:?}"))),
        }
        Ok(Said::Ok.into())
    }

    fn end(&self, name: &str) -> Result<End, Refused> {
        self.ends.find(name).ok_or(CLOSED)
    }

    fn child(&self, name: &str) -> Result<Owner, Refused> {
        let owner = self.children.borrow().get(name).cloned();
        owner.ok_or_else(|| unsupported("impossible by type: there is no such child here"))
    }

    fn pid(&self, name: &str) -> Result<i32, Refused> {
        self.system.ghost(name).map_or_else(|| Ok(self.child(name)?.pid), Ok)
    }

    /// Of a sender, for what is written by hand.
    fn descriptor(&self, name: &str) -> Result<i32, Refused> {
        let held = self.end(name)?.hold()?;
        held.last().and_then(Held::descriptor).ok_or(CLOSED)
    }
}

fn unsupported(why: &str) -> Refused {
    Refused::Unsupported(why.to_owned())
}

/// The four bytes in front of a message of this length.
fn header(size: u64) -> Result<[u8; HEADER], Refused> {
    let size = u32::try_from(size);
    size.map(u32::to_be_bytes).map_err(|_| unsupported("the header has four bytes"))
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

fn explain(error: &io::Error) -> Done {
    let said = match error.kind() {
        io::ErrorKind::UnexpectedEof => Said::Truncated,
        io::ErrorKind::BrokenPipe => Said::Broken,
        io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => Said::TooLarge,
        _ => error.raw_os_error().map_or(Said::Other, |number| Said::Os {
            name: format!("{:?}", Errno::from_raw(number)),
        }),
    };
    Done { detail: Some(error.to_string()), ..said.into() }
}
