//! Text to scenario. Every error has a line, a column, a caret and a cure; nothing panics.

use super::lexer::{self, Token};
use super::{
    Index, Item, Line, Outcome, Payload, Place, Scenario, Script, Verb, expansion, validation,
};
use std::fmt::Write;

/// The outcomes of the language, as an error lists them.
pub const OUTCOMES: &str = "a payload, ok, eof, truncated, closed, locked, broken, timeout, cancelled, \
     poisoned, misuse, too-large, protocol, encode, decode, raised, yes, no, a number, running, os:NAME, \
     exit N, signal NAME, blocks [on WHO], never";

/// Where a scenario is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub cure: String,
    /// The line, from 1.
    pub line: usize,
    /// The first column, from 1, in characters.
    pub column: usize,
    /// The length of the caret, in characters.
    pub width: usize,
}

impl ParseError {
    /// The error as a screen: the message, the place, the line, a caret and the cure.
    pub fn render(&self, path: &str, text: &str) -> String {
        let quoted = text.lines().nth(self.line.saturating_sub(1)).unwrap_or_default();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.column.saturating_sub(1));
        let caret = "^".repeat(self.width.max(1));
        let mut out = format!("error: {}\n", self.message);
        let _ = writeln!(out, "{margin}--> {path}:{number}:{}", self.column);
        let _ = writeln!(out, "{number} | {quoted}");
        let _ = writeln!(out, "{margin} | {indent}{caret} {}", self.cure);
        out
    }
}

/// Reads a scenario: its layout, its steps with every `each` written out, and whether they can be meant.
pub fn parse(id: &str, text: &str) -> Result<Scenario, ParseError> {
    let (script, places) = script(text)?;
    let steps = expansion::expand(&script, &places)?;
    let scenario = Scenario::new(id, text, script, steps);
    validation::validate(&scenario)?;
    Ok(scenario)
}

/// Reads the layout alone: spelling is right, whether it can be meant is not asked.
pub(super) fn script(text: &str) -> Result<(Script, Vec<Place>), ParseError> {
    let mut items = Vec::new();
    let mut places = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let (item, place) = item(number, line)?;
        items.push(item);
        places.push(place);
    }
    while items.last() == Some(&Item::Blank) {
        items.pop();
    }
    Ok((Script { items }, places))
}

fn item(number: usize, text: &str) -> Result<(Item, Place), ParseError> {
    let mut place = Place { line: number, what: 1, outcome: None };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok((Item::Blank, place));
    }
    if let Some(comment) = trimmed.strip_prefix('#') {
        let comment = comment.strip_prefix(' ').unwrap_or(comment);
        return Ok((Item::Comment(comment.trim_end().to_owned()), place));
    }
    let words = lexer::words(text);
    let reader = LineParser { number, width: text.chars().count(), words: &words };
    if words[0].text == "each" {
        return Ok((Item::Each(reader.each()?), place));
    }
    let line = reader.line(&mut place)?;
    Ok((Item::Line(line), place))
}

/// The words of one line, and errors that know where they stand.
pub(super) struct LineParser<'a> {
    number: usize,
    width: usize,
    pub(super) words: &'a [Token<'a>],
}

