//! The commands of the protocol. Starting a command either completes it, refuses it, or yields an operation for which
//! the event loop in `agent` then waits.

use crate::agent::Agent;
use crate::faults::{self, fault, is_marked, mark};
use crate::frame::{HEADER, Outgoing, frame};
use crate::handles::{PipeEnd, Side, pipe};
use crate::os_actions::{self, Disposition, ForeignProgram, memory_file};
use crate::protocol::{Outcome, Payload, exit, is, number, os_error};
use crate::start::start;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::str::FromStr;
use std::thread;

/// How this process ends when its script is done.
pub(crate) enum ProcessEnd {
    Return,
    Exit(i32),
    Panic,
}

/// What a pending step waits for.
pub(crate) enum Operation {
    Get { end: String },
    Put { end: String, outgoing: Outgoing },
    Join { child: String },
    AwaitReaped { child: String },
    Pause { ms: u64 },
}

impl Operation {
    /// The name of the pipe end at which the step is queued.
    pub(crate) fn end(&self) -> Option<&str> {
        match self {
            Self::Get { end } | Self::Put { end, .. } => Some(end),
            _ => None,
        }
    }
}

/// The result of starting a command that is not refused.
pub(crate) enum Started {
    Done(Value),
    Waits(Operation),
    EndsProcess(ProcessEnd),
}

/// Why a command is refused.
pub(crate) enum Refusal {
    /// The operation fails at once with this outcome.
    Outcome(Outcome),
    /// This implementation has no such operation.
    Unsupported(String),
    /// The command violates the protocol.
    Malformed(String),
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Outcome(os_error(error))
    }
}

fn done(outcome: Outcome) -> Result<Started, Refusal> {
    Ok(Started::Done(json!({ "outcome": outcome })))
}

fn unsupported(what: &str) -> Result<Started, Refusal> {
    Err(Refusal::Unsupported(format!("plain POSIX has no {what}")))
}

/// Whether the child is to be the first of a new process group.
pub(crate) fn is_in_group(command: &Value) -> bool {
    command["in_group"] == true && !fault!("a-group-is-that-of-the-parent")
}

/// The text of a required field.
pub(crate) fn text<'a>(command: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    command[field].as_str().ok_or_else(|| malformed(command, field))
}

pub(crate) fn malformed(command: &Value, field: &str) -> Refusal {
    Refusal::Malformed(format!("no {field} in {command}"))
}

fn payload(command: &Value) -> Result<Payload, Refusal> {
    Payload::parse(&command["payload"]).ok_or_else(|| malformed(command, "payload"))
}

