//! The one loop of a process: hears orders, and moves on the steps that wait for descriptors, children and time.
//! Does not know what an order means, which is told in `orders`, nor how to sleep, which is `waiting`'s.

use crate::children::Children;
use crate::conversation::Conversation;
use crate::ends::{Ends, Side, StepId};
use crate::orders::{Doing, Ending, Refusal, Want};
use crate::system::{Bell, Ghost, Limit};
use crate::waiting::wait;
use crate::words::{Outcome, is};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::process;
use std::time::{Duration, Instant};

/// A step that is under way.
struct Step {
    task: Option<String>,
    want: Want,
    deadline: Option<Instant>,
}

/// One process of a scenario.
pub(crate) struct Agent {
    pub(crate) program: CString,
    pub(crate) ends: Ends,
    pub(crate) children: Children,
    pub(crate) limit: Limit,
    pub(crate) ghosts: BTreeMap<String, Ghost>,
    /// What `cut` left out.
    pub(crate) rests: BTreeMap<String, Vec<u8>>,
    talk: Conversation,
    bell: Bell,
    /// The steps that have not begun, in the order in which they were asked for.
    due: VecDeque<Value>,
    steps: BTreeMap<StepId, Step>,
    over: Option<Ending>,
}

impl Agent {
    pub(crate) fn new(program: CString, role: &str, ends: Ends) -> io::Result<Self> {
        Ok(Self {
            program,
            ends,
            children: Children::default(),
            limit: Limit::new()?,
            ghosts: BTreeMap::new(),
            rests: BTreeMap::new(),
            bell: Bell::new()?,
            talk: Conversation::open(role)?,
            due: VecDeque::new(),
            steps: BTreeMap::new(),
            over: None,
        })
    }

    /// Turns until the script of this process is done.
    pub(crate) fn serve(mut self) -> Ending {
        loop {
            self.begin_due();
            if let Some(ending) = self.over.take() {
                return ending;
            }
            if self.settle() {
                continue; // whoever has waited for that may have more to do
            }
            let deadline = self.steps.values().filter_map(|step| step.deadline).min();
            let ready = match wait(&self.talk, &self.bell, &self.ends, deadline) {
                Ok(ready) => ready,
                Err(error) => {
                    self.fault(&format!("poll: {error}"));
                    process::exit(1);
                }
            };
            if ready.bell {
                self.bell.still();
                self.children.reap();
            }
            for end in ready.ends {
                self.advance(&end);
            }
            // What came in time is in time, however late it is looked at: so this comes after.
            self.expire();
            if ready.talk {
                for line in self.talk.hear() {
                    self.hear(&line);
                }
            }
        }
    }

    fn hear(&mut self, line: &[u8]) {
        let words: Value = serde_json::from_slice(line).unwrap_or_default();
        match words["type"].as_str() {
            Some("welcome") => {}
            Some("step") => self.due.push_back(words),
            Some("ping") => self.talk.say(&json!({ "type": "pong", "n": words["n"] })),
            Some("finish") => {
                self.talk.say(&json!({ "type": "left", "handles": self.ends.count() }));
                self.over = Some(Ending::Return);
            }
            Some("reject") => process::exit(1),
            _ => self.fault(&format!("no such message: {}", String::from_utf8_lossy(line))),
        }
    }

    fn fault(&mut self, reason: &str) {
        self.talk.say(&json!({ "type": "fault", "reason": reason }));
    }

    /// The step that a task is in; the process's own line is the task without a name.
    fn current(&self, task: Option<&str>) -> Option<StepId> {
        self.steps.iter().find(|(_, step)| step.task.as_deref() == task).map(|(id, _)| *id)
    }

    /// Begins the next step of each task that is in none.
    fn begin_due(&mut self) {
        while self.over.is_none() {
            let idle = |words: &Value| self.current(words["task"].as_str()).is_none();
            let Some(words) =
                self.due.iter().position(idle).and_then(|place| self.due.remove(place))
            else {
                break;
            };
            self.begin(&words);
        }
    }

    fn begin(&mut self, words: &Value) {
        let Some(id) = words["id"].as_u64() else {
            return self.fault("a step without an id");
        };
        self.talk.say(&json!({ "type": "begin", "id": id, "pid": process::id() }));
        match self.perform(&words["do"]) {
            Ok(Doing::Done(answer)) => self.answer(id, answer),
            Ok(Doing::Waits(want)) => {
                let limit = match want {
                    Want::Pause { ms } => Some(ms),
                    _ => words["within_ms"].as_u64(),
                };
                let limit = limit.map(Duration::from_millis);
                let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
                let task = words["task"].as_str().map(str::to_owned);
                let end = want.end().map(str::to_owned);
                self.steps.insert(id, Step { task, want, deadline });
                if let Some(end) = end {
                    self.stand_in_line(id, &end);
                }
            }
            Ok(Doing::Over(ending)) => self.over = Some(ending),
            Err(Refusal::Outcome(outcome)) => self.answer(id, json!({ "outcome": outcome })),
            Err(Refusal::Unsupported(reason)) => {
                self.talk.say(&json!({ "type": "unsupported", "id": id, "reason": reason }));
            }
            Err(Refusal::Nonsense(reason)) => self.fault(&reason),
        }
    }