impl LineParser<'_> {
    pub(super) fn error(&self, at: usize, message: &str, cure: impl Into<String>) -> ParseError {
        let (column, width) = match self.words.get(at) {
            Some(word) => (word.column, word.width()),
            None => (self.width + 1, 1),
        };
        ParseError { message: message.into(), cure: cure.into(), line: self.number, column, width }
    }

    pub(super) fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| word.text)
    }

    fn line(&self, place: &mut Place) -> Result<Line, ParseError> {
        let task_id = lexer::task_id(self.text(0)).ok_or_else(|| {
            self.error(0, "not a process or a task", "names are like main, child[i] or main/reader")
        })?;
        let arrow = self.words.iter().position(|word| word.text == "=>");
        let mut end = arrow.unwrap_or(self.words.len());
        place.what = self.words.get(1).map_or(self.width + 1, |word| word.column);
        let mut within_ms = None;
        if end >= 4 && self.text(end - 2) == "within" {
            let ms = lexer::milliseconds(self.text(end - 1));
            within_ms = Some(ms.ok_or_else(|| {
                self.error(
                    end - 1,
                    "not a time limit",
                    "write up to 60000 milliseconds, such as 50ms",
                )
            })?);
            end -= 2;
        }
        let verb = self.verb(end)?;
        let limited = matches!(verb, Verb::Put { .. } | Verb::Get { .. } | Verb::Join { .. });
        if within_ms.is_some() && !limited {
            return Err(self.error(end, "this verb takes no time limit", "put, get and join do"));
        }
        let expected = match arrow {
            Some(arrow) => {
                let last = self.words.last().map_or(0, |word| word.column + word.width());
                let first = self.words.get(arrow + 1).map_or(last, |word| word.column);
                place.outcome = Some((first, last.saturating_sub(first)));
                self.outcomes(arrow + 1)?
            }
            None => Vec::new(),
        };
        Ok(Line { task_id, verb, within_ms, expected })
    }

    pub(super) fn name(&self, at: usize) -> Result<String, ParseError> {
        let good = lexer::is_name(self.text(at));
        let cure = "names are small letters, digits and -, such as w, child[i] or child[i+1]";
        if good { Ok(self.text(at).to_owned()) } else { Err(self.error(at, "not a name", cure)) }
    }

    pub(super) fn handle(&self, at: usize) -> Result<String, ParseError> {
        let good = lexer::is_handle(self.text(at));
        let cure = "handles are like w, r[i], or near.r for one half of a duplex";
        if good { Ok(self.text(at).to_owned()) } else { Err(self.error(at, "not a handle", cure)) }
    }

    pub(super) fn task_id(&self, at: usize) -> Result<super::TaskId, ParseError> {
        let cure = "write a process such as child, or a task such as main/reader";
        lexer::task_id(self.text(at)).ok_or_else(|| self.error(at, "not a process or a task", cure))
    }

    pub(super) fn payload(&self, at: usize) -> Result<Payload, ParseError> {
        let payload = lexer::payload(self.text(at)).ok_or_else(|| {
            self.error(
                at,
                "expected a payload",
                "write a text such as \"a\", or a size such as 64KiB",
            )
        })?;
        if payload.len() > 1 << 40 {
            return Err(self.error(
                at,
                "impossible size",
                "1024GiB is the most that can be written",
            ));
        }
        Ok(payload)
    }

    fn outcomes(&self, mut at: usize) -> Result<Vec<Outcome>, ParseError> {
        let mut outcomes = Vec::new();
        loop {
            outcomes.push(self.outcome(&mut at)?);
            if at >= self.words.len() {
                return Ok(outcomes);
            }
            if self.text(at) != "or" {
                return Err(self.error(at, "too many words", "outcomes are joined by `or`"));
            }
            at += 1;
        }
    }

    fn outcome(&self, at: &mut usize) -> Result<Outcome, ParseError> {
        let word = self.text(*at);
        let (first, argument) = (*at, self.text(*at + 1));
        *at += 1;
        let outcome = match word {
            "ok" => Outcome::Ok,
            "eof" => Outcome::Eof,
            "truncated" => Outcome::Truncated,
            "closed" => Outcome::Closed,
            "locked" => Outcome::Locked,
            "broken" => Outcome::Broken,
            "timeout" => Outcome::Timeout,
            "cancelled" => Outcome::Cancelled,
            "poisoned" => Outcome::Poisoned,
            "misuse" => Outcome::Misuse,
            "too-large" => Outcome::TooLarge,
            "protocol" => Outcome::Protocol,
            "encode" => Outcome::Encode,
            "decode" => Outcome::Decode,
            "raised" => Outcome::Raised,
            "yes" => Outcome::Yes,
            "no" => Outcome::No,
            "running" => Outcome::Running,
            "never" => Outcome::Never,
            "exit" => {
                *at += 1;
                let code = argument.parse().ok().filter(|code| (0..=255).contains(code));
                let cure = "write a number from 0 to 255";
                Outcome::Exit(code.ok_or_else(|| self.error(first + 1, "not an exit code", cure))?)
            }
            "signal" => {
                *at += 1;
                Outcome::Signal(self.signal(first + 1)?)
            }
            "blocks" => Outcome::Blocks(self.blocks(at)?),
            _ if word.starts_with("os:E") => Outcome::Os(word[3..].to_owned()),
            _ if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) => {
                let number =
                    word.parse().map_err(|_| self.error(first, "not a number", "write less"))?;
                Outcome::Number(number)
            }
            _ if word.starts_with('"') || word.starts_with(|c: char| c.is_ascii_digit()) => {
                Outcome::Message(self.payload(first)?)
            }
            _ => {
                let what =
                    if word.is_empty() { "an outcome is missing" } else { "unknown outcome" };
                return Err(self.error(first, what, format!("outcomes are {OUTCOMES}")));
            }
        };
        Ok(outcome)
    }

    fn blocks(&self, at: &mut usize) -> Result<Vec<String>, ParseError> {
        let mut on = Vec::new();
        if self.text(*at) == "on" {
            loop {
                *at += 1;
                on.push(self.name(*at)?);
                *at += 1;
                if self.text(*at) != "," {
                    break;
                }
            }
        }
        Ok(on)
    }

    fn each(&self) -> Result<Vec<Index>, ParseError> {
        let cure = "write `each i in 1..1000`, or `each i in 1..10, j in 1..3`";
        let mut indices: Vec<Index> = Vec::new();
        let mut at = 1;
        loop {
            let name = self.text(at).to_owned();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
            if !is_name || indices.iter().any(|index| index.name == name) {
                return Err(self.error(at, "not a new index", cure));
            }
            if self.text(at + 1) != "in" {
                return Err(self.error(at + 1, "`in` is missing", cure));
            }
            let range = self.text(at + 2).split_once("..").and_then(|(first, last)| {
                Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
            });
            let Some((first, last)) =
                range.filter(|(first, last)| first <= last && *last < 1 << 32)
            else {
                return Err(self.error(at + 2, "not a range", cure));
            };
            indices.push(Index { name, first, last });
            at += 3;
            match self.text(at) {
                "" => return Ok(indices),
                "," => at += 1,
                _ => return Err(self.error(at, "too many words", cure)),
            }
        }
    }
}
