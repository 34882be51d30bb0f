//! How a child begins, and how its own end is told from a failure to begin.

use crate::entries::{
    count_handles, drops_a_handle, ends_as_parent, fails, fails_by_io, ignores_its_children,
    panics_beside_a_thread, says_too_much, starts_slow_children, surroundings_with, text_of,
    unspeakable, writes_early,
};
use crate::{Failure, skipped};
use gipc_core::{Command, Error, Exit, pipe};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Output, Stdio};
use std::time::Duration;

pub(crate) async fn panics_at_once() -> Result<(), Failure> {
    let child = Command::new(panics_beside_a_thread())?.stderr(Stdio::null()).spawn(&())?;
    let exit = child.join_within(Duration::from_secs(30)).await;
    child.kill()?;
    assert_eq!(exit?, Exit::Panicked("on purpose".into()));
    Ok(())
}

pub(crate) async fn lost_result() -> Result<(), Failure> {
    let child = Command::new(unspeakable())?.stderr(Stdio::null()).spawn(&())?;
    let exit = child.join().await?;
    assert!(matches!(&exit, Exit::ResultLost(why) if why.contains("Serialization")), "{exit:?}");
    Ok(())
}

pub(crate) async fn opened_early() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(writes_early())?.env("CHILD_OPENS_EARLY", "1").handles(w).spawn(&())?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"hello"[..]));
    assert_eq!(r.get().await?, None, "nothing else went into the pipe");
    assert_eq!(child.join().await?, Exit::Returned(b"a line".to_vec()));
    Ok(())
}

pub(crate) async fn spawned_again() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (input, line) = nix::unistd::pipe()?;
    nix::unistd::write(&line, b"from stdin")?;
    drop(line);
    let command = Command::new(surroundings_with())?.handles(w).stdin(input).stdout(Stdio::null());
    let mut command = command.stderr(Stdio::null()).current_dir("/nowhere");
    assert!(matches!(command.spawn(&()), Err(Error::Io(_))));
    assert!(matches!(r.try_get(), Err(Error::WouldBlock)), "its writer is still open");
    let mut command = command.current_dir("/");
    let child = command.spawn(&())?;
    let Exit::Returned((read, ..)) = child.join().await? else { return Err("it returns".into()) };
    assert_eq!(read, "from stdin");
    assert_eq!(r.get().await?, None, "its writer was the child's");
    assert!(matches!(command.spawn(&()), Err(Error::Closed)), "the handle is given away");
    Ok(())
}

/// Whether a child can be another user. In a user namespace that maps its own user alone it cannot.
pub(crate) fn has_another_user() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    !root || std::process::Command::new("true").uid(65534).status().is_ok()
}

pub(crate) async fn many_handles_under_way() -> Result<(), Failure> {
    if !has_another_user() {
        skipped("there is no user but root, who may have any number under way");
        return Ok(());
    }
    let child = Command::new(starts_slow_children())?.spawn(&())?;
    assert_eq!(child.join().await?, Exit::Returned("5 had all".into()));
    Ok(())
}

pub(crate) async fn reaped_by_the_system() -> Result<(), Failure> {
    let child = Command::new(ignores_its_children())?.spawn(&())?;
    assert_eq!(child.join().await?, Exit::Returned("Ok(Returned(7))".into()));
    Ok(())
}

pub(crate) async fn too_much_said() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(says_too_much())?.handles(w).result_limit(1 << 20).spawn(&())?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"stopped"[..]));
    let exit = child.join().await?;
    assert!(matches!(&exit, Exit::ResultLost(why) if why.contains("result_limit")), "{exit:?}");
    Ok(())
}

pub(crate) async fn too_long_a_result() -> Result<(), Failure> {
    for (limit, fits) in [(3, false), (4, true), (5, true)] {
        let exit = Command::new(text_of())?.result_limit(limit).spawn(&3)?.join().await?;
        match exit {
            Exit::Returned(text) => assert!(fits && text == "xxx", "{limit}: {text}"),
            Exit::ResultLost(_) => assert!(!fits, "{limit}"),
            other => panic!("{limit}: {other:?}"),
        }
    }
    Ok(())
}

/// Its runtime kills the children when it is dropped; a process that ends without that leaves them.
pub(crate) async fn fates() -> Result<(), Failure> {
    for (way, goes_on) in [("return", false), ("panic", false), ("exit", true), ("killed", true)] {
        let (stay, go) = pipe()?;
        let (r, w) = pipe()?;
        let command = Command::new(ends_as_parent())?.handles((stay, w)).stderr(Stdio::null());
        let child = { command }.spawn(&way.to_owned())?;
        child.join().await?;
        let _ = go.put(b"go on").await; // broken, if it is killed
        assert_eq!(r.get().await?.is_some(), goes_on, "{way}");
    }
    Ok(())
}

