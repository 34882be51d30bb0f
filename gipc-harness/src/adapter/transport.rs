//! The harness's side of the connections to the agents: one socket for each run, one connection for each process.
//!
//! Reads and writes messages, and checks the first one. The runner decides what the other messages mean for the run.

use gipc_agent::LineDecoder;
use gipc_agent::{FromAgent, Hello, OLDEST_PROTOCOL, PROTOCOL, ToAgent};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc};

/// An event of a connection. Processes are named by the role that their hello gave.
#[derive(Debug)]
pub enum AgentEvent {
    /// The agent of a process connected and introduced itself.
    Hello(Hello, AgentHandle),
    /// A message arrived from the agent of a process.
    Message(String, FromAgent),
    /// A connection broke the protocol: its process, if that is known, and what is wrong, as part of a sentence.
    ProtocolError(Option<String>, String),
    /// The harness could not accept a connection. It keeps listening.
    CannotAccept(io::Error),
    /// The connection of a process ended, which does not prove that the process ended.
    HungUp(String),
    /// A process has exited, as [`AgentHandle::process_exited`] reported, and all its messages were delivered.
    Exited(String),
}

/// The sending side of the connection to one agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    messages: mpsc::UnboundedSender<ToAgent>,
    exited: Arc<Notify>,
}

impl AgentHandle {
    /// Queues a message. If the connection has ended, the message is dropped, and [`AgentEvent::HungUp`] reports the
    /// end.
    pub fn send(&self, message: ToAgent) {
        let _ = self.messages.send(message);
    }

    /// Tells the connection that its process has exited. The connection delivers the messages that have arrived, and then
    /// [`AgentEvent::Exited`], even if another process holds a copy of the socket.
    pub fn process_exited(&self) {
        self.exited.notify_one();
    }
}

/// How many bytes to read at once.
const READ_SIZE: usize = 512;

/// How long to wait after a failure to accept a connection.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(10);

/// Listens at `path` and returns the events of all connections. `token` is what each hello must contain.
///
/// Each connection has a task that reads it, so that an agent never waits for the harness. Fails if the socket can't be
/// made. Must be called inside a tokio runtime.
pub fn listen(path: &Path, token: String) -> io::Result<mpsc::UnboundedReceiver<AgentEvent>> {
    let listener = UnixListener::bind(path)?;
    let (events, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(serve(stream, token.clone(), events.clone()));
                    }
                    Err(error) => {
                        if error.kind() != io::ErrorKind::ConnectionAborted {
                            let _ = events.send(AgentEvent::CannotAccept(error));
                        }
                        // Descriptors become free when other runs end.
                        tokio::time::sleep(ACCEPT_INTERVAL).await;
                    }
                },
                () = events.closed() => return,
            }
        }
    });
    Ok(receiver)
}

