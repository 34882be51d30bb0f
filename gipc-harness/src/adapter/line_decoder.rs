//! What an agent says, cut into lines and read. Knows no socket, trusts nothing, and keeps no more than one line.

use super::protocol::{FromAgent, MAX_LINE, PROTOCOL};

/// Nobody has so much to say: in the longest scenario a process has a hundred thousand steps, of two lines each.
const MAX_MESSAGES: usize = 250_000;

/// The bytes of one connection, as they come.
#[derive(Debug, Default)]
pub struct LineDecoder {
    bytes: Vec<u8>,
    /// Up to here there is no end of a line.
    searched: usize,
    /// How many lines there were.
    count: usize,
}

impl LineDecoder {
    /// Where the next bytes belong.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The next message, if a whole line is here. An error is a sentence with a guess at the cause; after one, nothing
    /// more of this connection should be believed.
    pub fn next_message(&mut self) -> Option<Result<FromAgent, String>> {
        let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = end.map(|end| self.searched + end);
        self.searched = end.unwrap_or(self.bytes.len());
        if self.searched > MAX_LINE {
            return Some(Err(format!(
                "sent a line of more than {MAX_LINE} bytes; payloads never travel here"
            )));
        }
        let line: Vec<u8> = self.bytes.drain(..=end?).collect();
        self.searched = 0;
        self.count += 1;
        if self.count > MAX_MESSAGES {
            return Some(Err(format!("sent more than {MAX_MESSAGES} lines")));
        }
        Some(serde_json::from_slice(&line).map_err(|error| {
            let shown: String = String::from_utf8_lossy(&line).trim_end().chars().take(120).collect();
            format!(
                "sent a line that is no message of protocol {PROTOCOL}: {shown:?} ({error}); was it meant for stdout?"
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of these bytes, in whatever pieces they arrive: how many messages, and what is said of the first that
    /// is none.
    fn check(bytes: &[u8], expected: (usize, Option<&str>)) {
        for piece in [1, 7, bytes.len().max(1)] {
            let mut lines = LineDecoder::default();
            let (mut good, mut bad) = (0, None);
            for piece in bytes.chunks(piece) {
                lines.room().extend_from_slice(piece);
                while let Some(said) = lines.next_message().filter(|_| bad.is_none()) {
                    match said {
                        Ok(_) => good += 1,
                        Err(text) => bad = Some(text),
                    }
                }
            }
            assert_eq!(good, expected.0);
            let text = bad.unwrap_or_default();
            assert!(text.contains(expected.1.unwrap_or_default()), "{text}");
            assert_eq!(text.is_empty(), expected.1.is_none(), "{text}");
        }
    }

    const PONG: &[u8] = b"{\"type\":\"pong\",\"n\":1}\n";

    #[test]
    fn a_line_in_pieces_is_one_message() {
        check(&PONG.repeat(3), (3, None));
    }

    #[test]
    fn a_line_without_an_end_is_none_until_it_is_too_long() {
        check(b"{\"type\":\"pong\"", (0, None));
        check(&vec![b'x'; MAX_LINE + 1], (0, Some("more than 65536 bytes")));
    }

    #[test]
    fn garbage_is_shown() {
        check(b"Segmentation fault\n", (0, Some("\"Segmentation fault\"")));
        check(b"\xff\xfe\n", (0, Some("no message")));
    }

    #[test]
    fn who_never_ends_is_cut_off() {
        let mut lines = LineDecoder::default();
        let said = (0..=MAX_MESSAGES).find_map(|_| {
            lines.room().extend_from_slice(PONG);
            lines.next_message()?.err()
        });
        assert_eq!(said.as_deref(), Some("sent more than 250000 lines"));
    }
}
