//! What each order means: done at once, or something to wait for, or refused. The waiting is the loop's business.

use crate::agent::Agent;
use crate::ends::pipe;
use crate::frame::{HEADER, Outgoing, frame};
use crate::start::start;
use crate::system::{self, Disposition, Ghost, parcel};
use crate::words::{self, Outcome, Payload, is, number};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::str::FromStr;

/// How the script of this process ends.
pub(crate) enum Ending {
    Return,
    Exit(i32),
    Raise,
}

/// What a step waits for.
pub(crate) enum Want {
    Get { end: String },
    Put { end: String, out: Outgoing },
    Join { child: String },
    Gone { child: String },
    Pause { ms: u64 },
}

impl Want {
    /// The end of a pipe that it stands in line for.
    pub(crate) fn end(&self) -> Option<&str> {
        match self {
            Self::Get { end } | Self::Put { end, .. } => Some(end),
            _ => None,
        }
    }
}

/// What becomes of an order that is not refused.
pub(crate) enum Doing {
    Done(Value),
    Waits(Want),
    Over(Ending),
}

/// Why nothing becomes of an order.
pub(crate) enum Refusal {
    /// As a user of a library would be told.
    Outcome(Outcome),
    /// There is no such thing here.
    Unsupported(String),
    /// It is no order of the protocol.
    Nonsense(String),
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Outcome(words::system(error))
    }
}

fn done(outcome: Outcome) -> Result<Doing, Refusal> {
    Ok(Doing::Done(json!({ "outcome": outcome })))
}

fn unsupported(what: &str) -> Result<Doing, Refusal> {
    Err(Refusal::Unsupported(format!("plain POSIX has no {what}")))
}

/// A field that must be there.
fn text<'a>(order: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    order[field].as_str().ok_or_else(|| nonsense(order, field))
}

fn nonsense(order: &Value, field: &str) -> Refusal {
    Refusal::Nonsense(format!("no {field} in {order}"))
}

fn payload(order: &Value) -> Result<Payload, Refusal> {
    Payload::parse(&order["payload"]).ok_or_else(|| nonsense(order, "payload"))
}

impl Agent {
    /// Does an order as far as it goes without waiting.
    pub(crate) fn perform(&mut self, order: &Value) -> Result<Doing, Refusal> {
        match text(order, "verb")? {
            "pipe" => self.make_pipe(order),
            "duplex" => self.make_duplex(text(order, "near")?, text(order, "far")?),
            "spawn" => self.spawn(order),
            "get" => {
                Ok(Doing::Waits(Want::Get { end: self.ends.usable(text(order, "handle")?, 'r')? }))
            }
            "put" => {
                let end = self.writer(order)?;
                let bytes = frame(&payload(order)?).ok_or_else(|| is("too-large"))?;
                Ok(Doing::Waits(Want::Put { end, out: Outgoing::new(bytes) }))
            }
            "cut" => self.cut(order),
            "rest" => {
                let end = self.writer(order)?;
                let bytes = self.rests.remove(&end).ok_or_else(|| is("misuse"))?;
                Ok(Doing::Waits(Want::Put { end, out: Outgoing::new(bytes) }))
            }
            "announce" => {
                let end = self.writer(order)?;
                let size = order["size"].as_u64().ok_or_else(|| nonsense(order, "size"))?;
                let header = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
                Ok(Doing::Waits(Want::Put { end, out: Outgoing::new(header.to_vec()) }))
            }
            "close" => done(self.ends.close(text(order, "handle")?)?),
            "cancel" => {
                self.cancel(text(order, "task")?);
                done(is("ok"))
            }
            "pause" => {
                let ms = order["ms"].as_u64().ok_or_else(|| nonsense(order, "ms"))?;
                Ok(Doing::Waits(Want::Pause { ms }))
            }
            "exit" => {
                let code = order["code"].as_i64().and_then(|code| i32::try_from(code).ok());
                Ok(Doing::Over(Ending::Exit(code.ok_or_else(|| nonsense(order, "code"))?)))
            }
            "raise" => Ok(Doing::Over(Ending::Raise)),
            "exec" => {
                let ghost = Ghost::start()?;
                self.ghosts.insert(text(order, "ghost")?.to_owned(), ghost);
                done(is("ok"))
            }
            "trap" => dispose(order, Disposition::Trap),
            "ignore" => dispose(order, Disposition::Ignore),
            "block" => dispose(order, Disposition::Block),
            "limit" => done(self.limit.set(order["free"].as_u64())),
            "count" => match text(order, "what")? {
                "handles" => done(number(self.ends.count())),
                "trapped" => done(number(system::trapped())),
                what => unsupported(&format!("count of {what}")),
            },
            "join" | "kill" | "terminate" | "alive" | "code" | "stall" | "reaped" | "reap"
            | "signal" => self.see_to(text(order, "child")?, order),
            verb => unsupported(verb),
        }
    }