pub(crate) async fn failures() -> Result<(), Failure> {
    let cases =
        [("7", Ok(70), ""), ("no number", Err("invalid digit"), "invalid digit found in string")];
    for (args, expected, printed) in cases {
        let child = Command::new(fails())?.stderr(Stdio::piped()).spawn(&args.to_owned())?;
        let mut errors = String::new();
        let mut stderr = child.take_stderr().ok_or("it is piped")?;
        tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut errors).await?;
        assert!(errors.contains(printed), "{args}: {errors}");
        match (child.join().await?.returned(), expected) {
            (Ok(number), Ok(expected)) => assert_eq!(number, expected),
            (Err(error), Err(why)) => {
                assert!(
                    error.to_string().starts_with(&format!("the child failed: {why}")),
                    "{error}"
                );
            }
            (got, _) => panic!("{args}: {got:?}"),
        }
    }
    let child = Command::new(fails_by_io())?.stderr(Stdio::null()).spawn(&())?;
    assert_eq!(child.join().await?, Exit::Failed("on purpose".into()));
    Ok(())
}

pub(crate) async fn dropped_in_the_child() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (stay, go) = pipe()?;
    let child = Command::new(drops_a_handle())?.handles((w, stay)).spawn(&())?;
    assert_eq!(r.get().await?, None);
    assert_eq!(child.try_join()?, None, "it still runs");
    go.close()?;
    child.join().await?.returned()?;
    Ok(())
}

/// A parent that dies before the child has all of what it was given.
pub(crate) async fn torn() -> Result<(), Failure> {
    for handed_over in
        [&[][..], &[0; 2], &[0; 4], &[0; 8], &[0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1]]
    {
        let (mut ours, theirs) = UnixStream::pair()?;
        ours.write_all(handed_over)?;
        ours.shutdown(std::net::Shutdown::Write)?;
        let output = started_by_hand(NOTHING, theirs)?;
        assert_eq!(output.status.code(), Some(127), "{handed_over:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("its parent went away"), "{handed_over:?}: {errors}");
    }
    Ok(())
}

/// How an entry ends is also its exit code, for a parent that knows nothing of this crate.
pub(crate) async fn exit_codes() -> Result<(), Failure> {
    let text = &[1, b'x', 0][..]; // the arguments, and no lengths of lists
    let cases = [
        (NOTHING, &[7, 0][..], 0),
        ("fails(gipc_core::entry::Start<alloc::string::String>) -> u32", text, 1),
        ("unspeakable(gipc_core::entry::Start) -> std::path::PathBuf", &[0], 70),
        ("panics(gipc_core::entry::Start<alloc::string::String>) -> ()", text, 101),
        ("missing(gipc_core::entry::Start) -> ()", &[0], 127),
    ];
    for (signature, args, code) in cases {
        let (mut ours, theirs) = UnixStream::pair()?;
        let len = args.len() as u64;
        let parts = [&[0; 4][..], &(len + 8).to_le_bytes(), &len.to_le_bytes(), args];
        ours.write_all(&parts.concat())?;
        let output = started_by_hand(signature, theirs)?;
        assert_eq!(output.status.code(), Some(code), "{signature}: {output:?}");
    }
    Ok(())
}

/// Starts an entry as its parent does, with this socket to its parent.
fn started_by_hand(signature: &str, socket: UnixStream) -> Result<Output, Failure> {
    let signature =
        format!("children::entries::{signature}, gipc-core {}", env!("CARGO_PKG_VERSION"));
    let mut command = std::process::Command::new(std::env::current_exe()?);
    Ok(command.env(ENTRY_VARIABLE, signature).stdin(OwnedFd::from(socket)).output()?)
}

pub(crate) async fn more_than_one_message_of_descriptors() -> Result<(), Failure> {
    let writers = (0..250).map(|_| Ok(pipe()?.1)).collect::<Result<Vec<_>, Failure>>()?;
    let child = Command::new(count_handles())?.handles(writers).spawn(&())?;
    assert_eq!(child.join().await?, Exit::Returned(250));
    Ok(())
}

/// Where a child of this version of the crate finds what it begins with.
pub(crate) const ENTRY_VARIABLE: &str = concat!("GIPC_CORE_ENTRY_", env!("CARGO_PKG_VERSION"));

/// The entry `nothing`, as a child is told of it.
pub(crate) const NOTHING: &str = "nothing(gipc_core::entry::Start<u32>) -> u32";
