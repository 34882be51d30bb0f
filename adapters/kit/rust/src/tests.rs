//! Both kinds of session against a toy implementation: a thread of the test plays the harness.

use crate::blocking::serve_blocking_on;
use crate::connection::Connection;
use crate::{
    Answer, BlockingImplementation, Command, ControlChannel, Ending, Failure, FromAgent, Identity,
    Resources, ToAgent, WireOutcome, WirePayload, message_outcome, payload_bytes,
};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The other end of the connection.
struct Harness {
    lines: Lines<BufReader<UnixStream>>,
    writer: UnixStream,
}

impl Harness {
    fn new(writer: UnixStream) -> Self {
        let reader = writer.try_clone().expect("a copy of the socket");
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    fn send(&mut self, message: &ToAgent) {
        self.send_line(&serde_json::to_string(message).expect("plain data"));
    }

    fn send_line(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).expect("the agent reads");
    }

    fn step(&mut self, id: usize, task: Option<&str>, command: Command) {
        let task = task.map(str::to_owned);
        self.send(&ToAgent::Step { id, task, command, within_ms: None });
    }

    fn receive(&mut self) -> FromAgent {
        let line = self.lines.next().expect("not the end").expect("no error");
        serde_json::from_str(&line).expect("a message")
    }

    /// The next line in short.
    fn read(&mut self) -> String {
        match self.receive() {
            FromAgent::Hello(hello) => format!("hello {} {:?}", hello.role, hello.control),
            FromAgent::Begin { id, .. } => format!("begin {id}"),
            FromAgent::End { id, outcome: WireOutcome::Message { text, .. }, .. } => {
                format!("end {id} {}", text.unwrap_or_default())
            }
            FromAgent::End { id, outcome, .. } => format!("end {id} {outcome:?}"),
            FromAgent::Unsupported { id, .. } => format!("unsupported {id}"),
            FromAgent::Pong { n } => format!("pong {n}"),
            FromAgent::Left { handles } => format!("left {handles}"),
            FromAgent::Fault { .. } => "fault".into(),
        }
    }

    fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.read(), *line);
        }
    }

    /// What both kinds of session must do, from the hello on.
    fn converse(&mut self, control: ControlChannel) {
        self.expect(&[&format!("hello main {control:?}")]);
        self.send(&ToAgent::Welcome { protocol: 1 });

        // A task that waits delays neither another task nor a pong.
        self.step(0, Some("reader"), get());
        self.expect(&["begin 0"]);
        self.send(&ToAgent::Ping { n: 7 });
        self.expect(&["pong 7"]);
        self.step(1, None, put("a"));
        self.expect(&["begin 1"]);
        let mut ends = [self.read(), self.read()];
        ends.sort();
        assert_eq!(ends, ["end 0 a", "end 1 Ok"]);

        // A time limit ends the step.
        self.send(&ToAgent::Step { id: 2, task: None, command: get(), within_ms: Some(1) });
        self.expect(&["begin 2", "end 2 Timeout"]);

        // Steps of one task wait for each other, however early they were sent.
        self.step(3, None, get());
        self.step(4, None, put("never before 3"));
        self.step(5, Some("writer"), put("b"));
        let order: Vec<String> = (0..6).map(|_| self.read()).collect();
        let at = |line: &str| order.iter().position(|read| read == line).expect(line);
        assert!(at("end 3 b") < at("begin 4"), "{order:?}");
        assert!(at("begin 3") < at("begin 5") && at("begin 5") < at("end 3 b"), "{order:?}");

        // What the operating system does needs nothing of the implementation.
        self.step(6, None, Command::Exec { ghost: "ghost".into() });
        self.expect(&["begin 6", "end 6 Ok"]);
        self.step(7, None, Command::Stall { child: "ghost".into() });
        self.expect(&["begin 7", "end 7 Ok"]);
        self.step(8, None, Command::Reap { child: "ghost".into() });
        self.expect(&["begin 8", "end 8 Exit { code: 7 }"]);
        self.step(9, None, Command::Reaped { child: "nothing".into() });
        self.expect(&["begin 9", "unsupported 9"]);

        // What the implementation does not know, does not declare, or cannot be read.
        self.step(10, None, Command::Kill { child: "nothing".into() });
        self.expect(&["begin 10", "unsupported 10"]);
        self.step(11, None, Command::Limit { free: Some(0) });
        self.expect(&["unsupported 11"]);
        self.send_line(r#"{"type":"step","id":12,"do":{"verb":"dance"}}"#);
        self.expect(&["unsupported 12"]);
        self.send_line("nonsense");
        self.expect(&["fault"]);
    }

    fn finish(&mut self) {
        self.send(&ToAgent::Finish);
        self.expect(&["left 2"]);
    }
}

