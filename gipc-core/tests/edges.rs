//! Handles at their edges: after an error, without a runtime that can serve them, and under hostile wakers and iterators.

use gipc_core::{Codec, CodecError, Error, Reader, Writer, duplex, pipe};
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// More than a pipe holds.
const LONG: usize = 1 << 20;

/// After so long what should have happened will not happen.
const HANG: Duration = Duration::from_secs(30);

fn new_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Polls once, as a task that is then cancelled would have.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Polls a put of a long message until it waits for room in the pipe.
async fn fill<F: Future>(mut put: Pin<&mut F>) {
    // The first polls may only learn that the pipe has room.
    for _ in 0..20 {
        assert!(once(put.as_mut()).await.is_none(), "the pipe holds less");
        tokio::task::yield_now().await;
    }
}

/// A put that breaks in the middle of its message, because the reader is closed then.
async fn break_a_put(r: &Reader, w: &Writer) {
    let long = vec![7; LONG];
    let mut put = pin!(w.put(&long));
    fill(put.as_mut()).await;
    r.close().expect("the reader is open and idle");
    assert!(matches!(put.await, Err(Error::Broken)));
}

#[tokio::test]
async fn a_writer_is_free_right_after_a_put_that_broke_in_the_middle() {
    let (r, w) = pipe().expect("a pipe");
    break_a_put(&r, &w).await;
    w.close().expect("nothing is left to write");
}

#[tokio::test]
async fn a_put_after_a_broken_one_says_broken_at_once() {
    let (r, w) = pipe().expect("a pipe");
    break_a_put(&r, &w).await;
    let next = once(pin!(w.put(b"a"))).await;
    assert!(matches!(next, Some(Err(Error::Broken))), "{next:?}");
}

#[test]
fn a_runtime_without_io_leaves_the_handle_usable() {
    let (r, w) = pipe().expect("a pipe");
    let bare = Builder::new_current_thread().build().expect("a runtime");
    let before = w.descriptor();
    for _ in 0..2 {
        catch_unwind(AssertUnwindSafe(|| bare.block_on(w.put(b"a")))).expect_err("no I/O there");
        catch_unwind(AssertUnwindSafe(|| bare.block_on(r.get()))).expect_err("no I/O there");
    }
    assert_eq!(w.descriptor(), before);
    new_runtime().block_on(async {
        w.put(b"b").await.expect("this runtime has I/O");
        assert_eq!(r.get().await.expect("so has this").as_deref(), Some(&b"b"[..]));
    });
}

#[tokio::test]
async fn an_iterator_is_not_asked_again_after_its_end() {
    let (r, w) = pipe().expect("a pipe");
    let mut asked = 0;
    let unfused = std::iter::from_fn(|| {
        asked += 1;
        (asked % 2 == 1 && asked < 10).then_some(&b"a"[..])
    });
    w.put_all(unfused).await.expect("room");
    w.close().expect("idle");
    assert!(r.get().await.expect("whole").is_some());
    assert_eq!(r.get().await.expect("the end"), None);
}

/// A put is dropped where there is no runtime, so that its rest stays here; a second one that would write this rest
/// first is given up too, where there is one.
#[test]
fn the_rest_of_a_message_is_finished_though_the_put_behind_it_is_given_up() {
    let runtime = new_runtime();
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = Box::pin(w.put(&long));
    runtime.block_on(fill(put.as_mut()));
    drop(put);
    runtime.block_on(async {
        assert!(once(pin!(w.put(b"given up"))).await.is_none());
        let got = r.get_within(HANG).await.expect("whole").expect("a message");
        assert_eq!(got.len(), LONG);
        w.put(b"next").await.expect("room");
        assert_eq!(r.get().await.expect("whole").as_deref(), Some(&b"next"[..]));
    });
}

/// Half a message is in the pipe, and nothing works at its other half.
#[test]
fn a_writer_with_half_a_message_is_not_closed_by_mistake() {
    let runtime = new_runtime();
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = Box::pin(w.put(&long));
    runtime.block_on(fill(put.as_mut()));
    drop(put);
    assert!(matches!(w.close(), Err(Error::Locked)));
    drop(r);
}

/// The clock stands still, so that a limit of nothing passes at the first look.
#[tokio::test(start_paused = true)]
async fn a_get_without_patience_takes_every_message_that_is_there() {
    let (r, w) = pipe().expect("a pipe");
    w.put_all(std::iter::repeat_n(&[7; 2][..], 600)).await.expect("they fit");
    for n in 0..600 {
        let got = r.get_within(Duration::ZERO).await;
        assert!(matches!(got, Ok(Some(_))), "message {n}: {got:?}");
    }
    let got = r.get_within(Duration::ZERO).await;
    assert!(matches!(got, Err(Error::Timeout)), "{got:?}");
}

