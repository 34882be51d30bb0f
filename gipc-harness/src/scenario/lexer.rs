//! Splits one line of a scenario into tokens with their columns, and reads single tokens.
//!
//! The lexer checks spelling only. `validation` checks whether a name exists.

use super::{Payload, TaskId};
use ecow::EcoString;

/// A word of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// The text, quotes included.
    pub(super) text: &'a str,
    /// The first column in characters, from 1.
    pub(super) column: usize,
}

impl Token<'_> {
    /// The length in characters.
    pub(super) fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Splits a line at blanks. A comma is a token of its own. A quoted text is one token, blanks included.
pub(super) fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    // The byte offset and the column at which the current token began.
    let mut start: Option<(usize, usize)> = None;
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (column, (at, c)) in (1..).zip(line.char_indices()) {
        let is_separator = !is_quoted && (c.is_whitespace() || c == ',');
        if is_separator {
            if let Some((offset, column)) = start.take() {
                tokens.push(Token { text: &line[offset..at], column });
            }
            if c == ',' {
                tokens.push(Token { text: ",", column });
            }
            continue;
        }
        start = start.or(Some((at, column)));
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
    }
    if let Some((offset, column)) = start {
        tokens.push(Token { text: &line[offset..], column });
    }
    tokens
}

/// Whether a text is `[a-z][a-z0-9-]*`, followed by any number of `[i]`, `[i+1]`, `[i-1]` or `[3]`.
pub(super) fn is_name(text: &str) -> bool {
    let (base, indices) = text.split_at(text.find('[').unwrap_or(text.len()));
    let is_base = base.starts_with(|c: char| c.is_ascii_lowercase())
        && base.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && base != "or";
    let are_indices =
        || indices.ends_with(']') && indices[1..indices.len() - 1].split("][").all(is_index);
    is_base && (indices.is_empty() || are_indices())
}

/// Whether a text is the inside of a pair of brackets: `i`, `i+1`, `i-1`, `3`.
fn is_index(text: &str) -> bool {
    let variable = text.strip_suffix("+1").or_else(|| text.strip_suffix("-1")).unwrap_or(text);
    let is_variable = !variable.is_empty() && variable.chars().all(|c| c.is_ascii_lowercase());
    let is_number = !text.is_empty()
        && text.len() < 10
        && text.chars().all(|c| c.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    is_variable || is_number
}

/// Whether a text is a handle: a name, or one half of a duplex such as `near.r`.
pub(super) fn is_handle(text: &str) -> bool {
    is_name(text.strip_suffix(".r").or_else(|| text.strip_suffix(".w")).unwrap_or(text))
}

/// Reads `main` or `main/reader`.
pub(super) fn task_id(text: &str) -> Option<TaskId> {
    let (process, task) = match text.split_once('/') {
        Some((process, task)) => (process, Some(task)),
        None => (text, None),
    };
    let is_task_id = is_name(process) && task.is_none_or(is_name);
    is_task_id.then(|| TaskId { process: process.into(), task: task.map(EcoString::from) })
}

/// Reads `"a"`, `17B`, `64KiB` or `1MiB-1`.
pub(super) fn payload(text: &str) -> Option<Payload> {
    if let Some(inner) = text.strip_prefix('"') {
        return unquote(inner).map(Payload::Text);
    }
    let (size, offset) = match (text.strip_suffix("+1"), text.strip_suffix("-1")) {
        (Some(size), _) => (size, 1_i64),
        (_, Some(size)) => (size, -1),
        _ => (text, 0),
    };
    let (number, unit) = size.split_at(size.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "B" if offset == 0 => 1,
        "KiB" => 1_u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    bytes.checked_add_signed(offset).map(Payload::Size)
}

/// Reads `50ms`; at most 60 seconds.
pub(super) fn milliseconds(text: &str) -> Option<u32> {
    text.strip_suffix("ms")?.parse().ok().filter(|ms| *ms <= 60_000)
}

/// Reads the rest of a quoted text after its opening quote. `None` if the quote is not closed at the end.
fn unquote(inner: &str) -> Option<EcoString> {
    let mut text = EcoString::new();
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
