//! What the handles of one process answer, by state and under cancellation: no child is needed for it.

use gipc_core::{Duplex, Error, Reader, Writer, duplex, pipe};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rstest::rstest;
use std::future::{Future, poll_fn};
use std::os::fd::BorrowedFd;
use std::pin::{Pin, pin};
use std::task::Poll;

/// Polls once, as a task that is then cancelled would have.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Whether a part of a message is in the pipe.
fn has_bytes(r: &Reader) -> bool {
    let descriptor = r.descriptor().expect("open");
    // SAFETY: the reader is borrowed, so the descriptor stays open meanwhile.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::ZERO).expect("a pipe") > 0
}

fn word<T>(answer: Result<T, Error>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(Error::Closed) => "closed",
        Err(Error::Locked) => "locked",
        Err(Error::Broken) => "broken",
        Err(Error::Truncated) => "truncated",
        Err(_) => "other",
    }
}

async fn do_verb(verb: &str, r: &Reader, w: &Writer) -> &'static str {
    match verb {
        "put" => word(w.put(b"a").await),
        "get" => word(r.get().await),
        "close the reader" => word(r.close()),
        _ => word(w.close()),
    }
}

#[rstest]
#[case("put", "open", "ok")]
#[case("put", "closed", "closed")]
#[case("put", "other end closed", "broken")]
#[case("get", "closed", "closed")]
#[case("get", "other end closed", "ok")]
#[case("close the reader", "open", "ok")]
#[case("close the reader", "busy", "locked")]
#[case("close the reader", "closed", "closed")]
#[case("close the reader", "other end closed", "ok")]
#[case("close the writer", "open", "ok")]
#[case("close the writer", "busy", "locked")]
#[case("close the writer", "closed", "closed")]
#[case("close the writer", "other end closed", "ok")]
#[tokio::test]
async fn each_verb_answers_by_the_state_of_its_handle(
    #[case] verb: &str,
    #[case] state: &str,
    #[case] expected: &str,
) {
    let (r, w) = pipe().expect("a pipe");
    let at_reader = verb == "get" || verb == "close the reader";
    let long = vec![0; 1 << 20];
    let (mut get, mut put) = (pin!(r.get()), pin!(w.put(&long)));
    match state {
        "closed" if at_reader => r.close().expect("open"),
        "closed" => w.close().expect("open"),
        "other end closed" if at_reader => w.close().expect("open"),
        "other end closed" => r.close().expect("open"),
        "busy" if at_reader => assert!(once(get.as_mut()).await.is_none()),
        "busy" => assert!(once(put.as_mut()).await.is_none()),
        _ => {}
    }
    assert_eq!(do_verb(verb, &r, &w).await, expected, "{verb} {state}");
}

#[tokio::test]
async fn a_cancelled_get_takes_nothing_with_it() {
    let (r, w) = pipe().expect("a pipe");
    for round in 0..100_u8 {
        assert!(once(pin!(r.get())).await.is_none());
        w.put(&[round]).await.expect("room");
        assert_eq!(r.get().await.expect("open"), Some(vec![round]));
    }
}

#[tokio::test]
async fn a_put_cancelled_in_the_middle_is_finished_before_the_next() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; 1 << 20];
    {
        let mut put = pin!(w.put(&long));
        // The first polls may only learn that the pipe has room.
        while !has_bytes(&r) {
            assert!(once(put.as_mut()).await.is_none());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(word(w.close()), "locked", "the rest is still being written");
    let (next, got) = tokio::join!(w.put(b"next"), async {
        (r.get().await.expect("whole"), r.get().await.expect("whole"))
    });
    next.expect("in its turn");
    assert_eq!(got.0.map(|m| m.len()), Some(1 << 20));
    assert_eq!(got.1.as_deref(), Some(&b"next"[..]));
}

#[tokio::test]
async fn a_put_cancelled_before_its_turn_is_withdrawn() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; 1 << 20];
    let mut first = pin!(w.put(&long));
    assert!(once(first.as_mut()).await.is_none());
    assert!(once(pin!(w.put(b"withdrawn"))).await.is_none());
    let (sent, got) = tokio::join!(first, r.get());
    sent.expect("a reader");
    assert_eq!(got.expect("whole").map(|m| m.len()), Some(1 << 20));
    w.close().expect("nobody uses it");
    assert_eq!(r.get().await.expect("whole"), None);
}

