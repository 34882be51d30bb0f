//! The decoder for what an agent sends: bytes in, messages out. It keeps at most one incomplete line.

use crate::foreign_line::describe;
use crate::protocol::{FromAgent, MAX_LINE};

/// The most lines that one connection may send. A scenario has at most 250,000 steps. A step takes two lines; the others are
/// answers to pings.
const MAX_MESSAGES: usize = 600_000;

/// Splits the bytes of one connection into lines, and each line into a message.
#[derive(Debug, Default)]
pub struct LineDecoder {
    bytes: Vec<u8>,
    /// The bytes before this index contain no end of a line.
    searched: usize,
    /// The number of lines so far.
    count: usize,
}

impl LineDecoder {
    /// The buffer to which the caller appends the bytes that arrive.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The next message, or `None` if no complete line has arrived.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the line, and guesses at the cause. The caller should ignore everything
    /// that the connection sends afterwards.
    pub fn next_message(&mut self) -> Option<Result<FromAgent, String>> {
        let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = end.map(|end| self.searched + end);
        self.searched = end.unwrap_or(self.bytes.len());
        if self.searched > MAX_LINE {
            return Some(Err(format!(
                "sent a line of more than {MAX_LINE} bytes; payloads are never sent on this connection"
            )));
        }
        let line: Vec<u8> = self.bytes.drain(..=end?).collect();
        self.searched = 0;
        self.count += 1;
        if self.count > MAX_MESSAGES {
            return Some(Err(format!("sent more than {MAX_MESSAGES} lines")));
        }
        Some(serde_json::from_slice(&line).map_err(|error| describe(&line, &error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes the bytes in chunks of several sizes, and compares the number of messages and the first error.
    fn check(bytes: &[u8], messages: usize, error: Option<&str>) {
        for size in [1, 7, bytes.len().max(1)] {
            let mut decoder = LineDecoder::default();
            let (mut good, mut bad) = (0, None);
            for chunk in bytes.chunks(size) {
                decoder.buffer_mut().extend_from_slice(chunk);
                while let Some(message) = decoder.next_message().filter(|_| bad.is_none()) {
                    match message {
                        Ok(_) => good += 1,
                        Err(text) => bad = Some(text),
                    }
                }
            }
            assert_eq!(good, messages);
            let text = bad.unwrap_or_default();
            assert!(text.contains(error.unwrap_or_default()), "{text}");
            assert_eq!(text.is_empty(), error.is_none(), "{text}");
        }
    }

    const PONG: &[u8] = b"{\"type\":\"pong\",\"n\":1}\n";

    #[test]
    fn a_line_in_pieces_is_one_message() {
        check(&PONG.repeat(3), 3, None);
    }

    #[test]
    fn an_incomplete_line_is_no_message_and_an_error_once_it_is_too_long() {
        check(b"{\"type\":\"pong\"", 0, None);
        check(&vec![b'x'; MAX_LINE + 1], 0, Some("more than 65536 bytes"));
    }

    #[test]
    fn the_error_shows_the_line_that_is_no_message() {
        check(b"Segmentation fault\n", 0, Some("\"Segmentation fault\""));
        check(b"\xff\xfe\n", 0, Some("2 bytes that are neither text nor a message"));
    }

    #[test]
    fn a_connection_that_never_stops_sending_is_an_error() {
        let mut decoder = LineDecoder::default();
        let error = (0..=MAX_MESSAGES).find_map(|_| {
            decoder.buffer_mut().extend_from_slice(PONG);
            decoder.next_message()?.err()
        });
        assert_eq!(error.as_deref(), Some("sent more than 600000 lines"));
    }
}
