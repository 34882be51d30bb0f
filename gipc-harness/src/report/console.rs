//! Standard output and standard error. Nothing else writes to the terminal, except progress bars, or knows how wide it is.

use super::wrap::wrap;
use crate::program;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use terminal_size::{Width, terminal_size_of};

/// Writes text, and remembers the first failure, so that a full disk is reported once, at the end. On a terminal, long lines
/// are wrapped at its width.
#[derive(Debug, Default)]
pub struct Console {
    failure: Option<io::Error>,
}

impl Console {
    /// Writes text to stdout.
    pub fn text(&mut self, text: &str) {
        self.verbatim(&fitted(text, io::stdout()));
    }

    /// Writes a line to stdout.
    pub fn line(&mut self, line: &str) {
        self.text(&format!("{line}\n"));
    }

    /// Writes text to stdout without wrapping: diagrams, tables, and lines for programs.
    pub fn verbatim(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // A reader that closed the pipe, such as `head`, is not a failure.
            if error.kind() != io::ErrorKind::BrokenPipe && self.failure.is_none() {
                self.failure = Some(error);
            }
        }
    }

    /// Writes a line to stderr. A failure to do so cannot be reported anywhere.
    pub fn complain(&mut self, line: &str) {
        let line = fitted(line, io::stderr());
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// The first failure to write to stdout, if there was one. A pipe that the reader closed is not a failure.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// The text as it fits a stream: wrapped if the stream is a terminal, otherwise unchanged.
fn fitted(text: &str, stream: impl AsFd + IsTerminal) -> String {
    match width_of(stream) {
        Some(width) => wrap(text, width, &program::command("")),
        None => text.to_owned(),
    }
}

/// How many columns a terminal has; `None` if the stream is not a terminal, or does not report it.
pub(super) fn width_of(stream: impl AsFd + IsTerminal) -> Option<usize> {
    let size = if stream.is_terminal() { terminal_size_of(stream) } else { None };
    size.map(|(Width(width), _)| usize::from(width))
}
