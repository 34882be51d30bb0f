//! The verbs: their spelling, the profile that each belongs to, and how a line of words becomes one.
//!
//! Knows spelling, not meaning: whether a name exists is `check`'s business.

use super::parser::{LineParser, ParseError};
use super::{ChildAct, Codec, Counted, CutAt, Disposition, Verb, lexer};

/// What an implementation must have so that a verb can be asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Pipes, processes, messages.
    Core,
    /// Several tasks in a process, cancellation, time limits.
    Tasks,
    /// What else can be done with a process.
    Process,
    /// Frames that are cut or lie.
    Frames,
    /// Signals.
    Signals,
    /// Limits of the system.
    Limits,
    /// Handles that close with a scope.
    Scope,
    /// Counting.
    Counts,
    /// Values instead of bytes.
    Codec,
    /// Mistakes that a type system may make impossible.
    Oddities,
}

impl Profile {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Tasks => "tasks",
            Self::Process => "process",
            Self::Frames => "frames",
            Self::Signals => "signals",
            Self::Limits => "limits",
            Self::Scope => "scope",
            Self::Counts => "counts",
            Self::Codec => "codec",
            Self::Oddities => "oddities",
        }
    }
}

/// How each verb is written, and its profile. The first word is the verb.
pub const VERBS: [(&str, Profile); 36] = [
    ("pipe R W", Profile::Core),
    ("duplex A B", Profile::Core),
    ("spawn CHILD H…", Profile::Core),
    ("put H PAYLOAD", Profile::Core),
    ("get H", Profile::Core),
    ("close H", Profile::Core),
    ("join CHILD", Profile::Core),
    ("kill CHILD", Profile::Core),
    ("exit N", Profile::Core),
    ("until WHO blocks", Profile::Core),
    ("cancel TASK", Profile::Tasks),
    ("pause 300ms", Profile::Tasks),
    ("terminate CHILD", Profile::Process),
    ("alive CHILD", Profile::Process),
    ("code CHILD", Profile::Process),
    ("raise", Profile::Process),
    ("stall until CHILD ends", Profile::Process),
    ("until CHILD is reaped", Profile::Process),
    ("reap CHILD", Profile::Process),
    ("exec GHOST", Profile::Process),
    ("cut W PAYLOAD at header+1", Profile::Frames),
    ("rest W", Profile::Frames),
    ("announce W SIZE", Profile::Frames),
    ("trap SIGNAL", Profile::Signals),
    ("ignore SIGNAL", Profile::Signals),
    ("block SIGNAL", Profile::Signals),
    ("signal CHILD SIGNAL", Profile::Signals),
    ("count trapped", Profile::Signals),
    ("limit descriptors N free", Profile::Limits),
    ("limit descriptors off", Profile::Limits),
    ("enter H…", Profile::Scope),
    ("leave H… [raising]", Profile::Scope),
    ("count handles", Profile::Counts),
    ("pipe R W with json|failing", Profile::Codec),
    ("spawn CHILD in-list(H)", Profile::Oddities),
    ("put W handle H", Profile::Oddities),
];

/// The verbs that begin like this, as an error shows them.
fn spellings(verb: &str) -> String {
    let all = VERBS.iter().filter(|(usage, _)| usage.split(' ').next() == Some(verb));
    all.map(|(usage, _)| format!("`{usage}`")).collect::<Vec<_>>().join(" or ")
}

