//! Values instead of bytes, many messages at once, time limits, and messages as a stream.

use futures_core::Stream;
use gipc_core::{Codec, CodecError, Error, Postcard, Raw, Reader, Writer, duplex, pipe, pipe_of};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Job {
    Square(i64),
    Say { words: Vec<String>, loud: bool },
}

fn typed() -> (Reader<Postcard<Job>>, Writer<Postcard<Job>>) {
    let (r, w) = pipe().expect("a pipe");
    (r.with(), w.with())
}

#[tokio::test]
async fn values_arrive_as_they_were() {
    let (r, w) = typed();
    let jobs = [Job::Square(-7), Job::Say { words: vec!["a".into(), String::new()], loud: true }];
    for job in &jobs {
        w.put(job).await.expect("room");
    }
    w.close().expect("open");
    for job in jobs {
        assert_eq!(r.get().await.expect("a value"), Some(job));
    }
    assert_eq!(r.get().await.expect("clean"), None);
}

#[tokio::test]
async fn bytes_that_are_no_value_do_not_spoil_the_next() {
    let (r, w) = typed();
    let raw = w.with::<Raw>();
    raw.put(&[99]).await.expect("room"); // no such variant
    raw.put(&[0, 2, 3]).await.expect("room"); // a value, and a byte too many
    w.put(&Job::Square(1)).await.expect("room");
    assert!(matches!(r.get().await, Err(Error::Decode(_))));
    assert!(matches!(r.get().await, Err(Error::Decode(_))));
    assert_eq!(r.get().await.expect("a value"), Some(Job::Square(1)));
}

#[tokio::test]
async fn a_value_that_has_no_bytes_leaves_the_pipe_as_it_was() {
    struct Never;
    impl Serialize for Never {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }
    impl<'de> Deserialize<'de> for Never {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Never)
        }
    }
    let (r, w) = pipe().expect("a pipe");
    assert!(matches!(w.with::<Postcard<Never>>().put(&Never).await, Err(Error::Encode(_))));
    w.put(b"next").await.expect("room");
    assert_eq!(r.get().await.expect("whole").as_deref(), Some(&b"next"[..]));
}

/// Text as it is.
struct Text;

impl Codec for Text {
    type Put = str;
    type Got = String;

    fn encode(value: &str) -> Result<Cow<'_, [u8]>, CodecError> {
        Ok(value.as_bytes().into())
    }

    fn decode(bytes: Vec<u8>) -> Result<String, CodecError> {
        Ok(String::from_utf8(bytes)?)
    }
}

#[tokio::test]
async fn a_codec_of_text_takes_text_in_any_form() {
    let (r, w) = pipe_of::<Text>().expect("a pipe");
    w.put("borrowed").await.expect("room");
    w.put(String::from("owned")).await.expect("room");
    assert_eq!(r.get().await.expect("text").as_deref(), Some("borrowed"));
    assert_eq!(r.get().await.expect("text").as_deref(), Some("owned"));
}

#[tokio::test]
async fn both_directions_of_a_duplex_have_their_own_type() {
    let (near, far) = duplex().expect("two pipes");
    let near = near.with::<Postcard<i64>, Postcard<Job>>();
    let far = far.with::<Postcard<Job>, Postcard<i64>>();
    near.put(&Job::Square(9)).await.expect("room");
    let Some(Job::Square(n)) = far.get().await.expect("a value") else { panic!("another job") };
    far.put(&(n * n)).await.expect("room");
    assert_eq!(near.get().await.expect("a value"), Some(81));
}

#[tokio::test]
async fn ten_thousand_messages_at_once_arrive_in_order() {
    let (r, w) = pipe().expect("a pipe");
    let messages: Vec<Vec<u8>> =
        (0..10_000_u32).map(|i| i.to_le_bytes().repeat((i % 9) as usize)).collect();
    let (put, ()) = tokio::join!(w.put_all(messages.iter().map(Vec::as_slice)), async {
        for message in &messages {
            assert_eq!(r.get().await.expect("whole").as_ref(), Some(message));
        }
    });
    put.expect("a reader");
}

#[tokio::test]
async fn of_many_that_are_cancelled_only_the_one_that_was_begun_is_finished() {
    let (r, w) = pipe().expect("a pipe");
    let messages = vec![vec![7; 9_999]; 1_000];
    {
        let mut put = pin!(w.put_all(messages.iter().map(Vec::as_slice)));
        // It fills the pipe and waits, after as many turns as the runtime needs to see that it is full.
        for _ in 0..100 {
            let polled =
                poll_fn(|context| Poll::Ready(put.as_mut().poll(context).is_pending())).await;
            assert!(polled);
            tokio::task::yield_now().await;
        }
    }
    let (last, got) = tokio::join!(
        async {
            w.put(b"last").await.expect("a reader");
            w.close().expect("nobody uses it");
        },
        async {
            let mut got = Vec::new();
            while let Some(message) = r.get().await.expect("whole") {
                got.push(message);
            }
            got
        }
    );
    let () = last;
    assert_eq!(got.last().map(Vec::as_slice), Some(&b"last"[..]));
    assert!(got[..got.len() - 1].iter().all(|message| message.len() == 9_999));
    assert!(got.len() < 1_000, "{} were put", got.len());
}

