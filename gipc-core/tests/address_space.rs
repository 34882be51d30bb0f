//! What a limit of the address space does to messages: alone in its process, because the limit is the process's.
#![cfg(target_os = "linux")]

use gipc_core::{Error, pipe};
use nix::libc::rlim_t;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::future::poll_fn;
use std::task::Poll;

/// More than a pipe holds.
const LONG: usize = 8 << 20;

async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Where the address space is too small for what a length announces, the message is read as it comes.
#[tokio::test]
async fn a_limit_of_the_address_space_refuses_no_message_that_fits() {
    let (r, w) = pipe().expect("a pipe");
    let mut raw = vec![0xff, 0xff, 0xff, 0x7f]; // 2 GiB are announced, and a part of it comes
    raw.extend(vec![7; 200_000]);
    let long = vec![7; LONG];
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).expect("a limit");
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else {
        return; // without it, the limit that is just large enough is not known
    };
    let pages: rlim_t = statm.split(' ').next().and_then(|size| size.parse().ok()).expect("pages");
    let Some(limit) = pages.checked_mul(4096).and_then(|used| used.checked_add(64 << 20)) else {
        return; // an emulator of a 32-bit processor shows what it uses itself
    };
    setrlimit(Resource::RLIMIT_AS, limit, hard).expect("it is lower");
    let (put, got) = tokio::join!(w.put(&long), r.get());
    put.expect("it is read");
    assert!(got.expect("whole").is_some_and(|got| got == long));
    let number = w.descriptor().expect("open");
    // SAFETY: the writer is open until the end of this function.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    let mut get = Box::pin(r.get());
    let mut rest = &raw[..];
    while !rest.is_empty() {
        if let Ok(written) = nix::unistd::write(descriptor, rest) {
            rest = &rest[written..];
        }
        if let Some(got) = once(&mut get).await {
            panic!("{got:?}");
        }
        tokio::task::yield_now().await;
    }
    setrlimit(Resource::RLIMIT_AS, hard, hard).expect("as before");
    w.close().expect("idle");
    assert!(matches!(get.await, Err(Error::Truncated)));
}