#[test]
fn what_is_there_is_taken_without_a_runtime() {
    let (r, w) = pipe().expect("a pipe");
    assert!(matches!(r.try_get(), Err(Error::WouldBlock)));
    let half = vec![7; LONG];
    let runtime = new_runtime();
    runtime.block_on(async {
        w.put(b"a").await.expect("room");
        fill(pin!(w.put(&half))).await;
    });
    assert_eq!(r.try_get().expect("it is there").as_deref(), Some(&b"a"[..]));
    assert!(matches!(r.try_get(), Err(Error::WouldBlock)), "half a message is none");
    drop(w);
    drop(runtime);
    let said = std::iter::from_fn(|| Some(r.try_get()))
        .find(|said| !matches!(said, Err(Error::WouldBlock)));
    assert!(matches!(said, Some(Err(Error::Truncated))), "{said:?}");
}

#[tokio::test]
async fn what_a_get_waits_for_is_not_taken_from_it() {
    let (r, w) = pipe().expect("a pipe");
    let mut get = pin!(r.get());
    assert!(once(get.as_mut()).await.is_none());
    w.put(b"a").await.expect("room");
    assert!(matches!(r.try_get(), Err(Error::Locked)));
    assert_eq!(get.await.expect("open").as_deref(), Some(&b"a"[..]));
}

/// A waker that uses the handle it waits for when its last copy is dropped.
struct Meddling(Reader, mpsc::Sender<&'static str>);

impl Wake for Meddling {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Meddling {
    fn drop(&mut self) {
        let answer = match self.0.close() {
            Err(Error::Locked) => "locked",
            _ => "other",
        };
        let _ = self.1.send(answer);
    }
}

/// Lets a get wait for its turn with a waker that meddles; `then` makes it let go of that waker.
fn with_a_waker_that_meddles(
    then: impl FnOnce(Pin<Box<dyn Future<Output = ()> + '_>>) + Send + 'static,
) {
    let (said, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = new_runtime();
        let _entered = runtime.enter();
        let (r, _w) = pipe().expect("a pipe");
        let mut first = pin!(r.get());
        let mut idle = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut idle).is_pending());
        let mut second: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async { drop(r.get().await) });
        let waker = Waker::from(Arc::new(Meddling(r.clone(), said)));
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        then(second);
    });
    // A thread that locks a lock which it holds says nothing for ever.
    assert_eq!(hear.recv_timeout(HANG), Ok("locked"));
}

#[test]
fn a_waker_that_meddles_may_be_replaced_by_another() {
    with_a_waker_that_meddles(|mut second| {
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[test]
fn a_waker_that_meddles_may_be_dropped_with_its_place_in_the_queue() {
    with_a_waker_that_meddles(|second| drop(second));
}

#[tokio::test]
async fn a_writer_gives_up_a_reader_that_does_not_read() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let said = w.put_within(&long, Duration::from_millis(10)).await;
    assert!(matches!(said, Err(Error::StillSending)), "{said:?}");
    assert!(matches!(w.close(), Err(Error::Locked)), "the rest is being sent");
    let mut waiting = pin!(w.put(b"next"));
    assert!(once(waiting.as_mut()).await.is_none());
    w.abort().expect("open");
    assert!(matches!(waiting.await, Err(Error::Closed)));
    assert!(matches!(w.abort(), Err(Error::Closed)));
    assert!(matches!(r.get_within(HANG).await, Err(Error::Truncated)), "its descriptor is closed");
}

#[tokio::test]
async fn a_put_under_way_is_aborted_from_another_task() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = Box::pin(w.put(&long));
    fill(put.as_mut()).await;
    w.abort().expect("open");
    assert!(matches!(put.await, Err(Error::Closed)));
    assert!(matches!(r.get_within(HANG).await, Err(Error::Truncated)));
}

#[tokio::test]
async fn a_put_that_is_not_polled_any_more_holds_an_aborted_writer_until_it_is_dropped() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = Box::pin(w.put(&long));
    fill(put.as_mut()).await;
    w.abort().expect("open");
    let said = std::iter::from_fn(|| Some(r.try_get())).nth(100);
    assert!(matches!(said, Some(Err(Error::WouldBlock))), "{said:?}");
    drop(put);
    assert!(matches!(r.get_within(HANG).await, Err(Error::Truncated)));
}

