//! The harness's end of the conversation: one socket a run, one connection a process.
//!
//! Reads and writes lines. What they mean for the run is the conductor's business.

use super::protocol::{FromAgent, Hello, MAX_LINE, PROTOCOL, ToAgent};
use std::io;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// What came in.
#[derive(Debug)]
pub enum Heard {
    /// A process said who it is.
    Hello(Hello, Line),
    /// An agent said something.
    Said(String, FromAgent),
    /// A connection broke a rule; the role, if it had told one.
    Garbage(Option<String>, String),
    /// A connection ended. That is no proof that its process did.
    Gone(String),
}

/// Where the harness writes to one agent.
#[derive(Debug)]
pub struct Line(mpsc::UnboundedSender<ToAgent>);

impl Line {
    /// Sends a message. An agent that is gone does not get it, and its end is heard elsewhere.
    pub fn send(&self, message: ToAgent) {
        let _ = self.0.send(message);
    }
}

/// Listens at `path`; all that agents say comes out of the receiver. Each connection is drained at once,
/// whatever the conductor is doing: an agent must never wait for the harness.
pub fn listen(path: &Path, token: String) -> io::Result<mpsc::UnboundedReceiver<Heard>> {
    let listener = UnixListener::bind(path)?;
    let (heard, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (reader, writer) = stream.into_split();
                        tokio::spawn(converse(reader, writer, token.clone(), heard.clone()));
                    }
                    Err(error) => {
                        let _ = heard.send(Heard::Garbage(None, format!("cannot accept: {error}")));
                        return;
                    }
                },
                () = heard.closed() => return,
            }
        }
    });
    Ok(receiver)
}

async fn converse(
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    token: String,
    heard: mpsc::UnboundedSender<Heard>,
) {
    let mut reader = BufReader::new(reader);
    let (line, messages) = mpsc::unbounded_channel();
    tokio::spawn(write(writer, messages));
    let line = Line(line);
    let hello = match read(&mut reader).await {
        Ok(Some(FromAgent::Hello(hello))) => hello,
        Ok(Some(other)) => {
            let _ = heard.send(Heard::Garbage(None, format!("said {other:?} before hello")));
            return;
        }
        // A stranger that dials and hangs up has said nothing.
        Ok(None) => return,
        Err(text) => {
            let _ = heard.send(Heard::Garbage(None, text));
            return;
        }
    };
    let role = hello.role.clone();
    let wrong = if hello.protocol != PROTOCOL {
        Some(format!("speaks protocol {}, and this is protocol {PROTOCOL}", hello.protocol))
    } else if hello.token != token {
        Some("does not have the token of this run".to_owned())
    } else {
        None
    };
    if let Some(reason) = wrong {
        line.send(ToAgent::Reject { reason: reason.clone() });
        let _ = heard.send(Heard::Garbage(Some(role), reason));
        return;
    }
    line.send(ToAgent::Welcome { protocol: PROTOCOL });
    let _ = heard.send(Heard::Hello(hello, line));
    loop {
        let said = match read(&mut reader).await {
            Ok(Some(said)) => Heard::Said(role.clone(), said),
            Ok(None) => {
                let _ = heard.send(Heard::Gone(role));
                return;
            }
            Err(text) => {
                let _ = heard.send(Heard::Garbage(Some(role), text));
                return;
            }
        };
        if heard.send(said).is_err() {
            return;
        }
    }
}

/// The next message; `None` at the end. An error is a sentence with a guess at the cause.
async fn read(reader: &mut BufReader<OwnedReadHalf>) -> Result<Option<FromAgent>, String> {
    let mut line = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    match (&mut *reader).take(limit).read_until(b'\n', &mut line).await {
        // A process that is killed resets its connection: that is its end, too.
        Ok(0) | Err(_) => return Ok(None),
        Ok(_) => {}
    }
    if line.last() != Some(&b'\n') {
        return match line.len() > MAX_LINE {
            true => Err(format!(
                "sent a line of more than {MAX_LINE} bytes; payloads never travel here"
            )),
            // Half a line: it died while it wrote.
            false => Ok(None),
        };
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| {
        let shown: String = String::from_utf8_lossy(&line).trim_end().chars().take(120).collect();
        format!("sent a line that is no message of protocol {PROTOCOL}: {shown:?} ({error}); was it meant for stdout?")
    })
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