/// Reads the messages of one connection until it and its process have ended.
async fn serve(stream: UnixStream, token: String, events: mpsc::UnboundedSender<AgentEvent>) {
    // The pid of the peer, if the system knows it: signals must not reach a process that is not part of the run. gVisor
    // answers with the pid of the process that asks.
    let own = i32::try_from(std::process::id()).ok();
    let peer = stream.peer_cred().ok().and_then(|peer| peer.pid()).filter(|pid| Some(*pid) != own);
    let (reader, writer) = stream.into_split();
    let mut messages = MessageReader { reader, lines: LineDecoder::default() };
    let (sender, queue) = mpsc::unbounded_channel();
    tokio::spawn(write_messages(writer, queue));
    let agent = AgentHandle { messages: sender, exited: Arc::default() };
    let hello = match messages.next().await {
        Ok(Some(FromAgent::Hello(hello))) => hello,
        Ok(Some(other)) => {
            let message = serde_json::to_string(&other).unwrap_or_default();
            let what = format!("sent {message} before its hello, which must be its first message");
            let _ = events.send(AgentEvent::ProtocolError(None, what));
            return;
        }
        // An unknown process that connects and hangs up without a message does not belong to the run.
        Ok(None) => return,
        Err(what) => {
            let _ = events.send(AgentEvent::ProtocolError(None, what));
            return;
        }
    };
    let process = hello.role.clone();
    if let Some(reason) = rejection(&hello, &token, peer) {
        agent.send(ToAgent::Reject { reason: reason.clone() });
        let _ = events.send(AgentEvent::ProtocolError(Some(process), reason));
        return;
    }
    agent.send(ToAgent::Welcome { protocol: hello.protocol });
    let exited = Arc::clone(&agent.exited);
    let _ = events.send(AgentEvent::Hello(hello, agent));
    let (mut is_closed, mut has_exited) = (false, false);
    while !(is_closed && has_exited) {
        let received = tokio::select! {
            received = messages.next(), if !is_closed => received,
            () = exited.notified(), if !has_exited => {
                has_exited = true;
                // Nothing that follows a protocol error is delivered.
                while let Some(received) = if is_closed { None } else { messages.next_available().await } {
                    is_closed = received.is_err();
                    let _ = events.send(message_event(&process, received));
                }
                let _ = events.send(AgentEvent::Exited(process.clone()));
                continue;
            }
        };
        is_closed = !matches!(received, Ok(Some(_)));
        let event = match received.transpose() {
            Some(received) => message_event(&process, received),
            None => AgentEvent::HungUp(process.clone()),
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

/// The profiles that version 2 of the protocol added.
const NEW_PROFILES: [&str; 6] = ["stdio", "drop", "groups", "share", "drop-handle", "threads"];

/// Why a hello is rejected, as part of a sentence; `None` if it is accepted.
fn rejection(hello: &Hello, token: &str, peer: Option<i32>) -> Option<String> {
    let newer = hello.profiles.iter().find(|profile| NEW_PROFILES.contains(&profile.as_str()));
    if !(OLDEST_PROTOCOL..=PROTOCOL).contains(&hello.protocol) {
        Some(format!(
            "uses protocol {}, and this harness uses {OLDEST_PROTOCOL} to {PROTOCOL}",
            hello.protocol
        ))
    } else if let Some(profile) = newer.filter(|_| hello.protocol < PROTOCOL) {
        Some(format!(
            "uses protocol {}, in which there is no profile {profile}: it needs protocol {PROTOCOL}",
            hello.protocol
        ))
    } else if hello.token != token {
        Some("does not have the token of this run".to_owned())
    } else {
        let peer = peer.filter(|pid| *pid != hello.pid)?;
        Some(format!("says that it is process {}, and process {peer} connected", hello.pid))
    }
}

fn message_event(process: &str, received: Result<FromAgent, String>) -> AgentEvent {
    match received {
        Ok(message) => AgentEvent::Message(process.to_owned(), message),
        Err(what) => AgentEvent::ProtocolError(Some(process.to_owned()), what),
    }
}

/// The receiving side of a connection.
struct MessageReader {
    reader: OwnedReadHalf,
    lines: LineDecoder,
}

impl MessageReader {
    /// Waits for the next message; `None` at the end of the connection. The error is part of a sentence with a guess at the
    /// cause. Cancel-safe.
    async fn next(&mut self) -> Result<Option<FromAgent>, String> {
        loop {
            if let Some(message) = self.lines.next_message() {
                return message.map(Some);
            }
            // If a process is killed, its connection is reset, or ends in the middle of a line. Both count as its end.
            match self.read().await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// Waits for bytes, and appends them to the buffer; returns how many there are, 0 at the end of the connection.
    /// Cancel-safe.
    ///
    /// This does not use tokio's own read. After a short read, tokio waits for another notification, and gVisor sends none
    /// for an end that came before the notification of the last bytes.
    async fn read(&mut self) -> io::Result<usize> {
        let socket = self.reader.as_ref();
        let mut bytes = [0; READ_SIZE];
        let read = || uninterrupted(|| nix::unistd::read(socket, &mut bytes));
        let count = socket.async_io(Interest::READABLE, read).await?;
        self.lines.buffer_mut().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// The next message that has already arrived; does not wait for more.
    async fn next_available(&mut self) -> Option<Result<FromAgent, String>> {
        loop {
            if let Some(message) = self.lines.next_message() {
                return Some(message);
            }
            // tokio may not have been notified yet that the socket is readable, so `poll` asks the system.
            let socket = self.reader.as_ref().as_fd();
            let mut descriptors = [PollFd::new(socket, PollFlags::POLLIN)];
            if poll(&mut descriptors, PollTimeout::ZERO) != Ok(1) {
                return None;
            }
            match self.read().await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// Repeats a call while a signal interrupts it, since that is not the end of a connection.
fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Writes queued messages until the queue or the connection is closed.
async fn write_messages(mut writer: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<ToAgent>) {
    while let Some(message) = queue.recv().await {
        let mut line = serde_json::to_vec(&message).expect("a message is plain data");
        line.push(b'\n');
        if writer.write_all(&line).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gipc_agent::{ControlChannel, ImplementationId};
    use rstest::rstest;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream as Client;

    #[rstest]
    #[case::of_version_1(1, "process", None)]
    #[case::of_version_2(2, "stdio", None)]
    #[case::of_version_1_with_a_profile_of_version_2(1, "drop", Some("it needs protocol 2"))]
    #[case::of_a_version_to_come(3, "core", Some("this harness uses 1 to 2"))]
    #[case::of_no_version(0, "core", Some("this harness uses 1 to 2"))]
    fn an_agent_is_accepted_if_its_version_has_its_profiles(
        #[case] protocol: u32,
        #[case] profile: &str,
        #[case] rejected: Option<&str>,
    ) {
        let hello = Hello {
            protocol,
            token: "secret".into(),
            role: "main".into(),
            pid: 1,
            implementation: ImplementationId { name: "x".into(), version: "0".into() },
            profiles: vec!["core".into(), profile.into()],
            control: ControlChannel::Loop,
        };
        match (rejection(&hello, "secret", None), rejected) {
            (None, None) => {}
            (Some(reason), Some(part)) => assert!(reason.contains(part), "{reason}"),
            (reason, _) => panic!("{reason:?}"),
        }
    }

    #[test]
    fn a_read_that_is_interrupted_is_made_again() {
        let mut results = [Err(Errno::EINTR), Err(Errno::EINTR), Ok(7)].into_iter();
        assert_eq!(uninterrupted(|| results.next().expect("no more reads")).ok(), Some(7));
        let reset = uninterrupted(|| Err::<usize, _>(Errno::ECONNRESET));
        assert_eq!(reset.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    }

    /// gVisor reports the process that asks as the peer of a socket, here this process.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_own_pid_as_the_peer_of_a_socket_contradicts_no_hello() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let mut events = listen(&path, "secret".into()).expect("the path is short");
        let mut client = Client::connect(&path).expect("it listens");
        let hello = serde_json::json!({
            "type": "hello", "protocol": PROTOCOL, "token": "secret", "role": "main", "pid": 1,
            "implementation": { "name": "x", "version": "0" }, "profiles": [], "control": "loop",
        });
        writeln!(client, "{hello}").expect("it listens");
        assert!(matches!(events.recv().await, Some(AgentEvent::Hello(..))));
        let mut answer = String::new();
        BufReader::new(client).read_line(&mut answer).expect("an answer");
        assert!(answer.contains("welcome"), "{answer}");
    }
}
