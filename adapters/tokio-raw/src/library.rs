//! What each command is with raw tokio, and how its errors are reported.

use crate::child::Owner;
use crate::ends::{End, Ends, Held, InUse};
use crate::start::start;
use crate::wire;
use gipc_agent::{
    Answer, Command, Completed, Failure, Implementation, OsActions, Resources, WireOutcome,
    message_outcome, payload_bytes,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// What one process has.
#[derive(Default)]
pub(crate) struct Raw {
    pub(crate) ends: Ends,
    children: RefCell<BTreeMap<String, Owner>>,
}

impl From<InUse> for Failure {
    fn from(_: InUse) -> Self {
        WireOutcome::Locked.into()
    }
}

impl Resources for Raw {
    fn descriptor(&self, handle: &str) -> Result<RawFd, Failure> {
        let held = self.end(handle)?.hold()?;
        Ok(held.last().and_then(Held::descriptor).ok_or(WireOutcome::Closed)?)
    }

    fn frame_header(&self, len: u64) -> Option<Vec<u8>> {
        Some(u32::try_from(len).ok()?.to_be_bytes().to_vec())
    }

    fn child_pid(&self, child: &str) -> Option<i32> {
        self.children.borrow().get(child).map(|owner| owner.pid)
    }
}

impl Implementation for Raw {
    async fn perform(&self, command: Command) -> Answer {
        match command {
            Command::Pipe { reader, writer, .. } => {
                return Ok(Completed::with_descriptors(self.ends.pipe(&reader, &writer)?));
            }
            Command::Duplex { near, far } => {
                return Ok(Completed::with_descriptors(self.ends.duplex(&near, &far)?));
            }
            Command::Spawn { child, handles, .. } => self.spawn(child, &handles)?,
            Command::Put { handle, payload } => {
                let payload = payload_bytes(&payload);
                let (End::Sender(end) | End::Both(_, end)) = self.end(&handle)? else {
                    return Err(Failure::unsupported("impossible by type: a receiver cannot send"));
                };
                let mut end = end.lock().await;
                wire::send(end.as_mut().ok_or(WireOutcome::Closed)?, &payload).await?;
            }
            Command::Get { handle } => {
                let (End::Receiver(end) | End::Both(end, _)) = self.end(&handle)? else {
                    return Err(Failure::unsupported("impossible by type: a sender cannot receive"));
                };
                let mut end = end.lock().await;
                let got = wire::receive(end.as_mut().ok_or(WireOutcome::Closed)?).await?;
                return Ok(got.map_or(WireOutcome::Eof, |got| message_outcome(&got)).into());
            }
            Command::Close { handle } => {
                let held = self.end(&handle)?.hold()?;
                if held.iter().all(|end| end.descriptor().is_none()) {
                    return Err(WireOutcome::Closed.into());
                }
                held.into_iter().for_each(Held::drop_it);
            }
            Command::Join { child } => {
                return Ok(WireOutcome::from(self.child(&child)?.wait().await?).into());
            }
            Command::Kill { child } => self.child(&child)?.kill().await?,
            Command::Terminate { child } => {
                // tokio has no call for that; its `id` is there for those who need one.
                if self.child(&child)?.id().await?.is_some() {
                    let signal = Command::Signal { child, signal: "SIGTERM".into() };
                    return OsActions::default().perform(signal, self);
                }
            }
            Command::Alive { child } => {
                let status = self.child(&child)?.try_wait().await?;
                let is_alive = status.is_none();
                return Ok(if is_alive { WireOutcome::Yes } else { WireOutcome::No }.into());
            }
            Command::Code { child } => {
                let status = self.child(&child)?.try_wait().await?;
                return Ok(status.map_or(WireOutcome::Running, WireOutcome::from).into());
            }
            other => return Err(Failure::unsupported(format!("no such thing here: {other:?}"))),
        }
        Ok(WireOutcome::Ok.into())
    }
}

impl Raw {
    fn spawn(&self, child: String, names: &[String]) -> Result<(), Failure> {
        let (mut arguments, mut given) = (Vec::new(), Vec::new());
        let mut all = Vec::new();
        for name in names {
            let held = self.end(name)?.hold()?;
            let mut written = Vec::new();
            for end in &held {
                let fd = end.descriptor().ok_or(WireOutcome::Closed)?;
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
        self.children.borrow_mut().insert(child, owner);
        Ok(())
    }

    /// An end under its name. A name that was never here belongs to an end of another process.
    fn end(&self, name: &str) -> Result<End, Failure> {
        Ok(self.ends.find(name).ok_or(WireOutcome::Closed)?)
    }

    fn child(&self, name: &str) -> Result<Owner, Failure> {
        let owner = self.children.borrow().get(name).cloned();
        owner.ok_or_else(|| Failure::unsupported("impossible by type: no such child is here"))
    }
}