/// All first words, once each.
fn first_words() -> String {
    let mut words: Vec<&str> = Vec::new();
    for (usage, _) in VERBS {
        let word = usage.split(' ').next().unwrap_or_default();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

impl LineParser<'_> {
    /// The verb that begins at the second word and ends before `end`.
    pub(super) fn verb(&self, end: usize) -> Result<Verb, ParseError> {
        if end < 2 {
            let cure = format!("verbs are {}", first_words());
            return Err(self.error(self.words.len(), "a verb is missing", cure));
        }
        let verb = self.text(1);
        let (least, most) = match verb {
            "raise" => (0, 0),
            "get" | "close" | "join" | "kill" | "exit" | "cancel" | "pause" | "terminate"
            | "alive" | "code" | "reap" | "exec" | "rest" | "trap" | "ignore" | "block"
            | "count" => (1, 1),
            "duplex" | "announce" | "signal" => (2, 2),
            "put" | "until" | "limit" => (2, 3),
            "pipe" => (2, 4),
            "stall" => (3, 3),
            "cut" => (4, 4),
            "spawn" | "enter" | "leave" => (1, usize::MAX),
            _ => {
                let cure = format!("verbs are {}", first_words());
                return Err(self.error(1, "unknown verb", cure));
            }
        };
        let given = end - 2;
        if given < least {
            let at = if end < self.words.len() { end } else { self.words.len() };
            return Err(self.error(
                at,
                "something is missing",
                format!("write {}", spellings(verb)),
            ));
        }
        if given > most {
            let cure = format!("write {} and no more", spellings(verb));
            return Err(self.error(2 + most, "too many words", cure));
        }
        match verb {
            "pipe" => self.pipe(end),
            "duplex" => Ok(Verb::Duplex { near: self.name(2)?, far: self.name(3)? }),
            "spawn" => self.spawn(end),
            "put" if self.text(3) == "handle" && given == 3 => {
                Ok(Verb::Pass { handle: self.handle(2)?, passed: self.handle(4)? })
            }
            "put" if given == 3 => {
                Err(self.error(4, "too many words", format!("write {}", spellings(verb))))
            }
            "put" => Ok(Verb::Put { handle: self.handle(2)?, payload: self.payload(3)? }),
            "get" => Ok(Verb::Get { handle: self.handle(2)? }),
            "close" => Ok(Verb::Close { handle: self.handle(2)? }),
            "join" => Ok(Verb::Join { child: self.name(2)? }),
            "kill" => Ok(Verb::Kill { child: self.name(2)? }),
            "terminate" => self.child(ChildAct::Terminate, 2),
            "alive" => self.child(ChildAct::Alive, 2),
            "code" => self.child(ChildAct::Code, 2),
            "reap" => self.child(ChildAct::Reap, 2),
            "exit" => {
                let code = self.text(2).parse().ok().filter(|code| (0..=255).contains(code));
                let cure = "write a number from 0 to 255";
                let code = code.ok_or_else(|| self.error(2, "not an exit code", cure))?;
                Ok(Verb::Exit { code })
            }
            "until" => self.until(given),
            "stall" if self.text(2) == "until" && self.text(4) == "ends" => {
                self.child(ChildAct::Stall, 3)
            }
            "stall" => {
                Err(self.error(2, "unknown condition", format!("write {}", spellings(verb))))
            }
            "cancel" => Ok(Verb::Cancel { task: self.task_id(2)? }),
            "pause" => {
                let ms = lexer::milliseconds(self.text(2));
                let cure = "write up to 60000 milliseconds, such as 300ms";
                Ok(Verb::Pause { ms: ms.ok_or_else(|| self.error(2, "not a time", cure))? })
            }
            "raise" => Ok(Verb::Raise),
            "exec" => Ok(Verb::Exec { ghost: self.name(2)? }),
            "cut" => self.cut(),
            "rest" => Ok(Verb::Rest { handle: self.handle(2)? }),
            "announce" => {
                Ok(Verb::Announce { handle: self.handle(2)?, size: self.payload(3)?.len() })
            }
            "trap" => Ok(Verb::Dispose { to: Disposition::Trap, signal: self.signal(2)? }),
            "ignore" => Ok(Verb::Dispose { to: Disposition::Ignore, signal: self.signal(2)? }),
            "block" => Ok(Verb::Dispose { to: Disposition::Block, signal: self.signal(2)? }),
            "signal" => Ok(Verb::Signal { child: self.name(2)?, signal: self.signal(3)? }),
            "limit" => self.limit(given),
            "count" => {
                let what = match self.text(2) {
                    "handles" => Counted::Handles,
                    "trapped" => Counted::Trapped,
                    _ => {
                        return Err(self.error(
                            2,
                            "cannot be counted",
                            format!("write {}", spellings(verb)),
                        ));
                    }
                };
                Ok(Verb::Count { what })
            }
            "enter" => {
                let handles = (2..end).map(|at| self.handle(at)).collect::<Result<_, _>>()?;
                Ok(Verb::Enter { handles })
            }
            _ => {
                let raising = given > 1 && self.text(end - 1) == "raising";
                let last = end - usize::from(raising);
                let handles = (2..last).map(|at| self.handle(at)).collect::<Result<_, _>>()?;
                Ok(Verb::Leave { handles, raising })
            }
        }
    }

    /// A signal by its name.
    pub(super) fn signal(&self, at: usize) -> Result<String, ParseError> {
        let word = self.text(at);
        let rest = word.strip_prefix("SIG").unwrap_or_default();
        let good =
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let cure = "write its name, such as SIGKILL";
        if good { Ok(word.to_owned()) } else { Err(self.error(at, "not a signal", cure)) }
    }

    fn child(&self, act: ChildAct, at: usize) -> Result<Verb, ParseError> {
        Ok(Verb::Child { act, child: self.name(at)? })
    }

    fn pipe(&self, end: usize) -> Result<Verb, ParseError> {
        let codec = match (end, self.text(4), self.text(5)) {
            (4, ..) => None,
            (6, "with", "json") => Some(Codec::Json),
            (6, "with", "failing") => Some(Codec::Failing),
            _ => {
                let at = if self.text(4) == "with" && end == 6 { 5 } else { 4 };
                let cure = format!("write {}", spellings("pipe"));
                return Err(self.error(at, "too many words", cure));
            }
        };
        Ok(Verb::Pipe { reader: self.name(2)?, writer: self.name(3)?, codec })
    }

    fn spawn(&self, end: usize) -> Result<Verb, ParseError> {
        let (mut handles, mut listed) = (Vec::new(), Vec::new());
        for at in 3..end {
            let inside =
                self.text(at).strip_prefix("in-list(").and_then(|rest| rest.strip_suffix(')'));
            match inside {
                Some(inside) if lexer::is_handle(inside) => listed.push(inside.to_owned()),
                Some(_) => return Err(self.error(at, "not a handle", "write in-list(r)")),
                None => handles.push(self.handle(at)?),
            }
        }
        Ok(Verb::Spawn { child: self.name(2)?, handles, listed })
    }

    fn until(&self, given: usize) -> Result<Verb, ParseError> {
        match (given, self.text(3), self.text(4)) {
            (2, "blocks", _) => Ok(Verb::Until { task_id: self.task_id(2)? }),
            (3, "is", "reaped") => self.child(ChildAct::Reaped, 2),
            _ => Err(self.error(3, "unknown condition", format!("write {}", spellings("until")))),
        }
    }

    fn cut(&self) -> Result<Verb, ParseError> {
        let cure = "write a place such as 2, header, header+1 or end-1";
        let wrong = |at: usize| self.error(at, "not a place in a frame", cure);
        if self.text(4) != "at" {
            return Err(wrong(4));
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong(5));
        let place = self.text(5);
        let at = if place == "header" {
            CutAt::Header(0)
        } else if let Some(more) = place.strip_prefix("header+") {
            CutAt::Header(number(more)?)
        } else if let Some(less) = place.strip_prefix("end-") {
            CutAt::End(number(less)?)
        } else {
            CutAt::Bytes(number(place)?)
        };
        Ok(Verb::Cut { handle: self.handle(2)?, payload: self.payload(3)?, at })
    }

    fn limit(&self, given: usize) -> Result<Verb, ParseError> {
        let wrong =
            |at: usize| self.error(at, "not a limit", format!("write {}", spellings("limit")));
        match (self.text(2), self.text(3), given) {
            ("descriptors", "off", 2) => Ok(Verb::Limit { free: None }),
            ("descriptors", number, 3) if self.text(4) == "free" => {
                Ok(Verb::Limit { free: Some(number.parse().map_err(|_| wrong(3))?) })
            }
            ("descriptors", ..) => Err(wrong(3)),
            _ => Err(wrong(2)),
        }
    }
}

impl Verb {
    /// What an implementation must have so that this can be asked of it.
    #[must_use]
    pub fn profile(&self) -> Profile {
        match self {
            Self::Pipe { codec: Some(_), .. } => Profile::Codec,
            Self::Spawn { listed, .. } if !listed.is_empty() => Profile::Oddities,
            Self::Pipe { .. }
            | Self::Duplex { .. }
            | Self::Spawn { .. }
            | Self::Put { .. }
            | Self::Get { .. }
            | Self::Close { .. }
            | Self::Join { .. }
            | Self::Kill { .. }
            | Self::Exit { .. }
            | Self::Until { .. } => Profile::Core,
            Self::Cancel { .. } | Self::Pause { .. } => Profile::Tasks,
            Self::Child { .. } | Self::Raise | Self::Exec { .. } => Profile::Process,
            Self::Cut { .. } | Self::Rest { .. } | Self::Announce { .. } => Profile::Frames,
            Self::Dispose { .. } | Self::Signal { .. } | Self::Count { what: Counted::Trapped } => {
                Profile::Signals
            }
            Self::Limit { .. } => Profile::Limits,
            Self::Enter { .. } | Self::Leave { .. } => Profile::Scope,
            Self::Count { what: Counted::Handles } => Profile::Counts,
            Self::Pass { .. } => Profile::Oddities,
        }
    }
}