#[tokio::test]
async fn messages_of_many_tasks_do_not_mix() {
    let (r, w) = pipe().expect("a pipe");
    let tasks: Vec<_> = (0..10_u8)
        .map(|i| {
            let w = w.clone();
            tokio::spawn(async move { w.put(&vec![i; 100_000]).await })
        })
        .collect();
    for _ in 0..10 {
        let message = r.get().await.expect("whole").expect("ten of them");
        assert!(message.len() == 100_000 && message.iter().all(|b| *b == message[0]));
    }
    for task in tasks {
        task.await.expect("no panic").expect("room");
    }
}

#[tokio::test]
async fn each_message_goes_to_one_reader_in_the_order_of_the_gets() {
    let (r, w) = pipe().expect("a pipe");
    let (mut first, mut second) = (pin!(r.get()), pin!(r.get()));
    assert!(once(first.as_mut()).await.is_none());
    assert!(once(second.as_mut()).await.is_none());
    w.put(b"1").await.expect("room");
    w.put(b"2").await.expect("room");
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.expect("open").as_deref(), Some(&b"1"[..]));
    assert_eq!(second.expect("open").as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn dropping_the_last_clone_closes() {
    let (r, w) = pipe().expect("a pipe");
    let twin = w.clone();
    drop(w);
    assert!(once(pin!(r.get())).await.is_none());
    drop(twin);
    assert_eq!(r.get().await.expect("clean"), None);
}

fn halves(both: &Duplex, closed: &str) {
    match closed {
        "reader" => both.reader().close().expect("open"),
        "writer" => both.writer().close().expect("open"),
        "both" => both.close().expect("open"),
        _ => {}
    }
}

#[rstest]
#[case("none", "ok")]
#[case("reader", "ok")]
#[case("writer", "ok")]
#[case("both", "closed")]
#[tokio::test]
async fn a_duplex_closes_what_is_still_open(#[case] closed: &str, #[case] expected: &str) {
    let (near, far) = duplex().expect("two pipes");
    halves(&near, closed);
    assert_eq!(word(near.close()), expected);
    assert_eq!(far.get().await.expect("clean"), None);
}

#[tokio::test]
async fn a_duplex_in_use_keeps_both_halves() {
    let (near, far) = duplex().expect("two pipes");
    let mut get = pin!(near.get());
    assert!(once(get.as_mut()).await.is_none());
    assert_eq!(word(near.close()), "locked");
    near.put(b"still open").await.expect("both halves are");
    assert!(far.get().await.expect("whole").is_some());
}

#[test]
fn without_a_runtime_it_says_so() {
    let (r, w) = pipe().expect("a pipe needs none");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let said = pin!(w.put(b"a")).poll(&mut context);
    assert!(matches!(said, Poll::Ready(Err(Error::NoRuntime))), "{said:?}");
    new_runtime().block_on(async {
        w.put(b"b").await.expect("nothing has happened before");
        assert_eq!(r.get().await.expect("open").as_deref(), Some(&b"b"[..]));
    });
}

fn new_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn a_handle_belongs_to_the_runtime_it_first_waits_on() {
    let first = new_runtime();
    let (r, w) = first.block_on(async { pipe() }).expect("a pipe");
    drop(first);
    let second = new_runtime();
    second.block_on(async {
        w.put(b"a").await.expect("it waited nowhere before");
        assert_eq!(r.get().await.expect("nor did this").as_deref(), Some(&b"a"[..]));
    });
    drop(second);
    let said = new_runtime().block_on(r.get());
    assert!(matches!(said, Err(Error::NoRuntime)), "{said:?}");
}

#[test]
fn a_put_dropped_where_no_runtime_is_spoils_nothing() {
    let runtime = new_runtime();
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; 1 << 20];
    let mut put = Box::pin(w.put(&long));
    runtime.block_on(async {
        while !has_bytes(&r) {
            assert!(once(put.as_mut()).await.is_none());
            tokio::task::yield_now().await;
        }
    });
    drop(put);
    runtime.block_on(async {
        let (next, got) = tokio::join!(w.put(b"next"), async {
            (r.get().await.expect("whole"), r.get().await.expect("whole"))
        });
        next.expect("behind the rest");
        assert_eq!(got.0.map(|message| message.len()), Some(1 << 20));
        assert_eq!(got.1.as_deref(), Some(&b"next"[..]));
    });
}

