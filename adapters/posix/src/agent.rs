//! The event loop of one process: it receives commands and advances the steps that wait for descriptors, children or
//! time. `commands` interprets a command; `poll` sleeps.

use crate::children::Children;
use crate::commands::{Operation, ProcessEnd, Refusal, Started};
use crate::faults::{self, fault, is_marked, mark};
use crate::frame::Incoming;
use crate::handles::{Handles, Side, StepId};
use crate::os_actions::{ChildWakeup, DescriptorLimit, ForeignProgram};
use crate::poll::wait;
use crate::protocol::{Outcome, is, os_error};
use crate::session::Session;
use nix::errno::Errno;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process;
use std::time::{Duration, Instant};

/// A step that has begun and not ended.
struct PendingStep {
    task: Option<String>,
    operation: Operation,
    deadline: Option<Instant>,
}

/// One process of a scenario.
pub(crate) struct Agent {
    pub(crate) program: CString,
    pub(crate) handles: Handles,
    pub(crate) children: Children,
    pub(crate) descriptor_limit: DescriptorLimit,
    pub(crate) foreign_programs: BTreeMap<String, ForeignProgram>,
    /// The bytes that each `cut` has left for a later `rest`.
    pub(crate) rests: BTreeMap<String, Vec<u8>>,
    session: Session,
    child_wakeup: ChildWakeup,
    /// The steps that have not begun, in the order in which they arrived.
    queue: VecDeque<Value>,
    pending: BTreeMap<StepId, PendingStep>,
    process_end: Option<ProcessEnd>,
}

impl Agent {
    pub(crate) fn new(program: CString, role: &str, handles: Handles) -> io::Result<Self> {
        Ok(Self {
            program,
            handles,
            children: Children::default(),
            descriptor_limit: DescriptorLimit::new()?,
            foreign_programs: BTreeMap::new(),
            rests: BTreeMap::new(),
            child_wakeup: ChildWakeup::new()?,
            session: Session::open(role)?,
            queue: VecDeque::new(),
            pending: BTreeMap::new(),
            process_end: None,
        })
    }

    /// Runs the loop until the script of this process is done.
    pub(crate) fn serve(mut self) -> ProcessEnd {
        loop {
            self.begin_queued();
            if let Some(end) = self.process_end.take() {
                return end;
            }
            if self.finish_child_waits() {
                continue; // the tasks of those steps may have further steps in the queue
            }
            let has_limit = |(id, step): &(&StepId, &PendingStep)| self.has_limit(**id, step);
            let timed = self.pending.iter().filter(has_limit);
            let deadline = timed.filter_map(|(_, step)| step.deadline).min();
            let ready = match wait(&self.session, &self.child_wakeup, &self.handles, deadline) {
                Ok(ready) => ready,
                Err(error) => {
                    self.send_fault(&format!("poll: {error}"));
                    process::exit(1);
                }
            };
            if ready.interrupted {
                self.misread_interruption();
            }
            if ready.child_wakeup {
                self.child_wakeup.drain();
                let skipped = fault!("only-join-reaps")
                    || fault!("sigchld-is-lost-in-a-stall") && is_marked("stalled")
                    || fault!("a-start-from-a-thread-takes-sigchld-along")
                        && is_marked("started from a thread");
                if !skipped {
                    self.children.reap_all();
                }
            }
            for end in ready.ends {
                self.advance(&end);
            }
            // Deadlines come after the pipes: what arrived before its deadline is in time even if the loop is late.
            self.expire();
            if ready.session {
                for line in self.session.receive_lines() {
                    self.on_message(&line);
                }
            }
        }
    }

    /// The puts of which a part is written.
    fn pending_puts_begun(&self) -> Vec<StepId> {
        let has_begun = |step: &PendingStep| matches!(&step.operation, Operation::Put { outgoing, .. } if outgoing.has_begun());
        self.pending.iter().filter(|(_, step)| has_begun(step)).map(|(id, _)| *id).collect()
    }

