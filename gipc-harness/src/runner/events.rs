//! The events of a run with their times, as `record.jsonl` stores them: one JSON object per line.

use crate::trace::ProcessExit;
use ecow::EcoString;
use gipc_agent::{FromAgent, Hello, ToAgent};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When the harness saw or did it, in microseconds since the start of the run.
    pub us: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened at one moment of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The agent of a process connected.
    Hello {
        /// The message.
        is: Hello,
    },
    /// A message arrived from an agent.
    Received {
        /// The process of the agent.
        from: String,
        /// The message.
        is: FromAgent,
    },
    /// A message was sent to an agent.
    Sent {
        /// The process of the agent.
        to: String,
        /// The message.
        is: ToAgent,
    },
    /// A step was released.
    Released {
        /// The step.
        step: usize,
        /// The task of the step: `main`, `main/reader`.
        task: String,
    },
    /// An agent closed its connection.
    HungUp {
        /// The process of the agent.
        process: String,
    },
    /// A process ended.
    Exited {
        /// The process.
        process: String,
        /// How it ended, as far as the harness knew at that moment.
        exit: ProcessExit,
    },
    /// The harness sent a signal to a process.
    Signalled {
        /// The process.
        process: String,
        /// The name of the signal: `SIGKILL`.
        signal: String,
    },
}

impl fmt::Display for Event {
    /// Writes the event as one line for people: time, process, and what happened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn json(message: &impl Serialize) -> String {
            serde_json::to_string(message).unwrap_or_default()
        }
        let (who, what) = match &self.kind {
            EventKind::Hello { is } => ("hello".to_owned(), json(is)),
            EventKind::Received { from, is } => (from.clone(), json(is)),
            EventKind::Sent { to, is } => (format!("to {to}"), json(is)),
            EventKind::Released { step, task } => (task.clone(), format!("step {step} released")),
            EventKind::HungUp { process } => (process.clone(), "hung up".to_owned()),
            EventKind::Exited { process, exit } => (process.clone(), format!("ended: {exit}")),
            EventKind::Signalled { process, signal } => {
                (process.clone(), format!("was sent {signal}"))
            }
        };
        let ms = self.us as f64 / 1000.0;
        write!(f, "{ms:>9.1} ms  {who:<14} {what}")
    }
}

/// The events of a run in the order in which they happened, stored as the lines of a record.
///
/// Most runs pass, and their events are never read. A run of 100,000 messages has a million events, and they take far less
/// memory as text than as messages. Clones share the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    lines: EcoString,
}

impl Events {
    /// Adds the next event.
    pub fn push(&mut self, event: &Event) {
        // Events are plain data, which can always be written.
        if let Ok(line) = serde_json::to_string(event) {
            self.lines.push_str(&line);
            self.lines.push('\n');
        }
    }

    /// The events, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Event> {
        self.lines.lines().filter_map(|line| serde_json::from_str(line).ok())
    }

    /// The events as the lines of a record, each with its line end.
    #[must_use]
    pub fn as_lines(&self) -> &str {
        &self.lines
    }
}

/// The events of a run so far.
pub(super) struct EventLog {
    started: Instant,
    events: Events,
}

impl EventLog {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), events: Events::default() }
    }

    /// Adds an event that happens now.
    pub(super) fn push(&mut self, kind: EventKind) {
        let us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.events.push(&Event { us, kind });
    }

    /// The last message that was sent to the agent of a process.
    pub(super) fn last_sent(&self, process: &str) -> Option<ToAgent> {
        self.events.iter().rev().find_map(|event| match event.kind {
            EventKind::Sent { to, is } if to == process => Some(is),
            _ => None,
        })
    }

    pub(super) fn into_events(self) -> Events {
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json_with_the_message_under_is() {
        let is = FromAgent::Begin { id: 3, pid: 42 };
        let event = Event { us: 1500, kind: EventKind::Received { from: "main".into(), is } };
        let line =
            r#"{"us":1500,"event":"received","from":"main","is":{"type":"begin","id":3,"pid":42}}"#;
        assert_eq!(serde_json::to_string(&event).expect("plain data"), line);
        assert_eq!(serde_json::from_str::<Event>(line).expect("an event"), event);
    }

    #[test]
    fn every_kind_of_event_survives_a_round_trip() {
        let process = || "child".to_owned();
        let kinds = [
            EventKind::Sent { to: process(), is: ToAgent::Ping { n: 7 } },
            EventKind::Released { step: 1, task: "main/reader".into() },
            EventKind::HungUp { process: process() },
            EventKind::Exited { process: process(), exit: ProcessExit::Signal("SIGKILL".into()) },
            EventKind::Signalled { process: process(), signal: "SIGSTOP".into() },
        ];
        let given: Vec<Event> = kinds.into_iter().map(|kind| Event { us: 1, kind }).collect();
        let mut events = Events::default();
        given.iter().for_each(|event| events.push(event));
        assert_eq!(events.iter().collect::<Vec<_>>(), given);
        assert_eq!(events.as_lines().lines().count(), given.len());
    }
}
