//! The implementation of the commands with tokio's pipes and processes, and of how errors are reported.

use crate::child::ChildHandle;
use crate::ends::{End, Ends, Held, InUse};
use crate::start::start;
use crate::wire;
use gipc_agent::{
    Answer, Command, Completed, Failure, Implementation, OsActions, Resources, Stream, Streams,
    WireOutcome, WireStream, message_outcome, payload_bytes,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::process::Stdio;

/// The pipe ends and the children of this process.
#[derive(Default)]
pub(crate) struct Raw {
    pub(crate) ends: Ends,
    children: RefCell<BTreeMap<String, ChildHandle>>,
    streams: Streams,
}

impl From<InUse> for Failure {
    fn from(_: InUse) -> Self {
        WireOutcome::Locked.into()
    }
}

impl Resources for Raw {
    fn descriptor(&self, handle: &str) -> Result<RawFd, Failure> {
        if self.streams.has(handle) {
            return self.streams.descriptor(handle);
        }
        let held = self.end(handle)?.lock()?;
        Ok(held.last().and_then(Held::descriptor).ok_or(WireOutcome::Closed)?)
    }

    fn frame_header(&self, _: &str, len: u64) -> Option<Vec<u8>> {
        Streams::frame_header(len)
    }

    fn child_pid(&self, child: &str) -> Option<i32> {
        self.children.borrow().get(child).map(|child| child.pid)
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
            Command::Spawn { child, handles, shared, in_group, .. } => {
                self.spawn(child, &handles, &shared, in_group)?;
            }
            Command::Run { child, argv, stdin, stdout, stderr, in_group } => {
                return self.run(child, &argv, [stdin, stdout, stderr], in_group);
            }
            Command::Drop { child } => {
                self.child(&child)?;
                self.children.borrow_mut().remove(&child);
            }
            Command::Put { handle, payload } if self.streams.has(&handle) => {
                return self.streams.put(&handle, &payload).await;
            }
            Command::Get { handle } if self.streams.has(&handle) => {
                return self.streams.get(&handle).await;
            }
            Command::Close { handle } if self.streams.has(&handle) => {
                return self.streams.close(&handle);
            }
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
                    return Err(Failure::unsupported(
                        "impossible by type: a sender cannot receive",
                    ));
                };
                let mut end = end.lock().await;
                let got = wire::receive(end.as_mut().ok_or(WireOutcome::Closed)?).await?;
                return Ok(got.map_or(WireOutcome::Eof, |got| message_outcome(&got)).into());
            }
            Command::Close { handle } => {
                let held = self.end(&handle)?.lock()?;
                if held.iter().all(|end| end.descriptor().is_none()) {
                    return Err(WireOutcome::Closed.into());
                }
                held.into_iter().for_each(Held::close);
            }
            Command::DropHandle { handle } => {
                self.end(&handle)?;
                self.ends.forget(&handle);
            }
            Command::Join { child } => {
                return Ok(WireOutcome::from(self.child(&child)?.wait().await?).into());
            }
            Command::Kill { child } => self.child(&child)?.kill().await?,
            Command::Terminate { child } => {
                // tokio has no function for SIGTERM, but `id` returns the process id for such purposes.
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
    /// Starts a child with the named ends, and closes those that are not shared in this process.
    fn spawn(
        &self,
        child: String,
        names: &[String],
        shared: &[String],
        in_group: bool,
    ) -> Result<(), Failure> {
        let (mut arguments, mut descriptors) = (Vec::new(), Vec::new());
        let mut moved = Vec::new();
        for name in names {
            let held = self.end(name)?.lock()?;
            let mut numbers = Vec::new();
            for end in &held {
                let fd = end.descriptor().ok_or(WireOutcome::Closed)?;
                descriptors.push(fd);
                numbers.push(match (end, held.len()) {
                    (_, 2) => fd.to_string(),
                    (Held::Receiver(_), _) => format!("r{fd}"),
                    (Held::Sender(_), _) => format!("w{fd}"),
                });
            }
            arguments.push(format!("{name}={}", numbers.join(",")));
            if !shared.contains(name) {
                moved.extend(held);
            }
        }
        let process = ChildHandle::new(start(&child, &arguments, descriptors, in_group)?);
        moved.into_iter().for_each(Held::close);
        self.children.borrow_mut().insert(child, process);
        Ok(())
    }

    /// Starts a program whose standard streams are pipes.
    fn run(
        &self,
        child: String,
        argv: &[String],
        streams: [Option<WireStream>; 3],
        in_group: bool,
    ) -> Answer {
        let (program, arguments) = argv.split_first().ok_or(WireOutcome::Misuse)?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments);
        if in_group {
            command.process_group(0);
        }
        let mut given = self.streams.give();
        for (number, stream) in streams.iter().enumerate() {
            let stdio = match stream {
                None => continue,
                Some(WireStream::Pipe(_)) => Stdio::piped(),
                Some(WireStream::Given(handle)) => given.take(handle)?.into(),
            };
            match number {
                0 => command.stdin(stdio),
                1 => command.stdout(stdio),
                _ => command.stderr(stdio),
            };
        }
        let mut process = command.spawn()?;
        given.leave();
        let [stdin, stdout, stderr] = streams;
        let kept = [
            (stdin, process.stdin.take().map(Stream::Stdin)),
            (stdout, process.stdout.take().map(Stream::Stdout)),
            (stderr, process.stderr.take().map(Stream::Stderr)),
        ];
        self.children.borrow_mut().insert(child, ChildHandle::new(process));
        Ok(self.streams.keep(kept))
    }

    /// The end with this name. A name that this process does not have refers to an end of another process, which counts
    /// as closed.
    fn end(&self, name: &str) -> Result<End, Failure> {
        Ok(self.ends.find(name).ok_or(WireOutcome::Closed)?)
    }

    fn child(&self, name: &str) -> Result<ChildHandle, Failure> {
        let child = self.children.borrow().get(name).cloned();
        child.ok_or_else(|| Failure::unsupported("impossible by type: no such child is here"))
    }
}
