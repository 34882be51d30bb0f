//! The connection to the harness: lines of JSON over a Unix socket. This file frames and unframes lines; `agent`
//! interprets them.

use serde_json::{Value, json};
use std::env::var;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process;

/// The profiles that this implementation supports.
const PROFILES: [&str; 11] = [
    "core", "tasks", "process", "frames", "signals", "limits", "counts", "stdio", "groups",
    "share", "threads",
];

/// The connection of this process to the harness.
pub(crate) struct Session {
    socket: UnixStream,
    /// The beginning of a line whose newline has not arrived yet.
    partial_line: Vec<u8>,
}

impl Session {
    /// Connects to the harness and sends the hello.
    pub(crate) fn open(role: &str) -> io::Result<Self> {
        let missing = |name: &str| io::Error::other(format!("{name} is not set"));
        let path = var("GIPC_HARNESS_SOCKET").map_err(|_| missing("GIPC_HARNESS_SOCKET"))?;
        let token = var("GIPC_HARNESS_TOKEN").map_err(|_| missing("GIPC_HARNESS_TOKEN"))?;
        let mut session = Self { socket: UnixStream::connect(path)?, partial_line: Vec::new() };
        session.send(&json!({
            "type": "hello", "protocol": 2, "token": token, "role": role, "pid": process::id(),
            "implementation": { "name": "posix", "version": env!("CARGO_PKG_VERSION") },
            "profiles": PROFILES, "control": "loop",
        }));
        Ok(session)
    }

    /// Sends one message. If the harness is gone, this process exits with code 1.
    pub(crate) fn send(&mut self, message: &Value) {
        if self.socket.write_all(format!("{message}\n").as_bytes()).is_err() {
            process::exit(1);
        }
    }

    /// Reads once and returns the lines that are complete. Call this when the socket is readable. If the harness is
    /// gone, this process exits with code 1.
    pub(crate) fn receive_lines(&mut self) -> Vec<Vec<u8>> {
        let mut chunk = [0; 64 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => process::exit(1),
            Ok(n) => self.partial_line.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => process::exit(1),
        }
        let Some(end) = self.partial_line.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.partial_line.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial_line, rest);
        complete
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