#[tokio::test]
async fn a_time_limit_that_passes_loses_nothing() {
    let (r, w) = pipe().expect("a pipe");
    let soon = Duration::from_millis(1);
    assert!(matches!(r.get_within(soon).await, Err(Error::Timeout)));
    w.put_within(b"a", Duration::from_secs(60)).await.expect("room");
    let long = vec![1; 1 << 20];
    assert!(matches!(w.put_within(&long, soon).await, Err(Error::StillSending)));
    assert_eq!(
        r.get_within(Duration::from_secs(60)).await.expect("whole").as_deref(),
        Some(&b"a"[..])
    );
    // The long one was begun, so it is finished.
    assert_eq!(r.get().await.expect("whole"), Some(long));
}

#[tokio::test]
async fn messages_are_a_stream_that_ends_with_the_pipe() {
    let (r, w) = typed();
    w.put(&Job::Square(1)).await.expect("room");
    w.with::<Raw>().put(&[99]).await.expect("room");
    w.put(&Job::Square(2)).await.expect("room");
    w.close().expect("open");
    let mut messages = r.messages();
    let mut came = Vec::new();
    while let Some(message) = poll_fn(|context| Pin::new(&mut messages).poll_next(context)).await {
        came.push(message.ok());
    }
    assert_eq!(came, [Some(Job::Square(1)), None, Some(Job::Square(2))]);
}

#[tokio::test]
async fn debug_printing_touches_nothing() {
    let (r, w) = pipe().expect("a pipe");
    assert_eq!(format!("{r:?}"), format!("Reader {{ descriptor: {:?} }}", r.descriptor()));
    w.close().expect("open");
    assert_eq!(format!("{w:?}"), "Writer { descriptor: None }");
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum List {
    End,
    More(Box<List>),
}

fn list(len: usize) -> List {
    (0..len).fold(List::End, |list, _| List::More(Box::new(list)))
}

/// Without a limit a hundred thousand bytes end the process, because the stack overflows.
#[tokio::test]
async fn a_value_that_is_nested_too_deep_is_no_value() {
    let (r, w) = pipe().expect("a pipe");
    let lists = r.with::<Postcard<List>>();
    w.with::<Postcard<List>>().put(&list(100)).await.expect("room");
    assert_eq!(lists.get().await.expect("not too deep"), Some(list(100)));
    w.with::<Postcard<List>>().put(&list(127)).await.expect("room");
    assert_eq!(lists.get().await.expect("just not too deep"), Some(list(127)));
    w.with::<Postcard<List>>().put(&list(128)).await.expect("room");
    assert!(matches!(lists.get().await, Err(Error::Decode(_))));
    let deep = vec![1; 100_000];
    let (put, got) = tokio::join!(w.put(&deep), lists.get());
    put.expect("it is read");
    assert!(matches!(got, Err(Error::Decode(_))), "{got:?}");
}

/// Without a limit six bytes hold the loop for as long as it takes to count to 2^35.
#[tokio::test]
async fn a_sequence_of_nothings_has_an_end() {
    let (r, w) = pipe().expect("a pipe");
    let units = r.with::<Postcard<Vec<()>>>();
    w.with::<Postcard<Vec<()>>>().put(&vec![(); 1000]).await.expect("room");
    assert_eq!(units.get().await.expect("a short one").map(|got| got.len()), Some(1000));
    // 65,536 elements, and as many as the message has bytes: the length has three, and the end counts as one.
    for (len, fits) in [(65_538, true), (65_539, false)] {
        w.with::<Postcard<Vec<()>>>().put(&vec![(); len]).await.expect("room");
        let got = units.get().await;
        assert_eq!(got.is_ok(), fits, "{len}: {got:?}");
    }
    w.put(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]).await.expect("room");
    let got = units.get().await;
    assert!(matches!(got, Err(Error::Decode(_))), "{got:?}");
}

/// What is nested in one element does not count for the next.
#[tokio::test]
async fn a_long_sequence_is_not_deep() {
    let long = vec![Some(7_u8); 1000];
    let (r, w) = pipe_of::<Postcard<Vec<Option<u8>>>>().expect("a pipe");
    w.put(&long).await.expect("room");
    assert_eq!(r.get().await.expect("a value"), Some(long));
}

/// A sequence says beforehand how long it is, also through the limits.
#[tokio::test]
async fn memory_for_a_sequence_is_taken_once() {
    let (r, w) = pipe_of::<Postcard<Vec<u64>>>().expect("a pipe");
    w.put(vec![1; 1000]).await.expect("room");
    assert_eq!(r.get().await.expect("a value").map(|got| got.capacity()), Some(1000));
}

/// Everything that serde can pass around goes through the limits as it was.
#[tokio::test]
async fn every_kind_of_value_passes_the_limits() {
    use std::collections::BTreeMap;
    use std::net::IpAddr;
    type Many = (
        (bool, char, i8, i16, i32, i64, i128),
        (u8, u16, u32, u64, u128, f32, f64),
        (String, Option<u8>, Option<()>, [u16; 3], IpAddr),
        (BTreeMap<String, Vec<Option<u8>>>, Result<u8, String>, Duration),
    );
    let map = BTreeMap::from([("a".into(), vec![Some(1), None]), ("b".into(), vec![])]);
    let many: Many = (
        (true, 'ö', -1, -2, -3, -4, -5),
        (1, 2, 3, 4, 5, 0.5, 0.25),
        // An address is a text only in formats that people read.
        ("text".into(), Some(7), None, [1, 2, 3], IpAddr::from([127, 0, 0, 1])),
        (map, Err("no".into()), Duration::from_millis(5)),
    );
    let (r, w) = pipe().expect("a pipe");
    w.with::<Postcard<Many>>().put(&many).await.expect("room");
    assert_eq!(r.with::<Postcard<Many>>().get().await.expect("a value"), Some(many));
}