    /// The orders about a child.
    fn see_to(&mut self, role: &str, order: &Value) -> Result<Doing, Refusal> {
        let verb = text(order, "verb")?;
        if verb == "reap" {
            if let Some(ghost) = self.ghosts.remove(role) {
                return done(ghost.reap());
            }
        }
        if let Some(ghost) = self.ghosts.get_mut(role).filter(|_| verb == "stall") {
            return done(ghost.stall());
        }
        let child = self.children.get(role)?;
        match verb {
            "join" => match child.end() {
                Some(outcome) => done(outcome.clone()),
                None => Ok(Doing::Waits(Want::Join { child: role.to_owned() })),
            },
            "kill" => done(child.send(Signal::SIGKILL)),
            "terminate" => done(child.send(Signal::SIGTERM)),
            "alive" => done(is(if child.end().is_none() { "yes" } else { "no" })),
            "code" => done(child.end().cloned().unwrap_or_else(|| is("running"))),
            "stall" => done(child.stall()),
            "reaped" if child.is_gone() => done(is("ok")),
            "reaped" => Ok(Doing::Waits(Want::Gone { child: role.to_owned() })),
            "reap" => done(child.reap_behind()),
            _ => done(child.send_plainly(named(order)?)),
        }
    }

    fn writer(&self, order: &Value) -> Result<String, Refusal> {
        Ok(self.ends.usable(text(order, "handle")?, 'w')?)
    }

    fn make_pipe(&mut self, order: &Value) -> Result<Doing, Refusal> {
        if order["codec"].is_string() {
            return unsupported("codec");
        }
        let (reader, writer) = pipe()?;
        let (r, w) = (text(order, "reader")?, text(order, "writer")?);
        let descriptors = json!({ r: reader.number(), w: writer.number() });
        self.ends.0.extend([(r.to_owned(), reader), (w.to_owned(), writer)]);
        Ok(Doing::Done(json!({ "outcome": is("ok"), "descriptors": descriptors })))
    }

    /// Two pipes, crossed. If the second cannot be made the first goes with this function.
    fn make_duplex(&mut self, near: &str, far: &str) -> Result<Doing, Refusal> {
        let (near_reader, far_writer) = pipe()?;
        let (far_reader, near_writer) = pipe()?;
        let made = [
            (near, "r", near_reader),
            (near, "w", near_writer),
            (far, "r", far_reader),
            (far, "w", far_writer),
        ];
        let mut descriptors = json!({});
        for (handle, half, end) in made {
            let name = format!("{handle}.{half}");
            descriptors[&name] = json!(end.number());
            self.ends.0.insert(name, end);
        }
        Ok(Doing::Done(json!({ "outcome": is("ok"), "descriptors": descriptors })))
    }

    /// Writes the first part of a frame, and keeps the rest for later.
    fn cut(&mut self, order: &Value) -> Result<Doing, Refusal> {
        let end = self.writer(order)?;
        let mut bytes = frame(&payload(order)?).ok_or_else(|| is("too-large"))?;
        let count =
            |mark: &str| order["at"][mark].as_u64().and_then(|count| usize::try_from(count).ok());
        let place = count("bytes")
            .or_else(|| count("header").map(|count| HEADER.saturating_add(count)))
            .or_else(|| count("end").map(|count| bytes.len().saturating_sub(count)))
            .ok_or_else(|| nonsense(order, "at"))?;
        let rest = bytes.split_off(place.min(bytes.len()));
        self.rests.insert(end.clone(), rest);
        Ok(Doing::Waits(Want::Put { end, out: Outgoing::new(bytes) }))
    }

    /// Starts this program anew. Each end goes as `NAME=r5`; `NAME=r5+9` says that what was read of the message
    /// which comes next, or what is owed of one that was begun, can be read from descriptor 9.
    fn spawn(&mut self, order: &Value) -> Result<Doing, Refusal> {
        if order["listed"].as_array().is_some_and(|listed| !listed.is_empty()) {
            return unsupported("handle inside a list");
        }
        let role = text(order, "child")?;
        let handles = order["handles"].as_array().ok_or_else(|| nonsense(order, "handles"))?;
        let handles: Vec<&str> = handles.iter().filter_map(Value::as_str).collect();
        let names = self.ends.giveable(&handles)?;

        let mut arguments = vec![self.program.clone(), argument(role.to_owned())?];
        let mut given = Vec::new();
        let mut parcels = Vec::new();
        for (name, end) in self.ends.0.iter().filter(|(name, _)| names.contains(*name)) {
            let Some(fd) = end.number() else { continue };
            given.push(fd);
            let mut told = format!("{name}={}{fd}", end.letter());
            if !end.carried().is_empty() {
                let parcel = parcel(end.carried())?;
                told += &format!("+{}", parcel.as_raw_fd());
                given.push(parcel.as_raw_fd());
                parcels.push(parcel);
            }
            arguments.push(argument(told)?);
        }
        // Until here nothing has changed, and if this fails nothing has.
        let pid = start(&self.program, &arguments, &given)?;
        for name in &names {
            self.ends.release(name);
        }
        self.children.add(role, pid);
        Ok(Doing::Done(json!({ "outcome": is("ok"), "child": pid.as_raw() })))
    }
}

fn argument(text: String) -> Result<CString, Refusal> {
    CString::new(text).map_err(|_| is("misuse").into())
}

fn named(order: &Value) -> Result<Signal, Refusal> {
    Signal::from_str(text(order, "signal")?).map_err(|_| is("misuse").into())
}

fn dispose(order: &Value, how: Disposition) -> Result<Doing, Refusal> {
    match named(order)? {
        // By this one the loop learns of its children.
        Signal::SIGCHLD => unsupported("SIGCHLD to spare"),
        signal => done(system::dispose(signal, &how)),
    }
}
