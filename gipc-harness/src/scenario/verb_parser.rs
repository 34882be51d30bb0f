//! Reads the action of a line: the verb and its arguments.
//!
//! The parser checks spelling only. `validation` checks whether a name exists.

use super::common_mistakes::{too_many_words, unknown_verb};
use super::grammar::{first_words, usages};
use super::lexer;
use super::program_start;
use super::token_line::TokenLine;
use super::{ChildAct, Closing, Codec, Counted, CutAt, Disposition, ParseError, TaskId, Verb};
use ecow::EcoString;
use thin_vec::ThinVec;

/// Reads the verb that begins at the second token of a line and ends before the token `end`.
pub(super) fn verb(tokens: &TokenLine<'_>, end: usize) -> Result<Verb, ParseError> {
    if end < 2 {
        let hint = format!("verbs are {}", first_words());
        return Err(tokens.error(tokens.len(), "a verb is missing", hint));
    }
    let verb = tokens.text(1);
    let given = end - 2;
    check_argument_count(tokens, verb, given)?;
    match verb {
        "pipe" => pipe(tokens, end),
        "duplex" => Ok(Verb::Duplex { near: tokens.name(2)?, far: tokens.name(3)? }),
        "spawn" => spawn(tokens, end),
        "run" => run(tokens, end),
        "put" => put(tokens, given),
        "get" if given == 3 => Ok(Verb::GetWithin {
            handle: tokens.handle(2)?,
            limit: tokens.quoted(4).unwrap_or_default(),
        }),
        "get" => Ok(Verb::Get { handle: tokens.handle(2)? }),
        "close" => close(tokens, given),
        "join" => Ok(Verb::Join { child: tokens.name(2)? }),
        "kill" => Ok(Verb::Kill { child: tokens.name(2)? }),
        "terminate" => child(tokens, ChildAct::Terminate, 2),
        "alive" => child(tokens, ChildAct::Alive, 2),
        "code" => child(tokens, ChildAct::Code, 2),
        "reap" => child(tokens, ChildAct::Reap, 2),
        "drop" if given == 2 && tokens.text(2) == "handle" => {
            Ok(Verb::Close { handle: tokens.handle(3)?, by: Closing::Drop })
        }
        "drop" => child(tokens, ChildAct::Drop, 2),
        "exit" => Ok(Verb::Exit { code: tokens.exit_code(2)? }),
        "until" => until(tokens, given),
        "stall" if tokens.text(2) == "until" && tokens.text(4) == "ends" => {
            child(tokens, ChildAct::Stall, 3)
        }
        "stall" => Err(wrong(tokens, 2, "unknown condition", verb)),
        "cancel" => Ok(Verb::Cancel { task: task_id(tokens, 2)? }),
        "pause" => {
            let hint = "write up to 60000 milliseconds, such as 300ms";
            Ok(Verb::Pause { ms: tokens.milliseconds(2, "not a time", hint)?.into() })
        }
        "raise" => Ok(Verb::Raise),
        "exec" => Ok(Verb::Exec { ghost: tokens.name(2)? }),
        "cut" => cut(tokens),
        "rest" => Ok(Verb::Rest { handle: tokens.handle(2)? }),
        "announce" => {
            Ok(Verb::Announce { handle: tokens.handle(2)?, size: tokens.payload(3)?.len() })
        }
        "trap" => dispose(tokens, Disposition::Trap),
        "ignore" => dispose(tokens, Disposition::Ignore),
        "block" => dispose(tokens, Disposition::Block),
        "signal" if given == 3 && tokens.text(2) == "group" => {
            Ok(Verb::SignalGroup { child: tokens.name(3)?, signal: tokens.signal(4)? })
        }
        "signal" => Ok(Verb::Signal { child: tokens.name(2)?, signal: tokens.signal(3)? }),
        "limit" => limit(tokens, given),
        "count" => match tokens.text(2) {
            "handles" => Ok(Verb::Count { what: Counted::Handles }),
            "trapped" => Ok(Verb::Count { what: Counted::Trapped }),
            _ => Err(wrong(tokens, 2, "cannot be counted", verb)),
        },
        "enter" => Ok(Verb::Enter { handles: tokens.handles(2, end)? }),
        _ => leave(tokens, end),
    }
}