impl Agent {
    /// Executes a command as far as it goes without waiting.
    pub(crate) fn start_command(&mut self, command: &Value) -> Result<Started, Refusal> {
        match text(command, "verb")? {
            "pipe" => self.make_pipe(command),
            "duplex" => self.make_duplex(text(command, "near")?, text(command, "far")?),
            "spawn" => self.spawn(command),
            "run" => self.run(command),
            "get" => {
                let end = self.handles.usable(text(command, "handle")?, 'r')?;
                Ok(Started::Waits(Operation::Get { end }))
            }
            "put" => {
                let end = self.writer(command)?;
                let bytes = frame(&payload(command)?).ok_or_else(|| is("too-large"))?;
                if fault!("put-returns-before-it-wrote") && self.keep_for_later(&end, &bytes) {
                    return done(is("ok"));
                }
                Ok(put(end, bytes))
            }
            "cut" => self.cut(command),
            "rest" => {
                let end = self.writer(command)?;
                let bytes = self.rests.remove(&end).ok_or_else(|| is("misuse"))?;
                Ok(put(end, bytes))
            }
            "announce" => {
                let end = self.writer(command)?;
                let size = command["size"].as_u64().ok_or_else(|| malformed(command, "size"))?;
                let header = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
                Ok(put(end, header.to_vec()))
            }
            "close" => done(self.handles.close(text(command, "handle")?)?),
            "cancel" => {
                self.cancel(text(command, "task")?);
                done(is("ok"))
            }
            "pause" => {
                let ms = command["ms"].as_u64().ok_or_else(|| malformed(command, "ms"))?;
                Ok(Started::Waits(Operation::Pause { ms }))
            }
            "exit" => {
                let code = command["code"].as_i64().and_then(|code| i32::try_from(code).ok());
                let code = code.ok_or_else(|| malformed(command, "code"))?;
                Ok(Started::EndsProcess(ProcessEnd::Exit(code)))
            }
            "raise" => Ok(Started::EndsProcess(ProcessEnd::Panic)),
            "exec" => {
                let inherited = fault!("a-foreign-program-inherits");
                let own: Vec<i32> = self
                    .handles
                    .0
                    .values()
                    .filter_map(PipeEnd::raw_fd)
                    .filter(|_| inherited)
                    .collect();
                own.iter().for_each(|fd| faults::set_inheritable(*fd, true));
                let program = ForeignProgram::start()?;
                own.iter().for_each(|fd| faults::set_inheritable(*fd, false));
                if fault!("a-strangers-pipe-is-inherited") {
                    program.stdin_fd().into_iter().for_each(|fd| faults::set_inheritable(fd, true));
                }
                self.foreign_programs.insert(text(command, "ghost")?.to_owned(), program);
                done(is("ok"))
            }
            "trap" => set_disposition(command, Disposition::Trap),
            "ignore" => set_disposition(command, Disposition::Ignore),
            "block" => set_disposition(command, Disposition::Block),
            "limit" => done(self.descriptor_limit.set(command["free"].as_u64())),
            "count" => match text(command, "what")? {
                "handles" => done(number(self.handles.count())),
                "trapped" => done(number(os_actions::trapped())),
                what => unsupported(&format!("count of {what}")),
            },
            "join" | "kill" | "terminate" | "alive" | "code" | "stall" | "reaped" | "reap"
            | "signal" | "signal-group" => self.child_command(text(command, "child")?, command),
            verb => unsupported(verb),
        }
    }

    /// Executes a command that concerns a child or a foreign program.
    fn child_command(&mut self, name: &str, command: &Value) -> Result<Started, Refusal> {
        let verb = text(command, "verb")?;
        if verb == "reap" {
            if let Some(program) = self.foreign_programs.remove(name) {
                return done(program.reap());
            }
        }
        if let Some(program) = self.foreign_programs.get_mut(name).filter(|_| verb == "stall") {
            return done(program.stall());
        }
        if verb == "terminate" && fault!("terminate-ends-all-children") {
            self.children.signal_all(Signal::SIGTERM);
        }
        if verb == "alive" && fault!("alive-until-it-is-joined") {
            return done(is(if self.children.seems_alive(name) { "yes" } else { "no" }));
        }
        let child = self.children.get(name)?;
        if verb == "join" {
            let is_first = mark(&format!("joined {name}"));
            if fault!("a-second-join-hangs") && !is_first {
                return Ok(Started::Waits(Operation::Pause { ms: u64::MAX }));
            }
            if fault!("a-second-join-reaps-again") && !is_first && child.status().is_some() {
                return done(os_error(Errno::ECHILD));
            }
            if fault!("join-blocks-the-loop") {
                child.stall();
            }
        }
        match verb {
            "join" => match child.try_reap() {
                Some(outcome) => done(outcome.clone()),
                None => Ok(Started::Waits(Operation::Join { child: name.to_owned() })),
            },
            "kill" if fault!("kill-is-terminate") => done(child.send(Signal::SIGTERM)),
            "kill" if fault!("a-kill-ends-the-group") => done(child.send_to_group(Signal::SIGKILL)),
            "kill" => done(child.send(Signal::SIGKILL)),
            "terminate" if fault!("terminate-is-kill") => done(child.send(Signal::SIGKILL)),
            "terminate" => done(child.send(Signal::SIGTERM)),
            "alive" => done(is(if child.try_reap().is_none() { "yes" } else { "no" })),
            "code" if fault!("the-code-of-a-running-child-is-0") => {
                done(child.try_reap().cloned().unwrap_or_else(|| exit(0)))
            }
            "code" => done(child.try_reap().cloned().unwrap_or_else(|| is("running"))),
            "stall" => done(child.stall()),
            "reaped" if child.is_gone() => done(is("ok")),
            "reaped" => Ok(Started::Waits(Operation::AwaitReaped { child: name.to_owned() })),
            "reap" => done(child.reap_unrecorded()),
            "signal-group" => done(child.send_to_group(signal(command)?)),
            _ => done(child.send_unchecked(signal(command)?)),
        }
    }

