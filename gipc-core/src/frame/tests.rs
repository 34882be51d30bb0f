//! Tests of the frame parser and the frame writer.

use super::*;
use rstest::rstest;
use std::pin::pin;
use std::task::{Context, Poll};

impl Source for &[u8] {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let (now, later) = self.split_at(self.len().min(most));
        into.extend_from_slice(now);
        *self = later;
        Poll::Ready(Ok(now.len()))
    }
}

fn several(messages: &[&[u8]]) -> Outgoing<'static> {
    let mut messages = messages.iter().map(|message| Ok(Cow::Borrowed(*message)));
    Outgoing::several(&mut messages, Vec::new()).frame
}

fn bytes(messages: &[&[u8]]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| {
            let header = header(message.len()).expect("it fits");
            Outgoing::one(header, message, Vec::new()).rest().concat()
        })
        .collect()
}

/// Asserts what a reader returns for these bytes and the end after them, in words.
async fn check(wire: &[u8], expected: &[&str]) {
    let mut incoming = Incoming::new(wire, Vec::new());
    for words in expected {
        let said = match incoming.next().await {
            Ok(Some(message)) => String::from_utf8_lossy(&message).into_owned(),
            Ok(None) => "eof".into(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(said, *words, "{wire:?}");
    }
}

#[rstest]
#[case::nothing(0, "eof")]
#[case::a_byte_of_the_header(1, "Truncated")]
#[case::half_a_header(2, "Truncated")]
#[case::most_of_a_header(3, "Truncated")]
#[case::a_header(4, "Truncated")]
#[case::a_byte_of_the_message(5, "Truncated")]
#[case::all_but_a_byte(8, "Truncated")]
#[case::all(9, "hello")]
#[tokio::test]
async fn a_frame_cut_short_is_truncated_and_stays_so(#[case] kept: usize, #[case] expected: &str) {
    let wire = bytes(&[b"hello"]);
    let then = if expected == "hello" { "eof" } else { expected };
    check(&wire[..kept], &[expected, then, then]).await;
}

#[tokio::test]
async fn messages_come_one_by_one_and_the_empty_one_too() {
    check(&bytes(&[b"a", b"", b"bc"]), &["a", "", "bc", "eof", "eof"]).await;
}

#[tokio::test]
async fn an_impossible_length_is_refused_for_ever() {
    let words = "TooLarge { len: 2147483648, max: 2147483647 }";
    check(&[0, 0, 0, 0x80, 1], &[words, words]).await;
}

#[rstest]
#[case::shorter_than_a_read(100)]
#[case::longer_than_a_read(3 * AHEAD)]
#[tokio::test]
async fn a_message_may_have_as_many_bytes_as_the_limit_and_no_more(#[case] len: usize) {
    let wire = bytes(&[&vec![7; len], &vec![7; len + 1]]);
    let mut incoming = Incoming::new(&wire[..], Vec::new());
    incoming.max = len as u64;
    assert_eq!(incoming.next().await.expect("as long as the limit"), Some(vec![7; len]));
    assert!(matches!(incoming.next().await, Err(Error::TooLarge { .. })));
}

/// A source that gives one piece for each read.
struct Pieces(std::vec::IntoIter<Vec<u8>>);

impl Source for Pieces {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let piece = self.0.next().unwrap_or_default();
        assert!(piece.len() <= most, "{most} bytes are read where {} come", piece.len());
        into.extend_from_slice(&piece);
        Poll::Ready(Ok(piece.len()))
    }
}

#[tokio::test]
async fn the_end_of_a_message_and_the_next_message_come_with_one_read() {
    let wire = bytes(&[&vec![7; AHEAD], b"next"]);
    let (first, second) = wire.split_at(AHEAD - 10);
    let pieces = vec![first.to_vec(), second.to_vec()];
    let mut incoming = Incoming::new(Pieces(pieces.into_iter()), Vec::new());
    assert_eq!(incoming.next().await.expect("a message"), Some(vec![7; AHEAD]));
    assert_eq!(incoming.next().await.expect("a message"), Some(b"next".to_vec()));
}

#[tokio::test]
async fn after_256_messages_that_were_there_a_get_lets_other_tasks_run() {
    let wire = bytes(&[&b"x"[..]; 600]);
    let mut incoming = Incoming::new(&wire[..], Vec::new());
    let mut waited = Vec::new();
    for number in 0..600 {
        let mut next = pin!(incoming.next());
        let polled = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        if polled.is_pending() {
            waited.push(number);
            next.await.expect("a message");
        }
    }
    assert_eq!(waited, [256, 512]);
}

/// A read that moved less than it asked for has emptied the pipe, and the system reports nothing before more comes. Here a
/// part of a header takes up some of the room.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_read_that_filled_its_room_is_followed_by_another() {
    use std::io::Write;
    let (r, w) = platform::pipe().expect("a pipe");
    if nix::fcntl::fcntl(&w, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20)).is_err() {
        return; // this user has too many large pipes
    }
    let mut w = std::fs::File::from(w);
    let wire = bytes(&[&[7; 1000][..]; 300]);
    let mut incoming = Incoming::new(Channel::for_reading(r), Vec::new());
    w.write_all(&wire[..2]).expect("room");
    while incoming.ahead.len() < 2 {
        let mut next = pin!(incoming.next());
        assert!(poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await);
        yield_now().await;
    }
    w.write_all(&wire[2..]).expect("room");
    for _ in 0..300 {
        assert_eq!(incoming.next().await.expect("a message"), Some(vec![7; 1000]));
    }
}

