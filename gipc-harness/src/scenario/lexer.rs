//! One line of a scenario as words with their columns, and the small parsers of single words.
//!
//! Knows spelling, not meaning: whether a name exists is `check`'s business.

use super::{Payload, TaskId};

/// A word and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// The text, quotes included.
    pub(super) text: &'a str,
    /// Its first column in characters, from 1.
    pub(super) column: usize,
}

impl Token<'_> {
    /// Its length in characters.
    pub(super) fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Splits at blanks and commas; a quoted text is one word, however many blanks are in it.
pub(super) fn words(line: &str) -> Vec<Token<'_>> {
    let mut words = Vec::new();
    let mut start: Option<(usize, usize)> = None;
    let (mut quoted, mut escaped) = (false, false);
    for (column, (at, c)) in (1..).zip(line.char_indices()) {
        let blank = !quoted && (c.is_whitespace() || c == ',');
        if let (true, Some((from, first))) = (blank, start) {
            words.push(Token { text: &line[from..at], column: first });
            start = None;
        }
        if blank {
            if c == ',' {
                words.push(Token { text: ",", column });
            }
            continue;
        }
        start = start.or(Some((at, column)));
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    if let Some((from, first)) = start {
        words.push(Token { text: &line[from..], column: first });
    }
    words
}

/// `[a-z][a-z0-9-]*`, with any number of `[i]`, `[i+1]`, `[i-1]` or `[3]` behind it.
pub(super) fn is_name(text: &str) -> bool {
    let (base, rest) = text.split_at(text.find('[').unwrap_or(text.len()));
    let base_is_good = base.starts_with(|c: char| c.is_ascii_lowercase())
        && base.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && base != "or";
    base_is_good
        && (rest.is_empty()
            || (rest.ends_with(']') && rest[1..rest.len() - 1].split("][").all(is_index)))
}

fn is_index(text: &str) -> bool {
    let variable = text.strip_suffix("+1").or_else(|| text.strip_suffix("-1")).unwrap_or(text);
    let letters = !variable.is_empty() && variable.chars().all(|c| c.is_ascii_lowercase());
    let digits = !text.is_empty() && text.len() < 10 && text.chars().all(|c| c.is_ascii_digit());
    letters || (digits && (text == "0" || !text.starts_with('0')))
}

/// A handle: a name, or one half of a duplex.
pub(super) fn is_handle(text: &str) -> bool {
    is_name(text.strip_suffix(".r").or_else(|| text.strip_suffix(".w")).unwrap_or(text))
}

/// `main`, `main/reader`.
pub(super) fn task_id(text: &str) -> Option<TaskId> {
    let (process, task) = match text.split_once('/') {
        Some((process, task)) => (process, Some(task)),
        None => (text, None),
    };
    let good = is_name(process) && task.is_none_or(is_name);
    good.then(|| TaskId { process: process.to_owned(), task: task.map(str::to_owned) })
}

/// `"a"`, `17B`, `64KiB`, `1MiB-1`.
pub(super) fn payload(text: &str) -> Option<Payload> {
    if let Some(inner) = text.strip_prefix('"') {
        return unquote(inner).map(Payload::Text);
    }
    let (size, more) = match (text.strip_suffix("+1"), text.strip_suffix("-1")) {
        (Some(size), _) => (size, 1_i64),
        (_, Some(size)) => (size, -1),
        _ => (text, 0),
    };
    let (number, unit) = size.split_at(size.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "B" if more == 0 => 1,
        "KiB" => 1_u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    bytes.checked_add_signed(more).map(Payload::Size)
}

/// `50ms`.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    text.strip_suffix("ms")?.parse().ok().filter(|ms| *ms <= 60_000)
}

fn unquote(inner: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\\' => text.push(match chars.next()? {
                'n' => '\n',
                '\\' => '\\',
                '"' => '"',
                _ => return None,
            }),
            c => text.push(c),
        }
    }
}