    /// Leaves a message to the loop, if nothing else waits at the end.
    fn keep_for_later(&mut self, name: &str, bytes: &[u8]) -> bool {
        let Some(end) = self.handles.0.get_mut(name).filter(|end| !end.is_busy()) else {
            return false;
        };
        end.side = Side::Writer(Outgoing::new(bytes.to_vec()));
        true
    }

    fn writer(&self, command: &Value) -> Result<String, Refusal> {
        Ok(self.handles.usable(text(command, "handle")?, 'w')?)
    }

    fn make_pipe(&mut self, command: &Value) -> Result<Started, Refusal> {
        if command["codec"].is_string() {
            return unsupported("codec");
        }
        let (reader, writer) = pipe()?;
        let (r, w) = (text(command, "reader")?, text(command, "writer")?);
        let descriptors = json!({ r: reader.raw_fd(), w: writer.raw_fd() });
        self.handles.0.extend([(r.to_owned(), reader), (w.to_owned(), writer)]);
        Ok(Started::Done(json!({ "outcome": is("ok"), "descriptors": descriptors })))
    }

    /// Creates two pipes in opposite directions. If the second cannot be created, the first is dropped.
    fn make_duplex(&mut self, near: &str, far: &str) -> Result<Started, Refusal> {
        let (near_reader, far_writer) = pipe()?;
        let second = pipe();
        if fault!("half-a-duplex-is-leaked") && second.is_err() {
            std::mem::forget((near_reader, far_writer));
            return Err(Errno::EMFILE.into());
        }
        let (far_reader, near_writer) = second?;
        let halves = [
            (near, "r", near_reader),
            (near, "w", near_writer),
            (far, "r", far_reader),
            (far, "w", far_writer),
        ];
        let mut descriptors = json!({});
        for (handle, letter, end) in halves {
            let name = format!("{handle}.{letter}");
            descriptors[&name] = json!(end.raw_fd());
            self.handles.0.insert(name, end);
        }
        Ok(Started::Done(json!({ "outcome": is("ok"), "descriptors": descriptors })))
    }

    /// Writes the first part of a frame, and keeps the remainder for a later `rest`.
    fn cut(&mut self, command: &Value) -> Result<Started, Refusal> {
        let end = self.writer(command)?;
        let mut bytes = frame(&payload(command)?).ok_or_else(|| is("too-large"))?;
        let offset =
            |mark: &str| command["at"][mark].as_u64().and_then(|count| usize::try_from(count).ok());
        let position = offset("bytes")
            .or_else(|| offset("header").map(|count| HEADER.saturating_add(count)))
            .or_else(|| offset("end").map(|count| bytes.len().saturating_sub(count)))
            .ok_or_else(|| malformed(command, "at"))?;
        let rest = bytes.split_off(position.min(bytes.len()));
        self.rests.insert(end.clone(), rest);
        Ok(put(end, bytes))
    }

