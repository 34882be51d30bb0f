//! Handles at their edges: after an error, without a runtime that can serve them, and under hostile wakers and iterators.

use gipc_core::{Error, Reader, Writer, pipe};
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
    w.put_all(std::iter::repeat_n(&[7; 16][..], 600)).await.expect("they fit");
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
