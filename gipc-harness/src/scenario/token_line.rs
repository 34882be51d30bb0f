//! One line of a scenario as tokens: reads names, handles, payloads and numbers by their position in the line.

use super::lexer::{self, Token};
use super::{ParseError, Payload, TaskId, common_mistakes};
use ecow::EcoString;
use std::str::FromStr;

/// The tokens of one line. Its errors mark the token at which the reading failed.
pub(super) struct TokenLine<'a> {
    number: usize,
    width: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> TokenLine<'a> {
    /// Splits a line. `number` is its number in the file, from 1.
    pub(super) fn new(number: usize, text: &'a str) -> Self {
        Self { number, width: text.chars().count(), tokens: lexer::tokens(text) }
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The position of the first token with this text.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        self.tokens.iter().position(|token| token.text == text)
    }

    /// The text of a token; empty beyond the last one.
    pub(super) fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// The first column of a token; beyond the last one, the first column after the line.
    pub(super) fn column(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(self.width + 1, |token| token.column)
    }

    /// The first column after the last token.
    pub(super) fn end_column(&self) -> usize {
        self.tokens.last().map_or(0, |token| token.column + token.width())
    }

    /// An error that marks a token, or the end of the line if there is no such token.
    pub(super) fn error(
        &self,
        at: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> ParseError {
        let width = self.tokens.get(at).map_or(1, Token::width);
        ParseError::at((self.number, self.column(at), width), message, hint)
    }

    /// A name such as `w` or `child[i]`.
    pub(super) fn name(&self, at: usize) -> Result<EcoString, ParseError> {
        let hint = "names are small letters, digits and -, such as w, child[i] or child[i+1]";
        if lexer::is_name(self.text(at)) {
            Ok(self.text(at).into())
        } else {
            Err(self.error(at, "not a name", common_mistakes::name_hint(self.text(at), hint)))
        }
    }

    /// A handle such as `w` or `near.r`.
    pub(super) fn handle(&self, at: usize) -> Result<EcoString, ParseError> {
        let hint = "handles are like w, r[i], or near.r for one half of a duplex";
        if lexer::is_handle(self.text(at)) {
            Ok(self.text(at).into())
        } else {
            Err(self.error(at, "not a handle", common_mistakes::name_hint(self.text(at), hint)))
        }
    }

    /// The handles from one token up to another, which is not included.
    pub(super) fn handles(&self, from: usize, to: usize) -> Result<Vec<EcoString>, ParseError> {
        (from..to).map(|at| self.handle(at)).collect()
    }

    /// A process or a task such as `main/reader`.
    pub(super) fn task_id(&self, at: usize, hint: &str) -> Result<TaskId, ParseError> {
        lexer::task_id(self.text(at)).ok_or_else(|| {
            let hint = common_mistakes::name_hint(self.text(at), hint);
            self.error(at, "not a process or a task", hint)
        })
    }

    /// A payload such as `"a"` or `64KiB`.
    pub(super) fn payload(&self, at: usize) -> Result<Payload, ParseError> {
        let payload = lexer::payload(self.text(at)).ok_or_else(|| {
            let (message, hint) = common_mistakes::payload(self.text(at));
            self.error(at, message, hint)
        })?;
        if payload.len() > 1 << 40 {
            let hint = "1024GiB is the most that can be written";
            return Err(self.error(at, "impossible size", hint));
        }
        Ok(payload)
    }

    /// The text of a token in quotes, such as `"soon"`.
    pub(super) fn quoted(&self, at: usize) -> Option<EcoString> {
        let text = self.text(at);
        match lexer::payload(text) {
            Some(Payload::Text(inner)) if text.starts_with('"') => Some(inner),
            _ => None,
        }
    }

    /// A duration in milliseconds such as `50ms`.
    pub(super) fn milliseconds(
        &self,
        at: usize,
        message: &str,
        hint: &str,
    ) -> Result<u32, ParseError> {
        lexer::milliseconds(self.text(at)).ok_or_else(|| {
            self.error(at, message, common_mistakes::milliseconds(self.text(at), hint))
        })
    }

    /// An exit code, 0 to 255.
    pub(super) fn exit_code(&self, at: usize) -> Result<i32, ParseError> {
        let code = self.text(at).parse().ok().filter(|code| (0..=255).contains(code));
        code.ok_or_else(|| self.error(at, "not an exit code", "write a number from 0 to 255"))
    }

    /// A signal by its name, such as `SIGKILL`.
    pub(super) fn signal(&self, at: usize) -> Result<EcoString, ParseError> {
        let name = self.text(at).strip_prefix("SIG").unwrap_or_default();
        let is_signal =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if is_signal {
            Ok(self.text(at).into())
        } else {
            let name = self.text(at).to_uppercase();
            let name = name.strip_prefix("SIG").unwrap_or(&name);
            let hint = match nix::sys::signal::Signal::from_str(&format!("SIG{name}")) {
                Ok(_) => format!("write SIG{name}"),
                Err(_) => "write its name, such as SIGKILL".to_owned(),
            };
            Err(self.error(at, "not a signal", hint))
        }
    }
}