/// After `Timeout` a message can be put again; after `StillSending` it cannot.
#[tokio::test]
async fn a_time_limit_says_whether_the_message_still_arrives() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let limit = Duration::from_millis(10);
    assert!(matches!(w.put_within(&long, limit).await, Err(Error::StillSending)));
    assert!(matches!(w.put_within(b"withdrawn", limit).await, Err(Error::Timeout)));
    assert_eq!(r.get().await.expect("whole").map(|got| got.len()), Some(LONG));
    w.close_when_idle().await.expect("open");
    assert_eq!(r.get().await.expect("the end"), None);
}

#[tokio::test]
async fn a_close_that_waits_comes_after_what_was_asked_before() {
    let (near, far) = duplex().expect("two pipes");
    let long = vec![7; LONG];
    let putting = near.clone();
    let mut put = Box::pin(async move { putting.put(&long).await });
    assert!(once(put.as_mut()).await.is_none());
    let mut get = Box::pin(near.get());
    assert!(once(get.as_mut()).await.is_none());
    let mut close = Box::pin(near.close_when_idle());
    assert!(once(close.as_mut()).await.is_none());
    assert!(matches!(near.close(), Err(Error::Locked)));
    let (put, got) = tokio::join!(put, far.get());
    put.expect("it was asked first");
    assert_eq!(got.expect("whole").map(|got| got.len()), Some(LONG));
    assert!(once(close.as_mut()).await.is_none(), "the get still waits");
    far.put(b"a").await.expect("room");
    assert_eq!(get.await.expect("open").as_deref(), Some(&b"a"[..]));
    close.await.expect("open");
    assert!(matches!(near.close(), Err(Error::Closed)));
    assert!(matches!(near.close_when_idle().await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_close_that_waits_and_is_dropped_closes_nothing() {
    let (r, w) = pipe().expect("a pipe");
    let mut get = pin!(r.get());
    assert!(once(get.as_mut()).await.is_none());
    assert!(once(pin!(r.close_when_idle())).await.is_none());
    w.put(b"a").await.expect("room");
    get.await.expect("open");
    r.close().expect("it is still open");
}

/// By design: turns are taken in order, and a get keeps its turn until it is polled to its end or dropped.
#[tokio::test]
async fn a_get_that_is_not_polled_keeps_its_turn_until_it_is_dropped() {
    let (r, w) = pipe().expect("a pipe");
    let mut get = Box::pin(r.get());
    assert!(once(get.as_mut()).await.is_none());
    w.put(b"a").await.expect("room");
    let limit = Duration::from_millis(10);
    assert!(matches!(r.get_within(limit).await, Err(Error::Timeout)));
    assert!(matches!(r.close(), Err(Error::Locked)));
    drop(get);
    assert_eq!(r.get().await.expect("open").as_deref(), Some(&b"a"[..]));
}

/// Bytes as they are, but for those of one message.
struct Picky;

impl Codec for Picky {
    type Put = [u8];
    type Got = Vec<u8>;

    fn encode(value: &[u8]) -> Result<Cow<'_, [u8]>, CodecError> {
        if value == b"bad" { Err("a bad one".into()) } else { Ok(value.into()) }
    }

    fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        Ok(bytes)
    }
}

#[tokio::test]
async fn all_messages_before_one_that_is_refused_are_written() {
    let (r, w) = pipe().expect("a pipe");
    let all = [&b"1"[..], b"2", b"bad", b"3"];
    let said = w.with::<Picky>().put_all(all).await;
    assert!(matches!(said, Err(Error::Encode(_))), "{said:?}");
    w.close().expect("idle");
    for expected in [Some(&b"1"[..]), Some(b"2"), None] {
        assert_eq!(r.get().await.expect("whole").as_deref(), expected);
    }
}

#[test]
fn a_chain_of_errors_says_each_thing_once() {
    let io = Error::Io(std::io::Error::other("no room"));
    let encode = Error::Encode("no bytes".into());
    for (error, detail) in [(io, "no room"), (encode, "no bytes")] {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        assert_eq!(text.matches(detail).count(), 1, "{text}");
    }
}

/// The pipe has room for all of them, so that no put ever waits for it.
#[test]
fn puts_that_never_wait_let_other_tasks_run() {
    new_runtime().block_on(async {
        let (_r, w) = pipe().expect("a pipe");
        let puts = tokio::spawn(async move {
            for _ in 0..1000 {
                w.put(b"a").await.expect("room");
            }
        });
        tokio::task::yield_now().await;
        assert!(!puts.is_finished(), "no other task ran");
    });
}