    /// Starts this program again as a child. Each given end becomes an argument `NAME=r5`. In `NAME=r5+9`, descriptor 9
    /// is a file with the unfinished message: what was read of the next one, or the rest of an abandoned put.
    fn spawn(&mut self, command: &Value) -> Result<Started, Refusal> {
        if command["listed"].as_array().is_some_and(|listed| !listed.is_empty()) {
            return unsupported("handle inside a list");
        }
        let shared = self.handles.shared(&command["shared"]);
        let role = text(command, "child")?;
        let handles = command["handles"].as_array().ok_or_else(|| malformed(command, "handles"))?;
        let handles: Vec<&str> = handles.iter().filter_map(Value::as_str).collect();
        let names = match self.handles.transferable(&handles) {
            Err(_) if fault!("a-refused-start-leaves-a-child") => {
                let arguments = [self.program.clone(), argument(role.to_owned())?];
                start(&self.program, &arguments, &[], [None; 3], false)?;
                return Err(is("closed").into());
            }
            names => names?,
        };

        let mut arguments = vec![self.program.clone(), argument(role.to_owned())?];
        let mut given = Vec::new();
        let mut memory_files = Vec::new();
        for (name, end) in self.handles.0.iter().filter(|(name, _)| names.contains(*name)) {
            let Some(fd) = end.raw_fd() else { continue };
            if fault!("the-third-handle-is-not-given") && given.len() == 2
                || fault!("the-33rd-handle-is-not-given") && given.len() == 32
            {
                continue;
            }
            given.push(fd);
            let mut description = format!("{name}={}{fd}", end.letter());
            if !end.unfinished().is_empty() {
                let file = memory_file(end.unfinished())?;
                description += &format!("+{}", file.as_raw_fd());
                given.push(file.as_raw_fd());
                memory_files.push(file);
            }
            arguments.push(argument(description)?);
        }
        // Nothing has changed so far, so a start that fails leaves all handles as they were.
        if fault!("only-numbers-are-given") {
            given.clear();
        }
        if fault!("a-child-with-nothing-inherits-all") && handles.is_empty()
            || fault!("every-second-child-inherits-all", |n| n % 2 == 0)
            || fault!("a-child-passes-all-on") && is_marked("child")
            || fault!("a-start-beside-a-wait-passes-all-on")
                && self.handles.0.values().any(|end| !end.queue.is_empty())
        {
            given.extend(self.handles.0.values().filter_map(PipeEnd::raw_fd));
        }
        let from_thread = command["from_thread"] == true;
        let begin = || start(&self.program, &arguments, &given, [None; 3], is_in_group(command));
        let started = if from_thread { in_thread(begin) } else { begin() };
        if fault!("a-failed-start-loses-the-handles") && started.is_err() {
            names.iter().for_each(|name| drop(self.handles.release(name)));
        }
        let pid = started?;
        if fault!("descriptor-per-start") {
            faults::leak_descriptor();
        }
        for name in names.iter().filter(|name| !shared.contains(*name)) {
            let is_kept = fault!("what-is-given-stays-open")
                || fault!("a-given-reader-stays-open") && self.handles.0[name].letter() == 'r'
                || fault!("a-given-duplex-half-stays-open") && name.ends_with(".w")
                || fault!("a-child-keeps-what-it-gives") && is_marked("child")
                || fault!("every-second-start-keeps-an-end", |n| n % 2 == 0);
            if from_thread && fault!("a-start-from-a-thread-keeps-its-handles") {
                continue;
            }
            let released = self.handles.release(name);
            if is_kept {
                std::mem::forget(released);
            }
        }
        if !(from_thread && fault!("a-child-from-a-thread-cannot-be-joined")) {
            self.children.add(role, pid);
        }
        Ok(Started::Done(json!({ "outcome": is("ok") })))
    }
}

/// Calls a start in a new thread, and waits for that thread.
fn in_thread(begin: impl FnOnce() -> Result<Pid, Errno> + Send) -> Result<Pid, Errno> {
    if fault!("a-start-from-a-thread-leaves-a-descriptor") {
        faults::leak_descriptor();
    }
    mark("started from a thread");
    thread::scope(|scope| scope.spawn(begin).join()).unwrap_or(Err(Errno::EAGAIN))
}

fn put(end: String, bytes: Vec<u8>) -> Started {
    Started::Waits(Operation::Put { end, outgoing: Outgoing::new(bytes) })
}

pub(crate) fn argument(text: String) -> Result<CString, Refusal> {
    CString::new(text).map_err(|_| is("misuse").into())
}

/// The signal that a command names.
fn signal(command: &Value) -> Result<Signal, Refusal> {
    Signal::from_str(text(command, "signal")?).map_err(|_| is("misuse").into())
}

fn set_disposition(command: &Value, disposition: Disposition) -> Result<Started, Refusal> {
    match signal(command)? {
        // The loop learns from this signal that a child has ended.
        Signal::SIGCHLD => unsupported("SIGCHLD that a scenario may change: the loop needs it"),
        signal => done(os_actions::set_disposition(signal, &disposition)),
    }
}
