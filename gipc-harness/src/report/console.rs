//! Standard output and standard error: the only place that writes to the terminal, progress bars aside.

use std::io::{self, Write};

/// Writes text, and remembers the first failure, so that a full disk is reported once, at the end.
#[derive(Debug, Default)]
pub struct Console {
    failure: Option<io::Error>,
}

impl Console {
    /// Writes text to stdout.
    pub fn text(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // A reader that closed the pipe, such as `head`, is no failure.
            if error.kind() != io::ErrorKind::BrokenPipe && self.failure.is_none() {
                self.failure = Some(error);
            }
        }
    }

    /// Writes a line to stdout.
    pub fn line(&mut self, line: &str) {
        self.text(&format!("{line}\n"));
    }

    /// Writes a line to stderr. A failure to do so cannot be reported anywhere.
    pub fn complain(&mut self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// The first failure of writing to stdout, if there was one. A pipe that the reader closed is no failure.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}
