//! Where words go: the only place of the command that writes to the terminal.

use std::io::{self, Write};

/// Remembers the first failure, so that a full disk or a closed pipe is told once, at the end.
#[derive(Debug, Default)]
pub(super) struct Console {
    failure: Option<io::Error>,
}

impl Console {
    /// Text for stdout, with its line ends.
    pub(super) fn text(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // A reader that has seen enough (`head`) is no failure.
            if error.kind() != io::ErrorKind::BrokenPipe && self.failure.is_none() {
                self.failure = Some(error);
            }
        }
    }

    /// A line for stdout.
    pub(super) fn line(&mut self, line: &str) {
        self.text(&format!("{line}\n"));
    }

    /// A line for stderr. If that fails, there is nowhere left to say so.
    pub(super) fn complain(&mut self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}
