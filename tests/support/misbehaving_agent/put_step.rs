//! What the misbehaving agent does wrong while it runs a step: every misbehavior of that kind happens in the put.

use super::{MisbehavingAgent, park, start_agent};
use nix::sys::signal::{SIGKILL, SIGSTOP, Signal, kill, raise};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

/// How much the agent that floods stdout prints, in MiB.
const FLOOD_MIB: usize = 2048;
/// How many begin messages the agent that floods the connection sends.
const BEGINS: usize = 1_000_000;

impl MisbehavingAgent {
    /// Runs a put, with the misbehavior of this agent. If the process has to exit, returns the exit code.
    pub(super) fn run_put(&mut self, id: &Value, command: &Value) -> Option<i32> {
        let pid = std::process::id();
        let begin = json!({ "type": "begin", "id": id, "pid": pid });
        let end_with =
            |outcome: Value| json!({ "type": "end", "id": id, "pid": pid, "outcome": outcome });
        let end = end_with(json!({ "is": "ok" }));
        let end_of = |id: &Value, pid: u32| json!({ "type": "end", "id": id, "pid": pid, "outcome": { "is": "ok" } });
        // These replace the messages of a correct put.
        let instead = match self.misbehavior.as_str() {
            "end-before-begin" => vec![end.clone(), begin.clone()],
            "two-begins" => vec![begin.clone(), begin.clone(), end.clone()],
            "two-ends" => vec![begin.clone(), end.clone(), end.clone()],
            "ends-an-unknown-step" => vec![begin.clone(), end_of(&json!(999), pid)],
            "ends-a-step-before-it-was-sent" => vec![begin.clone(), end_of(&json!(2), pid)],
            "ends-a-step-with-another-pid" => vec![begin.clone(), end_of(id, 1)],
            "unknown-message" => vec![begin.clone(), json!({ "type": "hurry" })],
            "unknown-outcome" => vec![begin.clone(), end_with(json!({ "is": "splendid" }))],
            "refuses-a-verb-of-a-declared-profile" => {
                vec![json!({ "type": "unsupported", "id": id, "reason": "not today" })]
            }
            "pong-without-a-ping" => {
                vec![begin.clone(), json!({ "type": "pong", "n": 7 }), end.clone()]
            }
            "second-hello" => {
                self.send_hello();
                vec![begin.clone(), end.clone()]
            }
            "delivers-a-wrong-message" => {
                let wrong = json!({ "handle": command["handle"], "payload": { "text": "b" } });
                self.perform("put", &wrong);
                vec![begin.clone(), end.clone()]
            }
            _ => vec![],
        };
        if !instead.is_empty() {
            self.send_all(&instead.iter().collect::<Vec<_>>());
            return None;
        }
        if let Some(code) = self.misbehave_before_put(&begin) {
            return Some(code);
        }
        self.send(&begin);
        let outcome = self.perform("put", command);
        self.end_last_get();
        self.send(&end_with(outcome));
        None
    }

    /// Does what precedes an otherwise correct put. If the process has to exit, returns the exit code.
    fn misbehave_before_put(&mut self, begin: &Value) -> Option<i32> {
        match self.misbehavior.as_str() {
            "invalid-json" => self.send_raw(b"{\"type\":\"end\",\n"),
            "invalid-utf8" => self.send_raw(b"{\"type\":\"fault\",\"reason\":\"\xff\xfe\"}\n"),
            "prints-to-the-socket" => self.send_raw(b"Segmentation fault\n"),
            "writes-a-frame-to-the-socket" => self.send_raw(b"\x00\x00\x00\x06before"),
            "line-over-the-length-limit" => self.send_raw(&vec![b'x'; 1 << 20]),
            "incomplete-line" => self.send_raw(b"{\"type\":\"beg"),
            "deeply-nested-json" => {
                self.send_raw(&[vec![b'['; 60_000], b"\n".to_vec()].concat());
            }
            "sends-a-million-begins" => {
                let lines = format!("{begin}\n").repeat(1000);
                (0..BEGINS / 1000).for_each(|_| self.send_raw(lines.as_bytes()));
            }
            "floods-stdout" => {
                let mut out = std::io::stdout();
                let chunk = vec![b'x'; 1 << 20];
                for _ in 0..FLOOD_MIB {
                    let _ = out.write_all(&chunk);
                }
            }
            "exits-during-a-step" => return Some(0),
            "aborts-during-a-step" => std::process::abort(),
            "kills-itself-during-a-step" => raise(SIGKILL).expect("SIGKILL can be raised"),
            "stops-itself" => raise(SIGSTOP).expect("SIGSTOP can be raised"),
            "computes-forever" => loop {
                std::hint::spin_loop();
            },
            "answers-pings-while-its-loop-is-blocked" => {
                let stream = self.stream.try_clone().expect("a duplicate of the socket");
                std::thread::spawn(move || answer_pings(stream));
                self.send(begin);
                park();
            }
            "stops-the-supervisor" => signal_supervisor(SIGSTOP),
            "kills-the-supervisor" => signal_supervisor(SIGKILL),
            "repeats-the-left-message" => loop {
                self.send(&json!({ "type": "left", "handles": 0 }));
                std::thread::sleep(Duration::from_millis(20));
            },
            "creates-orphans-endlessly" => loop {
                // The shell exits at once, and its orphan a moment later, as a child of the supervisor.
                let _ = Command::new("sh").args(["-c", "sleep 0.1 &"]).status();
            },
            "connects-a-process-with-an-unknown-role" => {
                drop(start_agent(&["well-behaved", "unknown"]).wait());
            }
            "connects-a-second-process-as-main" => {
                drop(start_agent(&["well-behaved", "main"]).wait());
            }
            "closes-the-connection-and-keeps-running" => {
                let _ = self.stream.shutdown(std::net::Shutdown::Both);
                park();
            }
            "child-keeps-the-socket-open" => {
                let stream = self.stream.try_clone().expect("a duplicate of the socket");
                let file = std::os::fd::OwnedFd::from(stream);
                let program = std::env::current_exe().expect("the path of this program");
                let mut sleeper = Command::new(program);
                drop(sleeper.args(["agent", "sleeps", "main"]).stdin(file).spawn());
                return Some(0);
            }
            _ => {}
        }
        None
    }
}

/// Sends a signal to the supervisor, which is the parent of main.
fn signal_supervisor(signal: Signal) {
    let _ = kill(nix::unistd::getppid(), signal);
}

/// Answers pings and ignores all other messages.
fn answer_pings(mut stream: UnixStream) {
    let lines = BufReader::new(stream.try_clone().expect("a duplicate of the socket")).lines();
    for line in lines.map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).expect("the harness sends JSON");
        if message["type"] == "ping" {
            let _ = writeln!(stream, "{}", json!({ "type": "pong", "n": message["n"] }));
        }
    }
}
