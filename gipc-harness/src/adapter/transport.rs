//! The harness's end of the conversation: one socket a run, one connection a process.
//!
//! Reads and writes lines. What they mean for the run is the conductor's business.

use gipc_agent::{FromAgent, Hello, LineDecoder, PROTOCOL, ToAgent};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc};

/// What came in.
#[derive(Debug)]
pub enum AgentEvent {
    /// A process said who it is.
    Hello(Hello, AgentHandle),
    /// An agent said something.
    WireOutcome(String, FromAgent),
    /// A connection broke a rule; the role, if it had told one.
    Garbage(Option<String>, String),
    /// A connection ended. That is no proof that its process did.
    Gone(String),
    /// A process ended, as [`AgentHandle::ended`] was told, and all that it had said before was heard.
    Ended(String),
}

/// Where the harness writes to one agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    messages: mpsc::UnboundedSender<ToAgent>,
    ended: Arc<Notify>,
}

impl AgentHandle {
    /// Sends a message. An agent that is gone does not get it, and its end is heard elsewhere.
    pub fn send(&self, message: ToAgent) {
        let _ = self.messages.send(message);
    }

    /// Tells the connection that its process is gone: what it still said is read, and then [`AgentEvent::Ended`] comes,
    /// although somebody else may hold a copy of the socket.
    pub fn ended(&self) {
        self.ended.notify_one();
    }
}

/// Listens at `path`; all that agents say comes out of the receiver. Each connection is drained at once,
/// whatever the conductor is doing: an agent must never wait for the harness.
pub fn listen(path: &Path, token: String) -> io::Result<mpsc::UnboundedReceiver<AgentEvent>> {
    let listener = UnixListener::bind(path)?;
    let (heard, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(converse(stream, token.clone(), heard.clone()));
                    }
                    Err(error) => {
                        let _ = heard.send(AgentEvent::Garbage(None, format!("cannot accept: {error}")));
                        return;
                    }
                },
                () = heard.closed() => return,
            }
        }
    });
    Ok(receiver)
}

async fn converse(stream: UnixStream, token: String, heard: mpsc::UnboundedSender<AgentEvent>) {
    // Who dialled, as the system knows it where it does: what is hit and looked at must be no stranger.
    let dialled = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let (reader, writer) = stream.into_split();
    let mut words = Words { reader, lines: LineDecoder::default() };
    let (messages, written) = mpsc::unbounded_channel();
    tokio::spawn(write(writer, written));
    let line = AgentHandle { messages, ended: Arc::default() };
    let hello = match words.next().await {
        Ok(Some(FromAgent::Hello(hello))) => hello,
        Ok(Some(other)) => {
            let _ = heard.send(AgentEvent::Garbage(None, format!("said {other:?} before hello")));
            return;
        }
        // A stranger that dials and hangs up has said nothing.
        Ok(None) => return,
        Err(text) => {
            let _ = heard.send(AgentEvent::Garbage(None, text));
            return;
        }
    };
    let role = hello.role.clone();
    let wrong = if hello.protocol != PROTOCOL {
        Some(format!("speaks protocol {}, and this is protocol {PROTOCOL}", hello.protocol))
    } else if hello.token != token {
        Some("does not have the token of this run".to_owned())
    } else if let Some(dialled) = dialled.filter(|pid| *pid != hello.pid) {
        Some(format!("says that it is process {}, and process {dialled} dialled", hello.pid))
    } else {
        None
    };
    if let Some(reason) = wrong {
        line.send(ToAgent::Reject { reason: reason.clone() });
        let _ = heard.send(AgentEvent::Garbage(Some(role), reason));
        return;
    }
    line.send(ToAgent::Welcome { protocol: PROTOCOL });
    let ended = Arc::clone(&line.ended);
    let _ = heard.send(AgentEvent::Hello(hello, line));
    let (mut is_over, mut is_gone) = (false, false);
    while !(is_over && is_gone) {
        let said = tokio::select! {
            said = words.next(), if !is_over => said,
            () = ended.notified(), if !is_gone => {
                is_gone = true;
                // After garbage nothing of it is believed.
                while let Some(said) = if is_over { None } else { words.left().await } {
                    is_over = said.is_err();
                    let _ = heard.send(understood(&role, said));
                }
                let _ = heard.send(AgentEvent::Ended(role.clone()));
                continue;
            }
        };
        match said {
            Ok(Some(said)) => drop(heard.send(AgentEvent::WireOutcome(role.clone(), said))),
            Ok(None) => {
                is_over = true;
                let _ = heard.send(AgentEvent::Gone(role.clone()));
            }
            Err(text) => {
                is_over = true;
                let _ = heard.send(AgentEvent::Garbage(Some(role.clone()), text));
            }
        }
        if heard.is_closed() {
            return;
        }
    }
}

fn understood(role: &str, said: Result<FromAgent, String>) -> AgentEvent {
    match said {
        Ok(said) => AgentEvent::WireOutcome(role.to_owned(), said),
        Err(text) => AgentEvent::Garbage(Some(role.to_owned()), text),
    }
}

/// What one agent says, line by line.
struct Words {
    reader: OwnedReadHalf,
    lines: LineDecoder,
}

impl Words {
    /// The next message; `None` at the end. An error is a sentence with a guess at the cause. Cancel-safe.
    async fn next(&mut self) -> Result<Option<FromAgent>, String> {
        loop {
            if let Some(line) = self.lines.next_message() {
                return line.map(Some);
            }
            // A process that is killed resets its connection, or stops in the middle of a line: that is its end.
            match self.reader.read_buf(self.lines.room()).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// The next message of those that are here already; does not wait for more.
    async fn left(&mut self) -> Option<Result<FromAgent, String>> {
        loop {
            if let Some(line) = self.lines.next_message() {
                return Some(line);
            }
            // tokio may not have been told yet that there is something; the system knows.
            let socket = self.reader.as_ref().as_fd();
            let mut asked = [PollFd::new(socket, PollFlags::POLLIN)];
            if poll(&mut asked, PollTimeout::ZERO) != Ok(1) {
                return None;
            }
            match self.reader.read_buf(self.lines.room()).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut messages: mpsc::UnboundedReceiver<ToAgent>) {
    while let Some(message) = messages.recv().await {
        let mut line = serde_json::to_vec(&message).expect("a message is plain data");
        line.push(b'\n');
        if writer.write_all(&line).await.is_err() {
            return;
        }
    }
}