/// Checks that the verb exists and that it has neither too few nor too many arguments.
fn check_argument_count(
    tokens: &TokenLine<'_>,
    verb: &str,
    given: usize,
) -> Result<(), ParseError> {
    let (least, most) = match verb {
        "raise" => (0, 0),
        "get" if tokens.text(3) == "within" && tokens.quoted(4).is_some() => (3, 3),
        "drop" if tokens.text(2) == "handle" && given > 1 => (2, 2),
        "close" if tokens.text(2) == "descriptor" && given > 1 => (2, 2),
        "get" | "close" | "join" | "kill" | "exit" | "cancel" | "pause" | "terminate" | "alive"
        | "code" | "reap" | "drop" | "exec" | "rest" | "trap" | "ignore" | "block" | "count" => {
            (1, 1)
        }
        "signal" if tokens.text(2) == "group" && given > 2 => (3, 3),
        "duplex" | "announce" | "signal" => (2, 2),
        "put" if tokens.text(3) == "handle" => (3, 3),
        "put" => (2, 2),
        "until" if tokens.text(3) == "blocks" => (2, 2),
        "until" | "limit" => (2, 3),
        "pipe" if tokens.text(4) == "with" => (4, 4),
        "pipe" => (2, 2),
        "stall" => (3, 3),
        "cut" => (4, 4),
        "spawn" | "run" | "enter" | "leave" => (1, usize::MAX),
        _ => {
            return Err(unknown_verb(tokens));
        }
    };
    if given < least {
        return Err(wrong(tokens, 2 + given, "something is missing", verb));
    }
    if given > most {
        return Err(too_many_words(tokens, 2 + most, verb));
    }
    Ok(())
}

/// An error whose hint shows how the verb is written.
fn wrong(tokens: &TokenLine<'_>, at: usize, message: &str, verb: &str) -> ParseError {
    tokens.error(at, message, format!("write {}", usages(verb)))
}

fn task_id(tokens: &TokenLine<'_>, at: usize) -> Result<TaskId, ParseError> {
    tokens.task_id(at, "write a process such as child, or a task such as main/reader")
}

fn child(tokens: &TokenLine<'_>, act: ChildAct, at: usize) -> Result<Verb, ParseError> {
    Ok(Verb::Child { act, child: tokens.name(at)? })
}

fn dispose(tokens: &TokenLine<'_>, to: Disposition) -> Result<Verb, ParseError> {
    Ok(Verb::Dispose { to, signal: tokens.signal(2)? })
}

fn pipe(tokens: &TokenLine<'_>, end: usize) -> Result<Verb, ParseError> {
    let codec = match (end, tokens.text(4), tokens.text(5)) {
        (4, ..) => None,
        (6, "with", "json") => Some(Codec::Json),
        (6, "with", "failing") => Some(Codec::Failing),
        _ => return Err(wrong(tokens, 5, "unknown codec", "pipe")),
    };
    Ok(Verb::Pipe { reader: tokens.name(2)?, writer: tokens.name(3)?, codec })
}

fn spawn(tokens: &TokenLine<'_>, end: usize) -> Result<Verb, ParseError> {
    let (mut handles, mut shared, mut listed) = (ThinVec::new(), ThinVec::new(), ThinVec::new());
    let in_group = is_in_group(tokens, end);
    let from_thread = end > 3 && tokens.text(3) == "from-thread";
    for at in 3 + usize::from(in_group || from_thread)..end {
        if let Some(handle) = handle_inside(tokens, at, "in-list")? {
            listed.push(handle);
        } else if let Some(handle) = handle_inside(tokens, at, "share")? {
            shared.push(handle.clone());
            handles.push(handle);
        } else {
            handles.push(tokens.handle(at)?);
        }
    }
    let child = tokens.name(2)?;
    Ok(Verb::Spawn { child, handles, shared, listed, program: None, in_group, from_thread })
}