fn get() -> Command {
    Command::Get { handle: "r".into() }
}

fn put(text: &str) -> Command {
    Command::Put { handle: "w".into(), payload: WirePayload::Text { text: text.into() } }
}

/// An agent's connection, and the harness at its other end.
fn connect() -> (Connection, Harness) {
    let (agent, harness) = UnixStream::pair().expect("two sockets");
    (Connection { stream: agent, token: "token".into() }, Harness::new(harness))
}

fn identity() -> Identity {
    Identity::new("toy", "1", &["core", "tasks", "process"])
}

/// One queue of messages, whatever the handles are called.
#[derive(Default)]
struct BlockingToy {
    messages: Mutex<VecDeque<Vec<u8>>>,
    arrived: Condvar,
}

impl Resources for BlockingToy {
    fn remaining_handles(&self) -> Option<u64> {
        Some(2)
    }
}

impl BlockingImplementation for BlockingToy {
    fn perform(&self, command: Command, within: Option<Duration>) -> Answer {
        let mut messages = self.messages.lock().unwrap();
        match command {
            Command::Put { payload, .. } => {
                messages.push_back(payload_bytes(&payload));
                self.arrived.notify_one();
                Ok(WireOutcome::Ok.into())
            }
            Command::Get { .. } => {
                let deadline = within.map(|limit| Instant::now() + limit);
                loop {
                    if let Some(got) = messages.pop_front() {
                        return Ok(message_outcome(&got).into());
                    }
                    messages = match deadline {
                        None => self.arrived.wait(messages).unwrap(),
                        Some(deadline) if deadline <= Instant::now() => {
                            return Ok(WireOutcome::Timeout.into());
                        }
                        Some(deadline) => {
                            let limit = deadline.saturating_duration_since(Instant::now());
                            self.arrived.wait_timeout(messages, limit).unwrap().0
                        }
                    };
                }
            }
            Command::Close { .. } => panic!("no close in a toy"),
            _ => Err(Failure::unsupported("a toy")),
        }
    }
}

/// Runs a blocking session on a thread of its own, since it blocks the signals of the calling thread.
fn start_blocking(connection: Connection) -> thread::JoinHandle<Ending> {
    thread::spawn(move || {
        serve_blocking_on(connection, BlockingToy::default(), &identity(), "main")
            .expect("a thread")
    })
}

#[test]
fn a_blocking_session_holds_a_conversation_from_hello_to_finish() {
    let (connection, mut harness) = connect();
    let session = start_blocking(connection);
    harness.converse(ControlChannel::Thread);
    harness.step(13, None, Command::Cancel { task: "reader".into() });
    harness.expect(&["begin 13", "unsupported 13"]);
    harness.finish();
    assert_eq!(session.join().expect("no panic"), Ending::Finished);
}

#[test]
fn a_panic_in_a_blocking_call_is_an_outcome() {
    let (connection, mut harness) = connect();
    let session = start_blocking(connection);
    harness.expect(&["hello main Thread"]);
    harness.step(0, None, Command::Close { handle: "r".into() });
    harness.expect(&["begin 0"]);
    let FromAgent::End { outcome: WireOutcome::Other, detail, .. } = harness.receive() else {
        panic!("not the outcome other");
    };
    assert_eq!(detail.as_deref(), Some("no close in a toy"));
    harness.finish();
    assert_eq!(session.join().expect("no panic"), Ending::Finished);
}

