//! The conversation with the harness: lines of JSON over a Unix socket. What the lines mean is not known here.

use serde_json::{Value, json};
use std::env::var;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process;

/// What this implementation can do.
const PROFILES: [&str; 7] = ["core", "tasks", "process", "frames", "signals", "limits", "counts"];

/// The connection of this process.
pub(crate) struct Conversation {
    socket: UnixStream,
    /// The beginning of a line whose end has not come yet.
    heard: Vec<u8>,
}

impl Conversation {
    /// Dials the harness and says who this is.
    pub(crate) fn open(role: &str) -> io::Result<Self> {
        let missing = |name: &str| io::Error::other(format!("{name} is not set"));
        let path = var("GIPC_HARNESS_SOCKET").map_err(|_| missing("GIPC_HARNESS_SOCKET"))?;
        let token = var("GIPC_HARNESS_TOKEN").map_err(|_| missing("GIPC_HARNESS_TOKEN"))?;
        let mut conversation = Self { socket: UnixStream::connect(path)?, heard: Vec::new() };
        conversation.say(&json!({
            "type": "hello", "protocol": 1, "token": token, "role": role, "pid": process::id(),
            "implementation": { "name": "posix", "version": env!("CARGO_PKG_VERSION") },
            "profiles": PROFILES, "control": "loop",
        }));
        Ok(conversation)
    }

    /// Says one line. Without a harness nobody needs this process.
    pub(crate) fn say(&mut self, words: &Value) {
        if self.socket.write_all(format!("{words}\n").as_bytes()).is_err() {
            process::exit(1);
        }
    }

    /// The lines that have come, once there is something to read.
    pub(crate) fn hear(&mut self) -> Vec<Vec<u8>> {
        let mut piece = [0; 64 * 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => process::exit(1),
            Ok(n) => self.heard.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => process::exit(1),
        }
        let Some(end) = self.heard.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.heard.split_off(end + 1);
        let whole = std::mem::replace(&mut self.heard, rest);
        whole
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