    /// Faults of an interrupted `poll`.
    fn misread_interruption(&mut self) {
        let ends = |operation: &Operation| match operation {
            Operation::Get { .. } => fault!("a-signal-ends-a-get"),
            Operation::Put { .. } => fault!("a-signal-ends-a-put"),
            Operation::Join { .. } => fault!("a-signal-ends-a-join"),
            _ => false,
        };
        let ended: Vec<StepId> = self
            .pending
            .iter()
            .filter(|(_, step)| ends(&step.operation))
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            self.abandon(id, os_error(Errno::EINTR));
        }
        if fault!("a-signal-drops-half-a-message") {
            for end in self.handles.0.values_mut() {
                if let Side::Reader(incoming) = &mut end.side {
                    *incoming = Incoming::default();
                }
            }
        }
    }

    fn on_message(&mut self, line: &[u8]) {
        let message: Value = serde_json::from_slice(line).unwrap_or_default();
        match message["type"].as_str() {
            Some("welcome") => {}
            Some("step") => self.queue.push_back(message),
            Some("ping") => self.session.send(&json!({ "type": "pong", "n": message["n"] })),
            Some("finish") => {
                self.session.send(&json!({ "type": "left", "handles": self.handles.count() }));
                self.process_end = Some(ProcessEnd::Return);
            }
            Some("reject") => process::exit(1),
            _ => self.send_fault(&format!("no such message: {}", String::from_utf8_lossy(line))),
        }
    }

    fn send_fault(&mut self, reason: &str) {
        self.session.send(&json!({ "type": "fault", "reason": reason }));
    }

    /// The pending step of a task. The main task of the process has no name.
    fn pending_step(&self, task: Option<&str>) -> Option<StepId> {
        self.pending.iter().find(|(_, step)| step.task.as_deref() == task).map(|(id, _)| *id)
    }

    /// Begins the next step of each task that has no pending step.
    fn begin_queued(&mut self) {
        while self.process_end.is_none() {
            let task_is_idle =
                |message: &Value| self.pending_step(message["task"].as_str()).is_none();
            let Some(message) = self
                .queue
                .iter()
                .position(task_is_idle)
                .and_then(|position| self.queue.remove(position))
            else {
                break;
            };
            self.begin(&message);
        }
    }

    fn begin(&mut self, message: &Value) {
        let Some(id) = message["id"].as_u64() else {
            return self.send_fault("a step without an id");
        };
        self.session.send(&json!({ "type": "begin", "id": id, "pid": process::id() }));
        match self.start_command(&message["do"]) {
            Ok(Started::Done(answer)) => self.send_end(id, answer),
            Ok(Started::Waits(operation)) => {
                let limit = match operation {
                    Operation::Pause { ms } => Some(ms),
                    _ => message["within_ms"].as_u64(),
                };
                let limit = match limit {
                    Some(ms) if fault!("limits-expire-late") => Some(ms * 10),
                    Some(ms) if fault!("limits-expire-early") => Some(ms / 10),
                    limit => limit,
                };
                let limit = limit.map(Duration::from_millis);
                let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
                let task = message["task"].as_str().map(str::to_owned);
                let end = operation.end().map(str::to_owned);
                self.pending.insert(id, PendingStep { task, operation, deadline });
                if let Some(end) = end {
                    self.enqueue_at_end(id, &end);
                }
            }
            Ok(Started::EndsProcess(_))
                if fault!("exit-waits-for-the-tasks") && !self.pending.is_empty() => {}
            Ok(Started::EndsProcess(end)) => self.process_end = Some(end),
            Err(Refusal::Outcome(outcome)) => self.send_end(id, json!({ "outcome": outcome })),
            Err(Refusal::Unsupported(reason)) => {
                self.session.send(&json!({ "type": "unsupported", "id": id, "reason": reason }));
            }
            Err(Refusal::Malformed(reason)) => self.send_fault(&reason),
        }
    }

    /// Sends the `end` message of a step.
    fn send_end(&mut self, id: StepId, mut answer: Value) {
        answer["type"] = "end".into();
        answer["id"] = id.into();
        answer["pid"] = process::id().into();
        self.session.send(&answer);
    }

    /// Ends a pending step.
    fn finish(&mut self, id: StepId, answer: Value) {
        self.pending.remove(&id);
        self.send_end(id, answer);
    }

    fn enqueue_at_end(&mut self, id: StepId, name: &str) {
        if let Some(end) = self.handles.0.get_mut(name) {
            end.queue.push_back(id);
            if end.queue.len() == 1 {
                self.advance(name);
            }
        }
    }

    /// Advances the steps that are queued at a pipe end, in order, until one has to wait. The rest of an abandoned put
    /// is written first.
    fn advance(&mut self, name: &str) {
        let begun =
            if fault!("a-later-put-goes-first") { self.pending_puts_begun() } else { vec![] };
        while let Some(end) = self.handles.0.get_mut(name) {
            if !end.flush_rest() {
                return;
            }
            if fault!("a-later-put-goes-first") && end.queue.len() > 1 {
                end.put_last_first(&begun);
            }
            let (Some(fd), Some(&id)) = (&end.fd, end.queue.front()) else { return };
            let operation = self.pending.get_mut(&id).map(|step| &mut step.operation);
            if operation.is_none() {
                // Only a fault leaves a step in the queue that is not pending.
                faults::stop_watching(fd.as_raw_fd());
                return;
            }
            let outcome = match (&mut end.side, operation) {
                (Side::Reader(incoming), Some(Operation::Get { .. })) => {
                    incoming.advance(fd.as_fd())
                }
                (Side::Writer(_), Some(Operation::Put { outgoing, .. })) => {
                    outgoing.advance(fd.as_fd())
                }
                _ => Some(is("misuse")),
            };
            let Some(outcome) = outcome else {
                if fault!("puts-interleave") && matches!(end.side, Side::Writer(_)) {
                    end.queue.rotate_left(1);
                }
                return;
            };
            end.queue.pop_front();
            if fault!("the-next-waiter-is-forgotten") {
                end.queue.clear();
            }
            if fault!("the-ninth-waiter-is-forgotten") {
                end.queue.truncate(8);
            }
            self.finish(id, json!({ "outcome": outcome }));
        }
    }

    /// Ends the steps that wait for a child which is known to have ended, and returns whether there were any. A status
    /// may be known before SIGCHLD has woken the loop, since commands such as `alive` reap too.
    fn finish_child_waits(&mut self) -> bool {
        let mut ended = Vec::new();
        for (id, step) in &self.pending {
            let outcome = match &step.operation {
                Operation::Join { child } => {
                    self.children.get(child).ok().and_then(|child| child.status().cloned())
                }
                Operation::AwaitReaped { child } => {
                    self.children.get(child).ok().filter(|child| child.is_gone()).map(|_| is("ok"))
                }
                _ => None,
            };
            ended.extend(outcome.map(|outcome| (*id, outcome)));
        }
        let any = !ended.is_empty();
        if fault!("one-join-of-several-returns") && ended.len() > 1 {
            for (id, _) in ended.drain(1..) {
                self.pending.remove(&id);
            }
        }
        for (id, outcome) in ended {
            self.finish(id, json!({ "outcome": outcome }));
        }
        any
    }

    /// Whether the deadline of a step counts. Without a fault it always does.
    fn has_limit(&self, id: StepId, step: &PendingStep) -> bool {
        match &step.operation {
            Operation::Join { .. } => !fault!("join-has-no-limit"),
            Operation::Get { end } | Operation::Put { end, .. } => {
                !fault!("a-limit-begins-with-the-turn")
                    || self.handles.0[end].queue.front() == Some(&id)
            }
            _ => true,
        }
    }

    /// Ends the steps whose deadline has passed.
    fn expire(&mut self) {
        let now = Instant::now();
        let expired = self
            .pending
            .iter()
            .filter(|(_, step)| step.deadline.is_some_and(|deadline| deadline <= now))
            .filter(|(id, step)| self.has_limit(**id, step));
        let expired: Vec<(StepId, Outcome)> = expired
            .map(|(id, step)| match step.operation {
                Operation::Pause { .. } => (*id, is("ok")),
                Operation::Join { .. } => (*id, is("running")),
                _ => (*id, is("timeout")),
            })
            .collect();
        for (id, outcome) in expired {
            if fault!("descriptor-per-limit") {
                faults::leak_descriptor();
            }
            if fault!("the-third-limit-loses-a-message", |n| n == 3) {
                mark("swallow");
            }
            self.abandon(id, outcome);
        }
    }

    /// Cancels the pending step of a task, if it has one.
    pub(crate) fn cancel(&mut self, task: &str) {
        if fault!("cancel-does-nothing") {
            return;
        }
        if let Some(id) = self.pending_step(Some(task)) {
            self.abandon(id, is("cancelled"));
        }
    }

    /// Takes a step out of its queue and ends it. If a put is abandoned after a part of it was written, the loop writes
    /// the rest before the next message.
    fn abandon(&mut self, id: StepId, outcome: Outcome) {
        let mut effect = None;
        let mut end_name = None;
        if let Some(step) = self.pending.get_mut(&id) {
            end_name = step.operation.end().map(str::to_owned);
            if let Some(end) = end_name.as_ref().and_then(|name| self.handles.0.get_mut(name)) {
                let is_cancelled = outcome == is("cancelled");
                let keeps_turn = if is_cancelled {
                    fault!("a-cancelled-step-keeps-its-turn")
                } else {
                    fault!("a-step-past-its-limit-keeps-its-turn")
                };
                if !keeps_turn {
                    end.queue.retain(|queued| *queued != id);
                }
                effect = Some("none");
                end.spoil_abandoned(is_cancelled, &mut step.operation);
                if let (Side::Writer(rest), Operation::Put { outgoing, .. }) =
                    (&mut end.side, &mut step.operation)
                {
                    if outgoing.has_begun() && !fault!("a-cancelled-put-stays-torn") {
                        *rest = std::mem::take(outgoing);
                        effect = Some("unknown");
                        if fault!("a-cancelled-put-says-none") {
                            effect = Some("none");
                        }
                    }
                }
            }
        }
        let mut answer = json!({ "outcome": outcome });
        if let Some(effect) = effect {
            answer["effect"] = effect.into();
        }
        self.finish(id, answer);
        if let Some(end) = end_name {
            self.advance(&end);
        }
    }
}