#[test]
fn a_blocking_entry_that_is_to_fail_ends_the_session_without_an_end() {
    let (connection, mut harness) = connect();
    let session = start_blocking(connection);
    harness.expect(&["hello main Thread"]);
    harness.step(0, None, Command::Raise);
    harness.expect(&["begin 0"]);
    assert_eq!(session.join().expect("no panic"), Ending::Raised);
}

#[test]
fn begins_of_idle_threads_are_written_in_the_order_of_their_steps() {
    let (connection, mut harness) = connect();
    let session = start_blocking(connection);
    harness.expect(&["hello main Thread"]);
    let tasks: Vec<String> = (0..20).map(|n| format!("task{n}")).collect();
    for (id, task) in tasks.iter().enumerate() {
        harness.step(id, Some(task), get());
    }
    for id in 0..tasks.len() {
        harness.expect(&[&format!("begin {id}")]);
    }
    harness.finish();
    assert_eq!(session.join().expect("no panic"), Ending::Finished);
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use super::*;
    use crate::Implementation;
    use crate::session::serve_on;
    use std::cell::RefCell;
    use tokio::sync::Notify;

    #[derive(Default)]
    struct Toy {
        messages: RefCell<VecDeque<Vec<u8>>>,
        arrived: Notify,
    }

    impl Resources for Toy {
        fn remaining_handles(&self) -> Option<u64> {
            Some(2)
        }
    }

    impl Implementation for Toy {
        async fn perform(&self, command: Command) -> Answer {
            match command {
                Command::Put { payload, .. } => {
                    self.messages.borrow_mut().push_back(payload_bytes(&payload));
                    self.arrived.notify_one();
                    Ok(WireOutcome::Ok.into())
                }
                Command::Get { .. } => loop {
                    if let Some(got) = self.messages.borrow_mut().pop_front() {
                        return Ok(message_outcome(&got).into());
                    }
                    self.arrived.notified().await;
                },
                _ => Err(Failure::unsupported("a toy")),
            }
        }
    }

    fn start(connection: Connection) -> thread::JoinHandle<Ending> {
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let session = async {
                let identity = identity();
                serve_on(connection, Toy::default(), &identity, "main").await
            };
            runtime.expect("a runtime").block_on(session).expect("a socket")
        })
    }

    #[test]
    fn a_session_holds_a_conversation_from_hello_to_finish() {
        let (connection, mut harness) = connect();
        let session = start(connection);
        harness.converse(ControlChannel::Loop);

        // The cancelled step ends before the one that cancels it.
        harness.step(13, Some("reader"), get());
        harness.expect(&["begin 13"]);
        // It takes the message that no other step took.
        harness.expect(&["end 13 never before 3"]);
        harness.step(14, Some("reader"), get());
        harness.expect(&["begin 14"]);
        harness.step(15, None, Command::Cancel { task: "reader".into() });
        harness.expect(&["begin 15", "end 14 Cancelled", "end 15 Ok"]);
        harness.step(16, None, Command::Cancel { task: "reader".into() });
        harness.expect(&["begin 16", "end 16 Ok"]);
        harness.finish();
        assert_eq!(session.join().expect("no panic"), Ending::Finished);
    }

    #[test]
    fn an_entry_that_is_to_fail_ends_the_session_without_an_end() {
        let (connection, mut harness) = connect();
        let session = start(connection);
        harness.expect(&["hello main Loop"]);
        harness.step(0, None, Command::Raise);
        harness.expect(&["begin 0"]);
        assert_eq!(session.join().expect("no panic"), Ending::Raised);
    }

    #[test]
    fn a_session_without_its_harness_ends() {
        let (connection, mut harness) = connect();
        let session = start(connection);
        harness.expect(&["hello main Loop"]);
        drop(harness);
        assert_eq!(session.join().expect("no panic"), Ending::Gone);
    }
}
