//! How a child begins, and how its own end is told from a failure to begin.

use crate::Failure;
use crate::entries::{panics_beside_a_thread, shown_name, unspeakable, writes_early};
use gipc_core::{Command, Exit, pipe};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
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
    let child = Command::new(writes_early())?.env("CHILD_OPENS_EARLY", "1").handle(w).spawn(&())?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"hello"[..]));
    assert_eq!(r.get().await?, None, "nothing else went into the pipe");
    assert_eq!(child.join().await?, Exit::Returned(b"a line".to_vec()));
    Ok(())
}

pub(crate) async fn named_as_its_program() -> Result<(), Failure> {
    let Exit::Returned(name) = Command::new(shown_name())?.spawn(&())?.join().await? else {
        return Err("it returns".into());
    };
    if !name.is_empty() {
        let own = std::env::args_os().next().ok_or("it has a name")?;
        let own = std::path::Path::new(&own).file_name().ok_or("a file")?.to_string_lossy();
        // Linux keeps 15 bytes of it.
        assert_eq!(name.trim_end(), &own[..own.len().min(15)]);
    }
    Ok(())
}

/// A copy of this program that runs as root whoever starts it, started by a user who gives it the environment and the
/// socket of a child.
pub(crate) async fn privileged() -> Result<(), Failure> {
    if !nix::unistd::Uid::effective().is_root() {
        return Ok(()); // only root can make such a program
    }
    let copy = std::env::temp_dir().join(format!("gipc-core-privileged-{}", std::process::id()));
    fs::copy(std::env::current_exe()?, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755))?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let version = env!("CARGO_PKG_VERSION");
    let child = std::process::Command::new(&copy)
        .env(
            "GIPC_CORE_ENTRY",
            format!("children::entries::nothing(u32) -> u32, gipc-core {version}"),
        )
        .uid(65534)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // No descriptors, then one byte of arguments: the number 7.
    ours.write_all(&[&[0; 4][..], &9_u64.to_le_bytes(), &1_u64.to_le_bytes(), &[7]].concat())?;
    let mut said = Vec::new();
    let _ = ours.read_to_end(&mut said);
    let output = child.wait_with_output()?;
    fs::remove_file(copy)?;
    assert_eq!(said, b"", "it did what it was told");
    assert_eq!(output.status.code(), Some(127));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("more rights than its caller"), "{errors}");
    Ok(())
}