    /// Says what came of a step.
    fn answer(&mut self, id: StepId, mut answer: Value) {
        answer["type"] = "end".into();
        answer["id"] = id.into();
        answer["pid"] = process::id().into();
        self.talk.say(&answer);
    }

    /// Ends a step that was under way.
    fn finish(&mut self, id: StepId, answer: Value) {
        self.steps.remove(&id);
        self.answer(id, answer);
    }

    fn stand_in_line(&mut self, id: StepId, name: &str) {
        if let Some(end) = self.ends.0.get_mut(name) {
            end.waiting.push_back(id);
            if end.waiting.len() == 1 {
                self.advance(name);
            }
        }
    }

    /// Moves on the step whose turn it is at this end, and those behind it as far as they come. What is owed to the
    /// pipe goes first.
    fn advance(&mut self, name: &str) {
        while let Some(end) = self.ends.0.get_mut(name) {
            if !end.pay() {
                return;
            }
            let (Some(fd), Some(&id)) = (&end.fd, end.waiting.front()) else { return };
            let came = match (&mut end.side, self.steps.get_mut(&id).map(|step| &mut step.want)) {
                (Side::Reader(incoming), Some(Want::Get { .. })) => incoming.advance(fd.as_fd()),
                (Side::Writer(_), Some(Want::Put { out, .. })) => out.advance(fd.as_fd()),
                _ => Some(is("misuse")),
            };
            let Some(outcome) = came else { return };
            end.waiting.pop_front();
            self.finish(id, json!({ "outcome": outcome }));
        }
    }

    /// Ends the steps whose child is known to have ended, and says whether there were any. It may be known before the
    /// bell has rung: whoever asks after a child reaps it.
    fn settle(&mut self) -> bool {
        let mut ended = Vec::new();
        for (id, step) in &self.steps {
            let outcome = match &step.want {
                Want::Join { child } => {
                    self.children.get(child).ok().and_then(|child| child.known().cloned())
                }
                Want::Gone { child } => {
                    self.children.get(child).ok().filter(|child| child.is_gone()).map(|_| is("ok"))
                }
                _ => None,
            };
            ended.extend(outcome.map(|outcome| (*id, outcome)));
        }
        let any = !ended.is_empty();
        for (id, outcome) in ended {
            self.finish(id, json!({ "outcome": outcome }));
        }
        any
    }

    /// Ends the steps whose time is over.
    fn expire(&mut self) {
        let now = Instant::now();
        let late = self
            .steps
            .iter()
            .filter(|(_, step)| step.deadline.is_some_and(|deadline| deadline <= now));
        let late: Vec<(StepId, Outcome)> = late
            .map(|(id, step)| match step.want {
                Want::Pause { .. } => (*id, is("ok")),
                Want::Join { .. } => (*id, is("running")),
                _ => (*id, is("timeout")),
            })
            .collect();
        for (id, outcome) in late {
            self.give_up(id, outcome);
        }
    }

    /// Cancels the step that a task is in, if it is in one.
    pub(crate) fn cancel(&mut self, task: &str) {
        if let Some(id) = self.current(Some(task)) {
            self.give_up(id, is("cancelled"));
        }
    }

    /// Takes a step out of its line and ends it. A put that has begun stays owed to the pipe.
    fn give_up(&mut self, id: StepId, outcome: Outcome) {
        let mut left_behind = None;
        let mut line = None;
        if let Some(step) = self.steps.get_mut(&id) {
            line = step.want.end().map(str::to_owned);
            if let Some(end) = line.as_ref().and_then(|name| self.ends.0.get_mut(name)) {
                end.waiting.retain(|waiting| *waiting != id);
                left_behind = Some("none");
                if let (Side::Writer(owed), Want::Put { out, .. }) = (&mut end.side, &mut step.want)
                {
                    if out.begun() {
                        *owed = std::mem::take(out);
                        left_behind = Some("unknown");
                    }
                }
            }
        }
        let mut answer = json!({ "outcome": outcome });
        if let Some(effect) = left_behind {
            answer["effect"] = effect.into();
        }
        self.finish(id, answer);
        if let Some(end) = line {
            self.advance(&end);
        }
    }
}
