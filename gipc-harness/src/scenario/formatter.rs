//! Writes scenarios as text, with the action at column 12 and the arrow at column 40. The parser reads the same
//! scenario back.

use super::{
    ChildAct, Closing, Codec, Counted, CutAt, Disposition, Index, Item, Line, Outcome, Payload,
    Script, Step, Verb,
};
use std::fmt::{self, Display, Formatter};

/// The column of the action, from 0.
const ACTION_COLUMN: usize = 12;
/// The column of the arrow, from 0.
const ARROW_COLUMN: usize = 40;

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            match item {
                Item::Comment(text) if text.is_empty() => f.write_str("#")?,
                Item::Comment(text) => write!(f, "# {text}")?,
                Item::Blank => {}
                Item::Each(indices) => {
                    let indices: Vec<String> = indices.iter().map(Index::to_string).collect();
                    write!(f, "each {}", indices.join(", "))?;
                }
                Item::Line(line) => line.fmt(f)?,
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl Display for Index {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}..{}", self.name, self.first, self.last)
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let line = format!(
            "{:<width$} {}",
            self.task_id.to_string(),
            self.what(),
            width = ACTION_COLUMN - 1
        );
        if self.expected.is_empty() {
            return f.write_str(&line);
        }
        let expected: Vec<String> = self.expected.iter().map(Outcome::to_string).collect();
        write!(f, "{line:<width$} => {}", expected.join(" or "), width = ARROW_COLUMN - 1)
    }
}

impl Line {
    /// The action as written: `get r within 50ms`.
    pub fn what(&self) -> String {
        action_text(&self.verb, self.within_ms)
    }
}

impl Step {
    /// The action with concrete names: `get r[17]`.
    pub fn what(&self) -> String {
        action_text(&self.verb, self.within_ms)
    }
}

fn action_text(verb: &Verb, within_ms: Option<u32>) -> String {
    match within_ms {
        Some(ms) => format!("{verb} within {ms}ms"),
        None => verb.to_string(),
    }
}

impl Display for Verb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipe { reader, writer, codec } => {
                write!(f, "pipe {reader} {writer}")?;
                match codec {
                    None => Ok(()),
                    Some(Codec::Json) => f.write_str(" with json"),
                    Some(Codec::Failing) => f.write_str(" with failing"),
                }
            }
            Self::Duplex { near, far } => write!(f, "duplex {near} {far}"),
            Self::Spawn { child, program: Some(program), in_group, .. } => {
                write!(f, "run {child}{}{program}", in_group_text(*in_group))
            }
            Self::Spawn {
                child,
                handles,
                shared,
                listed,
                program: None,
                in_group,
                from_thread,
            } => {
                write!(f, "spawn {child}{}", in_group_text(*in_group))?;
                if *from_thread {
                    f.write_str(" from-thread")?;
                }
                handles.iter().try_for_each(|handle| match shared.contains(handle) {
                    true => write!(f, " share({handle})"),
                    false => write!(f, " {handle}"),
                })?;
                listed.iter().try_for_each(|handle| write!(f, " in-list({handle})"))
            }
            Self::Put { handle, payload } => write!(f, "put {handle} {payload}"),
            Self::Get { handle } => write!(f, "get {handle}"),
            Self::GetWithin { handle, limit } => {
                write!(f, "get {handle} within {}", Payload::Text(limit.clone()))
            }
            Self::Close { handle, by } => match by {
                Closing::Call => write!(f, "close {handle}"),
                Closing::Drop => write!(f, "drop handle {handle}"),
                Closing::Descriptor => write!(f, "close descriptor {handle}"),
            },
            Self::Join { child } => write!(f, "join {child}"),
            Self::Kill { child } => write!(f, "kill {child}"),
            Self::Exit { code } => write!(f, "exit {code}"),
            Self::Until { task_id } => write!(f, "until {task_id} blocks"),
            Self::Cancel { task } => write!(f, "cancel {task}"),
            Self::Pause { ms } => write!(f, "pause {ms}ms"),
            Self::Child { act, child } => match act {
                ChildAct::Terminate => write!(f, "terminate {child}"),
                ChildAct::Alive => write!(f, "alive {child}"),
                ChildAct::Code => write!(f, "code {child}"),
                ChildAct::Stall => write!(f, "stall until {child} ends"),
                ChildAct::Reaped => write!(f, "until {child} is reaped"),
                ChildAct::Reap => write!(f, "reap {child}"),
                ChildAct::Drop => write!(f, "drop {child}"),
            },
            Self::Raise => f.write_str("raise"),
            Self::Exec { ghost } => write!(f, "exec {ghost}"),
            Self::Cut { handle, payload, at } => write!(f, "cut {handle} {payload} at {at}"),
            Self::Rest { handle } => write!(f, "rest {handle}"),
            Self::Announce { handle, size } => write!(f, "announce {handle} {}", size_text(*size)),
            Self::Dispose { to, signal } => match to {
                Disposition::Trap => write!(f, "trap {signal}"),
                Disposition::Ignore => write!(f, "ignore {signal}"),
                Disposition::Block => write!(f, "block {signal}"),
            },
            Self::Signal { child, signal } => write!(f, "signal {child} {signal}"),
            Self::SignalGroup { child, signal } => write!(f, "signal group {child} {signal}"),
            Self::Limit { free: None } => f.write_str("limit descriptors off"),
            Self::Limit { free: Some(free) } => write!(f, "limit descriptors {free} free"),
            Self::Count { what: Counted::Handles } => f.write_str("count handles"),
            Self::Count { what: Counted::Trapped } => f.write_str("count trapped"),
            Self::Enter { handles } => write!(f, "enter {}", handles.join(" ")),
            Self::Leave { handles, raising } => {
                write!(f, "leave {}", handles.join(" "))?;
                if *raising { f.write_str(" raising") } else { Ok(()) }
            }
            Self::Pass { handle, passed } => write!(f, "put {handle} handle {passed}"),
        }
    }
}

fn in_group_text(in_group: bool) -> &'static str {
    if in_group { " in-group" } else { "" }
}

impl Display for CutAt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Header(0) => f.write_str("header"),
            Self::Header(bytes) => write!(f, "header+{bytes}"),
            Self::End(bytes) => write!(f, "end-{bytes}"),
        }
    }
}

impl Display for Payload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => {
                let text = text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
                write!(f, "\"{text}\"")
            }
            Self::Size(size) => f.write_str(&size_text(*size)),
        }
    }
}

/// A size in the largest unit that fits exactly, or that is one byte off.
fn size_text(size: u64) -> String {
    if let Some(text) = exact_size_text(size) {
        text
    } else if let Some(text) = exact_size_text(size.saturating_add(1)) {
        format!("{text}-1")
    } else if let Some(text) = size.checked_sub(1).and_then(exact_size_text) {
        format!("{text}+1")
    } else {
        format!("{size}B")
    }
}

/// A size that is a multiple of a unit.
fn exact_size_text(size: u64) -> Option<String> {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let (unit, bytes) = units.iter().find(|(_, bytes)| size >= *bytes && size % bytes == 0)?;
    Some(format!("{}{unit}", size / bytes))
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(payload) => payload.fmt(f),
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Os(name) => write!(f, "os:{name}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Blocks(on) if on.is_empty() => f.write_str("blocks"),
            Self::Blocks(on) => write!(f, "blocks on {}", on.join(", ")),
            Self::Other(text) => write!(f, "other: {text}"),
            simple => f.write_str(simple.word().expect("WORDS lists every other outcome")),
        }
    }
}
