//! How much memory the handles take, counted by the allocator of this test.

use gipc_core::{Error, Postcard, pipe, pipe_of};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// More than a pipe holds.
const LONG: usize = 8 << 20;

thread_local! {
    /// Bytes that this thread has asked for since the test began, growth of what it had included.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: usize) {
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + bytes));
}

// SAFETY: all work is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes this thread asks for during `act`.
fn asked_during<R>(act: impl FnOnce() -> R) -> (usize, R) {
    let before = ASKED.get();
    let result = act();
    (ASKED.get() - before, result)
}

async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn fill<F: Future>(mut put: Pin<&mut F>) {
    for _ in 0..20 {
        assert!(once(put.as_mut()).await.is_none(), "the pipe holds less");
        tokio::task::yield_now().await;
    }
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let clock = nix::time::ClockId::from_raw(nix::libc::CLOCK_THREAD_CPUTIME_ID);
    nix::time::clock_gettime(clock).expect("a clock of this thread").into()
}

/// The step with which [`cpu_time`] advances: 10 ms with gVisor.
fn clock_step() -> Duration {
    let began = cpu_time();
    loop {
        let passed = cpu_time() - began;
        if passed > Duration::ZERO {
            return passed;
        }
    }
}

/// Byte by byte, without optimization, it took thirty times as long.
#[tokio::test]
async fn to_give_up_a_put_takes_about_as_long_as_to_copy_its_message() {
    let (_r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = Box::pin(w.put(&long));
    fill(put.as_mut()).await;
    let began = cpu_time();
    let (asked, ()) = asked_during(|| drop(put));
    let given_up = cpu_time();
    let copy = std::hint::black_box(long.clone());
    let copied = cpu_time();
    assert!(asked < LONG + LONG / 8, "{asked} bytes for a rest of less than {}", copy.len());
    let (given_up, copied) = (given_up - began, copied - given_up);
    assert!(
        given_up < copied * 10 + clock_step() * 2,
        "{given_up:?} to give up, {copied:?} to copy"
    );
}

#[tokio::test]
async fn a_put_that_breaks_copies_nothing() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = pin!(w.put(&long));
    fill(put.as_mut()).await;
    r.close().expect("idle");
    let before = ASKED.get();
    assert!(matches!(put.await, Err(Error::Broken)));
    let asked = ASKED.get() - before;
    assert!(asked < LONG / 8, "{asked} bytes for what nothing can read");
}

#[tokio::test]
async fn a_buffer_that_is_used_again_needs_no_new_memory() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut buffer = Vec::new();
    for round in 0..3 {
        let before = ASKED.get();
        let (put, got) = tokio::join!(w.put(&long), r.get_into(&mut buffer));
        put.expect("it is read");
        assert_eq!(got.expect("whole"), Some(LONG));
        assert!(buffer == long);
        let asked = ASKED.get() - before;
        assert!(round == 0 || asked < LONG / 8, "{asked} bytes in round {round}");
    }
    w.put(b"short").await.expect("room");
    assert_eq!(r.get_into(&mut buffer).await.expect("whole"), Some(5));
    assert_eq!(buffer, b"short");
    w.close().expect("idle");
    assert_eq!(r.get_into(&mut buffer).await.expect("the end"), None);
    assert!(buffer.is_empty());
}

#[tokio::test]
async fn a_get_into_that_is_given_up_loses_nothing() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = pin!(w.put(&long));
    fill(put.as_mut()).await;
    let mut buffer = vec![1; 10];
    assert!(once(pin!(r.get_into(&mut buffer))).await.is_none());
    assert!(buffer.is_empty());
    let (put, got) = tokio::join!(put, r.get());
    put.expect("it is read");
    assert!(got.expect("whole").is_some_and(|got| got == long));
}