#[test]
fn a_put_whose_runtime_ends_before_it_is_finished_spoils_nothing() {
    let first = new_runtime();
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; 1 << 20];
    first.block_on(async {
        let mut put = pin!(w.put(&long));
        while !has_bytes(&r) {
            assert!(once(put.as_mut()).await.is_none());
            tokio::task::yield_now().await;
        }
    });
    drop(first); // and with it the task that was to finish
    let said = new_runtime().block_on(async { word(w.put(b"next").await) });
    assert_eq!(
        said, "other",
        "this end is of the runtime that is gone, and puts nothing behind half a message"
    );
}

#[tokio::test]
async fn a_limit_of_ones_own_is_kept() {
    let (r, w) = pipe().expect("a pipe");
    r.limit(3).expect("free");
    w.put(b"abc").await.expect("room");
    w.put(b"abcd").await.expect("room");
    assert_eq!(r.get().await.expect("short enough").as_deref(), Some(&b"abc"[..]));
    for limit in [3, 3, 5] {
        r.limit(limit).expect("free");
        let said = r.get().await;
        assert!(matches!(said, Err(Error::TooLarge { len: 4, max: 3 })), "{said:?}");
    }
}

/// Also where it is too long to be read ahead.
#[tokio::test]
async fn a_message_may_be_as_long_as_the_limit() {
    let (r, w) = pipe().expect("a pipe");
    r.limit(100_000).expect("free");
    let (put, got) = tokio::join!(w.put(vec![7; 100_000]), r.get());
    put.expect("it is read");
    assert_eq!(got.expect("short enough").map(|got| got.len()), Some(100_000));
}

#[tokio::test]
async fn short_messages_and_long_ones_go_together() {
    let (r, w) = pipe().expect("a pipe");
    let lengths = [5, 100_000, 0, 70_000, 65_536, 1, 2];
    let messages: Vec<Vec<u8>> =
        lengths.iter().zip(1_u8..).map(|(length, n)| vec![n; *length]).collect();
    let all = messages.iter().map(Vec::as_slice);
    let (put, got) = tokio::join!(async { w.put_all(all).await.and_then(|()| w.close()) }, async {
        let mut got = Vec::new();
        while let Some(message) = r.get().await.expect("whole") {
            got.push(message);
        }
        got
    });
    put.expect("it is read");
    assert!(got == messages);
}

/// Eight tasks on two threads put, eight get, and all of them give up now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_threads_no_message_is_lost_or_spoiled() {
    const EACH: u32 = 300;
    let (r, w) = pipe().expect("a pipe");
    let putting: Vec<_> = (0..8_u32)
        .map(|task| {
            let w = w.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let message = [task.to_le_bytes(), n.to_le_bytes()]
                        .concat()
                        .repeat(1 + (n as usize % 7) * 900);
                    // A put that is given up is withdrawn, or finished.
                    if n % 5 == 0 {
                        drop(once(pin!(w.put(&message))).await);
                    } else {
                        w.put(&message).await.expect("it is read");
                    }
                }
            })
        })
        .collect();
    let getting: Vec<_> = (0..8)
        .map(|_| {
            let r = r.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let looked = once(pin!(r.get())).await;
                    let got = match looked {
                        Some(got) => got,
                        None => r.get().await,
                    };
                    let Some(message) = got.expect("whole") else { return seen };
                    assert!(message.chunks(8).all(|part| part == &message[..8]), "two mixed");
                    seen.push(message[..8].to_vec());
                }
            })
        })
        .collect();
    for task in putting {
        task.await.expect("no panic");
    }
    while word(w.close()) == "locked" {
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    for task in getting {
        all.append(&mut task.await.expect("no panic"));
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "none came twice");
    let must: usize = (0..EACH).filter(|n| n % 5 != 0).count() * 8;
    assert!(count >= must, "{count} of at least {must}");
}

/// Six hundred messages are there, so no get has to wait: 3,600 bytes, which the smallest pipe holds.
#[tokio::test]
async fn a_task_that_never_waits_lets_others_run() {
    let (r, w) = pipe().expect("a pipe");
    w.put_all(std::iter::repeat_n(&[7; 2][..], 600)).await.expect("they fit");
    let turns = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = std::rc::Rc::clone(&turns);
    let neighbour = async move {
        loop {
            counted.set(counted.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let busy = async {
        for _ in 0..600 {
            r.get().await.expect("it is there");
        }
    };
    tokio::select! {
        biased;
        () = busy => {}
        () = neighbour => {}
    }
    assert!(turns.get() >= 2, "the neighbour had {} turns", turns.get());
}
