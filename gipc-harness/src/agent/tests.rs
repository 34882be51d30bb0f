//! The conversation against a toy library: this file plays the harness.

use super::{Answer, Identity, Implementation, Unsupported, message, serve};
use crate::adapter::command::{Command, WirePayload};
use crate::adapter::protocol::{
    Control, FromAgent, ImplementationId, SOCKET_VARIABLE, TOKEN_VARIABLE, ToAgent, WireOutcome,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

/// One queue of messages, whatever the handles are called.
#[derive(Clone, Default)]
struct Toy {
    messages: Rc<RefCell<VecDeque<Vec<u8>>>>,
    came: Rc<Notify>,
}

impl Implementation for Toy {
    async fn perform(&self, order: Command) -> Answer {
        match order {
            Command::Put { payload, .. } => {
                self.messages.borrow_mut().push_back(super::bytes(&payload));
                self.came.notify_one();
                Ok(WireOutcome::Ok.into())
            }
            Command::Get { .. } => loop {
                if let Some(got) = self.messages.borrow_mut().pop_front() {
                    return Ok(message(&got).into());
                }
                self.came.notified().await;
            },
            _ => Err(Unsupported("a toy".into())),
        }
    }
}

struct Harness {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Harness {
    async fn send(&mut self, message: &ToAgent) {
        self.send_line(&serde_json::to_string(message).expect("plain data")).await;
    }

    async fn send_line(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.expect("the agent listens");
    }

    async fn step(
        &mut self,
        id: usize,
        task: Option<&str>,
        order: Command,
        within_ms: Option<u64>,
    ) {
        let task = task.map(str::to_owned);
        self.send(&ToAgent::Step { id, task, order, within_ms }).await;
    }

    /// The next line, in a word and its number.
    async fn hear(&mut self) -> String {
        let line = self.lines.next_line().await.expect("open").expect("not the end");
        match serde_json::from_str(&line).expect("a message") {
            FromAgent::Hello(hello) => format!("hello {}", hello.role),
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

    async fn hears(&mut self, expected: &[&str]) {
        for line in expected {
            assert_eq!(self.hear().await, *line);
        }
    }
}

fn get() -> Command {
    Command::Get { handle: "r".into() }
}

fn put(text: &str) -> Command {
    Command::Put { handle: "w".into(), payload: WirePayload::Text { text: text.into() } }
}

#[test]
fn one_conversation_from_hello_to_finish() {
    let folder = tempfile::tempdir().expect("a place for a socket");
    let path = folder.path().join("socket");
    // SAFETY: the only test of this crate's library that reads or writes these two variables, and before its runtime.
    unsafe {
        std::env::set_var(SOCKET_VARIABLE, &path);
        std::env::set_var(TOKEN_VARIABLE, "token");
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let identity = Identity {
            implementation: ImplementationId { name: "toy".into(), version: "1".into() },
            profiles: vec!["core".into(), "tasks".into()],
            control: Control::Loop,
        };
        let (ending, ()) = tokio::join!(serve(Toy::default(), &identity, "main"), async {
            let (stream, _) = listener.accept().await.expect("it dials");
            let (reader, writer) = stream.into_split();
            let mut harness = Harness { lines: BufReader::new(reader).lines(), writer };
            converse(&mut harness).await;
        });
        assert_eq!(ending.expect("a harness"), super::Ending::Finished);
    });
}

async fn converse(harness: &mut Harness) {
    harness.hears(&["hello main"]).await;
    harness.send(&ToAgent::Welcome { protocol: 1 }).await;

    // A task that waits does not stop its neighbour, nor an answer to a ping.
    harness.step(0, Some("reader"), get(), None).await;
    harness.hears(&["begin 0"]).await;
    harness.send(&ToAgent::Ping { n: 7 }).await;
    harness.hears(&["pong 7"]).await;
    harness.step(1, None, put("a"), None).await;
    harness.hears(&["begin 1", "end 1 Ok", "end 0 a"]).await;

    // The cancelled step ends before the one that cancels.
    harness.step(2, Some("reader"), get(), None).await;
    harness.hears(&["begin 2"]).await;
    harness.step(3, None, Command::Cancel { task: "reader".into() }, None).await;
    harness.hears(&["begin 3", "end 2 Cancelled", "end 3 Ok"]).await;
    harness.step(4, None, Command::Cancel { task: "reader".into() }, None).await;
    harness.hears(&["begin 4", "end 4 Ok"]).await;

    harness.step(5, None, get(), Some(1)).await;
    harness.hears(&["begin 5", "end 5 Timeout"]).await;

    // Steps of one task wait for each other, however early they were sent.
    harness.step(6, None, get(), None).await;
    harness.step(7, None, put("never before 6"), None).await;
    harness.step(8, Some("writer"), put("b"), None).await;
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(harness.hear().await);
    }
    let at = |line: &str| order.iter().position(|heard| heard == line);
    assert!(at("end 6 b") < at("begin 7") && at("begin 6") < at("end 8 Ok"), "{order:?}");

    harness.step(9, None, Command::Kill { child: "nobody".into() }, None).await;
    harness.hears(&["begin 9", "unsupported 9"]).await;
    harness.send_line(r#"{"type":"step","id":10,"do":{"verb":"dance"}}"#).await;
    harness.hears(&["unsupported 10"]).await;
    harness.send_line("nonsense").await;
    harness.hears(&["fault"]).await;
    harness.send(&ToAgent::Finish).await;
}
