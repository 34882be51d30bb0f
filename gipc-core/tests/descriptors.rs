//! Ends of pipes that other code has made, and ends that are given back as descriptors.

#[cfg(target_os = "linux")]
use gipc_core::pipe;
use gipc_core::{Error, Reader, Writer, duplex};
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

#[tokio::test]
async fn a_message_is_its_length_in_four_bytes_and_then_its_bytes() {
    let (r, w) = nix::unistd::pipe().expect("a pipe");
    let (r, w) = (Reader::from(r), Writer::from(w));
    w.put("text").await.expect("room");
    w.put(vec![1]).await.expect("room");
    w.put([2, 3]).await.expect("room");
    w.put(&b"slice"[..]).await.expect("room");
    assert_eq!(r.get().await.expect("whole").as_deref(), Some(&b"text"[..]));
    let (descriptor, ahead) = r.take_descriptor().expect("it is idle");
    assert_eq!(ahead, b"\x01\0\0\0\x01\x02\0\0\0\x02\x03\x05\0\0\0slice", "what was read ahead");
    let mut descriptor = File::from(descriptor);
    let mut sink = File::from(w.take_descriptor().expect("it is idle"));
    sink.write_all(b"any bytes").expect("room");
    drop(sink);
    let mut rest = String::new();
    descriptor.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "any bytes");
    assert!(matches!(r.get().await, Err(Error::Closed)));
    assert!(matches!(w.put("a").await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_descriptor_that_cannot_be_waited_for_is_an_error_of_the_system() {
    let file = File::open("/dev/null").map(std::os::fd::OwnedFd::from).expect("it is there");
    assert!(matches!(Reader::from(file).get().await, Err(Error::Io(_))));
    let file = File::options().write(true).open("/dev/null").expect("it is there");
    let said = Writer::from(std::os::fd::OwnedFd::from(file)).put("a").await;
    assert!(matches!(said, Err(Error::Io(_))), "{said:?}");
}

#[tokio::test]
async fn a_descriptor_that_does_not_block_already_stays_so() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (r, w) = nix::unistd::pipe().expect("a pipe");
    fcntl(&w, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
    let (r, w) = (Reader::from(r), Writer::from(w));
    w.put("text").await.expect("room");
    r.get().await.expect("whole");
    let (r, w) = (r.take_descriptor().expect("idle").0, w.take_descriptor().expect("idle"));
    for end in [r, w] {
        let flags = OFlag::from_bits_retain(fcntl(&end, FcntlArg::F_GETFL).expect("a pipe"));
        assert!(flags.contains(OFlag::O_NONBLOCK), "{flags:?}");
    }
}

#[tokio::test]
async fn a_duplex_has_the_time_limits_of_its_halves() {
    let (near, far) = duplex().expect("two pipes");
    let soon = Duration::from_millis(5);
    assert!(matches!(near.get_within(soon).await, Err(Error::Timeout)));
    far.put_within("in time", Duration::from_secs(60)).await.expect("room");
    assert_eq!(near.get_within(soon).await.expect("it is there").as_deref(), Some(&b"in time"[..]));
    let long = vec![0; 1 << 20];
    assert!(matches!(far.put_within(&long, soon).await, Err(Error::StillSending)));
}

/// How many bytes the pipe of this writer holds.
#[cfg(target_os = "linux")]
fn capacity(w: &Writer) -> i32 {
    let descriptor = w.descriptor().expect("open");
    // SAFETY: the writer is borrowed, so the descriptor stays open meanwhile.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    nix::fcntl::fcntl(descriptor, nix::fcntl::FcntlArg::F_GETPIPE_SZ).expect("a pipe")
}

#[cfg(target_os = "linux")]
async fn transfer(r: &Reader, w: &Writer, len: usize) {
    let (put, got) = tokio::join!(w.put(vec![1; len]), r.get());
    put.expect("it is read");
    assert_eq!(got.expect("whole").map(|got| got.len()), Some(len));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_pipe_grows_with_its_first_large_message_unless_its_size_was_chosen() {
    let (r, w) = pipe().expect("a pipe");
    if capacity(&w) != 1 << 16 {
        return; // the user has so many pipes that a new one gets less
    }
    transfer(&r, &w, (1 << 20) - 1).await;
    assert_eq!(capacity(&w), 1 << 16);
    transfer(&r, &w, 1 << 20).await;
    let grown = capacity(&w);
    let other = nix::unistd::pipe().expect("a pipe");
    // Linux does not enlarge a pipe for an unprivileged user whose pipes already use many pages.
    let is_granted =
        nix::fcntl::fcntl(&other.1, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 18)).is_ok();
    drop(other);
    assert_eq!(grown, if is_granted { 1 << 18 } else { 1 << 16 });

    let (r, w) = nix::unistd::pipe().expect("a pipe");
    nix::fcntl::fcntl(&w, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 13)).expect("less is allowed");
    let (r, w) = (Reader::from(r), Writer::from(w));
    transfer(&r, &w, 1 << 20).await;
    assert_eq!(capacity(&w), 1 << 13, "its size was chosen");

    let many: Vec<_> = (0..20).map(|_| pipe().expect("a pipe")).collect();
    for (r, w) in &many {
        transfer(r, w, 1 << 20).await;
    }
    let large = many.iter().filter(|(_, w)| capacity(w) > 1 << 16).count();
    assert!(large <= 16, "{large} pipes have taken memory from the other pipes of the user");
    if grown > 1 << 16 {
        drop(many);
        let (r, w) = pipe().expect("a pipe");
        transfer(&r, &w, 1 << 20).await;
        assert_eq!(capacity(&w), 1 << 18, "those that are closed do not count");
    }
}