/// The number of bytes of this process that are in memory, if the system shows it.
#[cfg(target_os = "linux")]
fn resident() -> Option<usize> {
    let sizes = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(sizes.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_length_alone_costs_no_memory() {
    let Some(before) = resident() else { return };
    let mut liars: Vec<_> =
        (0..32).map(|_| Incoming::new(&[0xff, 0xff, 0xff, 0x7f, 1][..], Vec::new())).collect();
    for incoming in &mut liars {
        assert!(matches!(incoming.next().await, Err(Error::Truncated)));
    }
    let grown = resident().expect("as before").saturating_sub(before);
    assert!(grown < 32 * (3 << 20), "{grown} bytes for 32 false lengths");
}

/// In case its whole length could not be reserved.
#[test]
fn room_for_a_message_grows_with_what_has_come() {
    let mut message = vec![7; 2 * AHEAD];
    reserve(&mut message, 10 * AHEAD).expect("memory");
    let doubled = message.capacity();
    assert!(doubled >= 4 * AHEAD, "{doubled}");
    message.resize(doubled - AHEAD, 7);
    reserve(&mut message, 9 * AHEAD).expect("memory");
    assert_eq!(message.capacity(), doubled, "there is room for a read");
    message.resize(doubled, 7);
    reserve(&mut message, 10).expect("memory");
    let last = message.capacity() - doubled;
    assert!((10..AHEAD).contains(&last), "{last} where 10 bytes are missing");
}

#[rstest]
#[case::nothing_written(0, 0)]
#[case::inside_a_header(1, 6)]
#[case::before_the_last_byte(6, 1)]
#[case::between_frames(7, 0)]
#[case::inside_the_second(8, 4)]
#[case::all_written(12, 0)]
fn only_the_frame_that_was_begun_must_be_finished(#[case] sent: usize, #[case] missing: usize) {
    let mut out = several(&[b"abc", b"d"]);
    out.sent = sent;
    let all = bytes(&[b"abc", b"d"]);
    assert_eq!(out.rest_of_frame(), all[sent..sent + missing]);
}

#[rstest]
#[tokio::test]
async fn what_was_read_ahead_goes_on_with_the_next_owner(
    #[values(0, 1, 3, 4, 5, 70_000, 200_000)] cut: usize,
) {
    let wire = bytes(&[&vec![7; 150_000], b"next"]);
    let (first, second) = wire.split_at(cut.min(wire.len()));
    let mut former = Incoming::new(first, Vec::new());
    let mut got = Vec::new();
    while let Ok(Some(message)) = former.next().await {
        got.push(message.len());
    }
    let mut leftover = Vec::new();
    former.leftover(&mut leftover);
    let mut heir = Incoming::new(second, leftover);
    while let Ok(Some(message)) = heir.next().await {
        got.push(message.len());
    }
    assert_eq!(got, [150_000, 4]);
}