/// The handle in a token such as `share(r)`; `None` if the token does not begin with the word and a bracket.
fn handle_inside(
    tokens: &TokenLine<'_>,
    at: usize,
    word: &str,
) -> Result<Option<EcoString>, ParseError> {
    let text = tokens.text(at);
    let inside = text.strip_prefix(word).and_then(|rest| rest.strip_prefix('('));
    match inside.and_then(|rest| rest.strip_suffix(')')) {
        None => Ok(None),
        Some(handle) if lexer::is_handle(handle) => Ok(Some(handle.into())),
        Some(_) => Err(tokens.error(at, "not a handle", format!("write {word}(r)"))),
    }
}

fn run(tokens: &TokenLine<'_>, end: usize) -> Result<Verb, ParseError> {
    let in_group = is_in_group(tokens, end);
    let program = program_start::parse(tokens, 3 + usize::from(in_group), end)?;
    let handles = program.given_to_child().map(EcoString::from).collect();
    let (child, program) = (tokens.name(2)?, Some(Box::new(program)));
    let (shared, listed, from_thread) = (ThinVec::new(), ThinVec::new(), false);
    Ok(Verb::Spawn { child, handles, shared, listed, program, in_group, from_thread })
}

/// Whether the child of a `spawn` or a `run` starts a process group of its own.
fn is_in_group(tokens: &TokenLine<'_>, end: usize) -> bool {
    end > 3 && tokens.text(3) == "in-group"
}

fn close(tokens: &TokenLine<'_>, given: usize) -> Result<Verb, ParseError> {
    match given {
        2 => Ok(Verb::Close { handle: tokens.handle(3)?, by: Closing::Descriptor }),
        _ => Ok(Verb::Close { handle: tokens.handle(2)?, by: Closing::Call }),
    }
}

fn put(tokens: &TokenLine<'_>, given: usize) -> Result<Verb, ParseError> {
    match given {
        3 if tokens.text(3) == "handle" => {
            Ok(Verb::Pass { handle: tokens.handle(2)?, passed: tokens.handle(4)? })
        }
        _ => Ok(Verb::Put { handle: tokens.handle(2)?, payload: tokens.payload(3)? }),
    }
}

fn until(tokens: &TokenLine<'_>, given: usize) -> Result<Verb, ParseError> {
    match (given, tokens.text(3), tokens.text(4)) {
        (2, "blocks", _) => Ok(Verb::Until { task_id: task_id(tokens, 2)? }),
        (3, "is", "reaped") => child(tokens, ChildAct::Reaped, 2),
        _ => Err(wrong(tokens, 3, "unknown condition", "until")),
    }
}

fn cut(tokens: &TokenLine<'_>) -> Result<Verb, ParseError> {
    let not_a_position = |at: usize| {
        let hint = "write a place such as 2, header, header+1 or end-1";
        tokens.error(at, "not a place in a frame", hint)
    };
    if tokens.text(4) != "at" {
        return Err(not_a_position(4));
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| not_a_position(5));
    let text = tokens.text(5);
    let at = if text == "header" {
        CutAt::Header(0)
    } else if let Some(bytes) = text.strip_prefix("header+") {
        CutAt::Header(number(bytes)?)
    } else if let Some(bytes) = text.strip_prefix("end-") {
        CutAt::End(number(bytes)?)
    } else {
        CutAt::Bytes(number(text)?)
    };
    Ok(Verb::Cut { handle: tokens.handle(2)?, payload: tokens.payload(3)?, at: Box::new(at) })
}

fn limit(tokens: &TokenLine<'_>, given: usize) -> Result<Verb, ParseError> {
    let not_a_limit = |at: usize| wrong(tokens, at, "not a limit", "limit");
    if tokens.text(2) != "descriptors" {
        return Err(not_a_limit(2));
    }
    match (tokens.text(3), given) {
        ("off", 2) => Ok(Verb::Limit { free: None }),
        (number, 3) if tokens.text(4) == "free" => {
            Ok(Verb::Limit { free: Some(number.parse().map_err(|_| not_a_limit(3))?) })
        }
        _ => Err(not_a_limit(3)),
    }
}

fn leave(tokens: &TokenLine<'_>, end: usize) -> Result<Verb, ParseError> {
    let raising = end > 3 && tokens.text(end - 1) == "raising";
    let handles = tokens.handles(2, end - usize::from(raising))?;
    Ok(Verb::Leave { handles, raising })
}
