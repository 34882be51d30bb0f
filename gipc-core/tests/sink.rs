//! The messages of a writer as a sink: it keeps what `put` promises, and says so at the right moment.

use futures_util::{Sink, SinkExt, StreamExt, stream};
use gipc_core::{Codec, CodecError, Error, Postcard, Reader, Writer, pipe, pipe_of};
use std::borrow::Cow;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::task::yield_now;

/// More than a pipe holds.
const LONG: usize = 1 << 20;

/// Polls once, as a task that is then cancelled would have.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Accepts a message, without a poll that would begin to put it.
async fn feed<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin), message: M) {
    poll_fn(|context| sink.poll_ready_unpin(context)).await.expect("it is ready");
    sink.start_send_unpin(message).expect("it was ready");
}

/// Polls the flush of a long message until it waits for room in the pipe.
async fn fill<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin)) {
    for _ in 0..20 {
        assert!(once(pin!(sink.flush())).await.is_none(), "the pipe holds less");
        yield_now().await;
    }
}

async fn next(r: &Reader) -> Option<Vec<u8>> {
    r.get().await.expect("a whole message or the end")
}

async fn texts(r: &Reader) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(text) = next(r).await {
        texts.push(String::from_utf8(text).expect("text"));
    }
    texts
}

fn is_sendable(_: &(impl Send + Unpin + Debug)) {}