#[tokio::test]
async fn a_large_message_is_not_copied_before_it_is_written() {
    let (_r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let mut put = pin!(w.put(&long));
    let before = ASKED.get();
    fill(put.as_mut()).await;
    let asked = ASKED.get() - before;
    assert!(asked < LONG / 8, "{asked} bytes to write a message of {LONG}");
}

#[tokio::test]
async fn short_messages_are_put_without_new_memory() {
    let (_r, w) = pipe().expect("a pipe");
    // With the first the handle begins to work for this runtime. All four fit into the smallest pipe.
    w.put([7; 1000]).await.expect("it fits");
    let before = ASKED.get();
    for _ in 0..3 {
        w.put([7; 1000]).await.expect("they fit");
    }
    let asked = ASKED.get() - before;
    assert!(asked < 1000, "{asked} bytes for 3 messages of 1000");
}

/// The buffer for what is read ahead is made once, also where a message does not end with it.
#[tokio::test]
async fn to_read_ahead_needs_no_new_memory() {
    const MESSAGES: usize = 2000;
    let (r, w) = pipe().expect("a pipe");
    let before = ASKED.get();
    let putting = tokio::task::spawn_blocking(move || {
        let mut sink = std::fs::File::from(w.take_descriptor().expect("idle"));
        let frame = [&1000_u32.to_le_bytes()[..], &[7; 1000]].concat();
        std::io::Write::write_all(&mut sink, &frame.repeat(MESSAGES))
    });
    for _ in 0..MESSAGES {
        assert_eq!(r.get().await.expect("whole").map(|got| got.len()), Some(1000));
    }
    putting.await.expect("no panic").expect("it is read");
    let asked = ASKED.get() - before;
    assert!(asked < MESSAGES * 1000 + (1 << 19), "{asked} bytes for {MESSAGES} messages");
}

/// A map says beforehand how many entries it has, also through the limits of a decoder.
#[tokio::test]
async fn memory_for_a_map_is_taken_once() {
    let (r, w) = pipe_of::<Postcard<HashMap<u32, u32>>>().expect("a pipe");
    let map: HashMap<u32, u32> = (0..10_000).map(|n| (n, 0)).collect();
    w.put(&map).await.expect("30 KB fit");
    let before = ASKED.get();
    assert_eq!(r.get().await.expect("a value"), Some(map));
    let asked = ASKED.get() - before;
    // 64 KiB to read ahead, 30 KB for the message and 147 KB for the map.
    assert!(asked < 300_000, "{asked} bytes");
}

/// What the system has noted about the memory at this address.
#[cfg(target_os = "linux")]
fn memory_flags(address: usize) -> Option<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let begins_before = |line: &&str| {
        let range = line.split(' ').next().and_then(|word| word.split_once('-'));
        let number = |word| usize::from_str_radix(word, 16).ok();
        range.is_some_and(|(begin, end)| {
            number(begin) <= Some(address) && number(end) > Some(address)
        })
    };
    let mut lines = smaps.lines().skip_while(|line| !begins_before(line));
    lines.find_map(|line| line.strip_prefix("VmFlags:")).map(str::to_owned)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn huge_pages_are_asked_for_where_a_large_message_comes() {
    if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        return;
    }
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let (put, got) = tokio::join!(w.put(&long), r.get());
    put.expect("it is read");
    let got = got.expect("whole").expect("a message");
    let Some(flags) = memory_flags(got.as_ptr() as usize + (5 << 20)) else { return };
    assert!(flags.contains(" hg"), "{flags}");
}

/// The memory of a large message is reserved once, not again and again as it grows.
#[tokio::test]
async fn a_large_message_is_not_copied_as_it_grows() {
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; LONG];
    let before = ASKED.get();
    let (put, got) = tokio::join!(w.put(&long), r.get());
    put.expect("it is read");
    assert!(got.expect("whole").is_some_and(|got| got == long));
    let asked = ASKED.get() - before;
    assert!(asked < LONG + LONG / 8, "{asked} bytes for a message of {LONG}");
}