#[tokio::test]
async fn messages_of_a_sink_and_of_puts_arrive_in_the_order_in_which_they_were_sent() {
    let (r, w) = pipe().expect("a pipe");
    let (mut one, mut two) = (w.sink(), w.sink());
    is_sendable(&one);
    one.send("1").await.expect("room");
    w.put("2").await.expect("room");
    two.send("3".to_owned()).await.expect("room");
    one.send("4").await.expect("room");
    w.close().expect("a sink that was flushed does not hold the handle");
    assert_eq!(texts(&r).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_message_has_its_place_among_puts_from_its_first_poll_on() {
    let (r, w) = pipe().expect("a pipe");
    let (mut early, mut late) = (w.sink(), w.sink());
    feed(&mut late, "accepted first").await;
    let mut full = w.sink();
    feed(&mut full, vec![0; LONG]).await;
    fill(&mut full).await;
    feed(&mut early, "polled first").await;
    assert!(once(pin!(early.flush())).await.is_none());
    let mut put = pin!(w.put("put second"));
    assert!(once(put.as_mut()).await.is_none());
    assert!(once(pin!(late.flush())).await.is_none());
    let reader = async {
        next(&r).await;
        texts(&r).await
    };
    let writer = async {
        full.flush().await.expect("a reader");
        // Backwards: the order is that of the first polls.
        let (late, put, early) = tokio::join!(late.flush(), put, early.flush());
        late.and(put).and(early).expect("a reader");
        w.close().expect("idle");
    };
    assert_eq!(tokio::join!(reader, writer).0, ["polled first", "put second", "accepted first"]);
}

#[tokio::test]
async fn send_all_sends_a_stream_and_forward_closes_the_handle_for_all_clones_at_its_end() {
    let (r, w) = pipe_of::<Postcard<u32>>().expect("a pipe");
    let reader = tokio::spawn(async move { r.messages().map(Result::unwrap).collect().await });
    w.sink().send_all(&mut stream::iter(0..5000).map(Ok)).await.expect("a reader");
    w.put(5000).await.expect("the handle is open");
    stream::iter(5001..10_000).map(Ok).forward(w.sink()).await.expect("a reader");
    assert!(matches!(w.put(0).await, Err(Error::Closed)));
    let came: Vec<u32> = reader.await.expect("no panic");
    assert!(came.into_iter().eq(0..10_000));
}

#[tokio::test]
async fn a_sink_that_is_dropped_in_the_middle_of_a_message_leaves_no_half_message() {
    let (r, w) = pipe().expect("a pipe");
    let mut sink = w.sink();
    feed(&mut sink, vec![7; LONG]).await;
    fill(&mut sink).await;
    drop(sink);
    assert!(matches!(w.close(), Err(Error::Locked)), "its rest is still to be written");
    let put = async {
        w.put("behind it").await.expect("a reader");
        w.close().expect("idle");
    };
    let get = async { (next(&r).await, texts(&r).await) };
    let (long, rest) = tokio::join!(get, put).0;
    assert_eq!(long, Some(vec![7; LONG]));
    assert_eq!(rest, ["behind it"]);
}

#[tokio::test]
async fn a_sink_that_is_dropped_before_the_first_byte_withdraws_its_message_and_frees_the_handle() {
    let (r, w) = pipe().expect("a pipe");
    let mut never_polled = w.sink();
    feed(&mut never_polled, "never polled").await;
    drop(never_polled);
    let mut full = w.sink();
    feed(&mut full, vec![0; LONG]).await;
    fill(&mut full).await;
    let mut waits = w.sink();
    feed(&mut waits, "waits for its turn").await;
    assert!(once(pin!(waits.flush())).await.is_none());
    drop(waits);
    let (long, flushed) = tokio::join!(next(&r), full.flush());
    flushed.expect("a reader");
    assert_eq!(long.map(|long| long.len()), Some(LONG));
    w.close().expect("nothing holds the handle");
    assert_eq!(next(&r).await, None);
}

#[tokio::test]
async fn a_sink_accepts_no_message_while_the_pipe_is_full() {
    let (r, w) = pipe().expect("a pipe");
    let mut sink = w.sink();
    let mut accepted = 0_usize;
    while once(pin!(sink.feed(vec![0; 1000]))).await.is_some() {
        accepted += 1;
        assert!(accepted < LONG / 1000, "the pipe holds less");
        yield_now().await;
    }
    let mut came = 0;
    let flushed = async {
        sink.flush().await.expect("a reader");
        sink.close().await.expect("open");
    };
    let reader = async {
        while next(&r).await.is_some() {
            came += 1;
        }
    };
    tokio::join!(flushed, reader);
    assert_eq!(came, accepted, "what was accepted arrives, and nothing else");
}

#[tokio::test]
async fn closing_a_sink_waits_for_its_message_and_for_puts_before_it_and_can_be_repeated() {
    let (r, w) = pipe().expect("a pipe");
    let mut put = Box::pin(w.put(vec![1; LONG]));
    assert!(once(put.as_mut()).await.is_none());
    let mut sink = w.sink();
    feed(&mut sink, "last").await;
    for _ in 0..20 {
        assert!(once(pin!(sink.close())).await.is_none(), "a put is before it");
        yield_now().await;
    }
    let reader = async { (next(&r).await, next(&r).await, next(&r).await) };
    let (came, put, closed) = tokio::join!(reader, put, sink.close());
    put.expect("a reader");
    closed.expect("it was open");
    assert_eq!(came, (Some(vec![1; LONG]), Some(b"last".to_vec()), None));
    assert!(w.descriptor().is_none(), "closed for all clones");
    sink.close().await.expect("closing again is no error");
    assert!(matches!(sink.send("more").await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_sink_that_is_dropped_does_not_close_the_handle() {
    let (r, w) = pipe().expect("a pipe");
    w.sink().send("1").await.expect("room");
    w.put("2").await.expect("open");
    drop(w);
    assert_eq!(texts(&r).await, ["1", "2"], "and the last clone does");
}

/// Text, but for one word.
struct Picky;

impl Codec for Picky {
    type Put = str;
    type Got = Vec<u8>;

    fn encode(value: &str) -> Result<Cow<'_, [u8]>, CodecError> {
        if value == "bad" { Err("a bad one".into()) } else { Ok(value.as_bytes().into()) }
    }

    fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        Ok(bytes)
    }
}

#[tokio::test]
async fn a_message_that_is_refused_is_told_by_the_next_poll_and_the_sink_goes_on() {
    let (r, w) = pipe().expect("a pipe");
    let mut sink = w.with::<Picky>().sink();
    feed(&mut sink, "good").await;
    feed(&mut sink, "bad").await;
    let ready = poll_fn(|context| sink.poll_ready_unpin(context)).await;
    assert!(matches!(ready, Err(Error::Encode(_))), "{ready:?}");
    let sent = sink.send("bad").await;
    assert!(matches!(sent, Err(Error::Encode(_))), "{sent:?}");
    sink.send("good again").await.expect("the handle is as before");
    sink.close().await.expect("open");
    assert_eq!(texts(&r).await, ["good", "good again"]);
}

/// Bytes that nothing has touched, so that they take no memory.
#[cfg(target_pointer_width = "64")]
#[tokio::test]
async fn a_message_that_is_too_long_is_refused_whole() {
    let (r, w) = pipe().expect("a pipe");
    let mut sink = w.sink();
    let sent = sink.send(vec![0; 1 << 31]).await;
    assert!(matches!(sent, Err(Error::TooLarge { len: 0x8000_0000, .. })), "{sent:?}");
    sink.send(b"short".to_vec()).await.expect("room");
    assert_eq!(next(&r).await.as_deref(), Some(&b"short"[..]));
}

#[tokio::test]
async fn a_sink_says_broken_without_a_reader_and_closed_without_a_handle() {
    let (r, w) = pipe().expect("a pipe");
    let mut sink = w.sink();
    feed(&mut sink, vec![0; LONG]).await;
    fill(&mut sink).await;
    r.close().expect("idle");
    assert!(matches!(sink.flush().await, Err(Error::Broken)));
    assert!(matches!(sink.send(vec![1]).await, Err(Error::Broken)));
    sink.close().await.expect("nothing is left to write");
    assert!(matches!(sink.send(vec![1]).await, Err(Error::Closed)));
}

#[tokio::test]
async fn an_abort_ends_a_sink_that_waits() {
    let (r, w) = pipe().expect("a pipe");
    let mut sink = w.sink();
    feed(&mut sink, vec![0; LONG]).await;
    fill(&mut sink).await;
    w.abort().expect("open");
    assert!(matches!(sink.flush().await, Err(Error::Closed)));
    assert!(matches!(r.get().await, Err(Error::Truncated)));
}

#[tokio::test]
#[should_panic(expected = "poll_ready comes before start_send")]
async fn a_second_message_without_poll_ready_is_no_silent_loss() {
    let (_r, w): (Reader, Writer) = pipe().expect("a pipe");
    let mut sink = w.sink();
    sink.start_send_unpin("1").expect("a new sink is ready");
    let _ = sink.start_send_unpin("2");
}
