//! Which program a child is: its name, its version, its rights, and what runs it.

use crate::entries::shown_name;
use crate::starts::{ENTRY_VARIABLE, NOTHING};
use crate::{Failure, skipped};
use gipc_core::{Command, Exit};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

pub(crate) async fn named_as_its_program() -> Result<(), Failure> {
    let Exit::Returned(name) = Command::new(shown_name())?.spawn(&())?.join().await? else {
        return Err("it returns".into());
    };
    if name.is_empty() {
        skipped("this system has no /proc/self/comm");
        return Ok(());
    }
    let own = std::env::args_os().next().ok_or("it has a name")?;
    let own = Path::new(&own).file_name().ok_or("a file")?.to_string_lossy();
    // Linux keeps 15 bytes of it.
    assert_eq!(name.trim_end(), &own[..own.len().min(15)]);
    Ok(())
}

/// A child of another version of this crate in the same program: it is not answered by this one, whose main goes on.
pub(crate) async fn another_version() -> Result<(), Failure> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .arg("--list")
        .env("GIPC_CORE_ENTRY_0.0.0", NOTHING)
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.contains("another_version_of_the_crate"), "{listed}");
    Ok(())
}

/// A set-user-ID copy of this program runs as root. Another user starts it with the environment and the socket of a child.
pub(crate) async fn privileged() -> Result<(), Failure> {
    if !nix::unistd::Uid::effective().is_root() {
        skipped("only root can make a set-user-ID program of root");
        return Ok(());
    }
    // In a pid namespace, process ids repeat while the folder is shared.
    let time = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos();
    let name = format!("gipc-core-privileged-{}-{time}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder)?;
    let checked = refuses_as_privileged(&folder);
    fs::remove_dir_all(folder)?;
    checked
}

/// Copies a program so that it always runs as root.
fn set_user_id(program: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let copy = folder.join(program.file_name().unwrap_or_default());
    fs::copy(program, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755))?;
    Ok(copy)
}

fn refuses_as_privileged(folder: &Path) -> Result<(), Failure> {
    let id = set_user_id(Path::new("/usr/bin/id"), folder).ok();
    let user = id.map(|id| std::process::Command::new(id).arg("-u").uid(65534).output());
    if !user.is_some_and(|user| user.is_ok_and(|user| user.stdout == b"0\n")) {
        skipped(
            "a set-user-ID program does not run as root here (a nosuid mount, a tracer, or no /usr/bin/id)",
        );
        return Ok(());
    }
    let copy = set_user_id(&std::env::current_exe()?, folder)?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let child = std::process::Command::new(&copy)
        .env(ENTRY_VARIABLE, NOTHING)
        .uid(65534)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // No descriptors, then one byte of arguments: the number 7.
    let _ = ours
        .write_all(&[&[0; 4][..], &10_u64.to_le_bytes(), &2_u64.to_le_bytes(), &[7, 0]].concat()); // it may have ended already
    let mut said = Vec::new();
    let _ = ours.read_to_end(&mut said);
    let output = child.wait_with_output()?;
    assert_eq!(said, b"", "it did what it was told");
    assert_eq!(output.status.code(), Some(127));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("more rights than its caller"), "{errors}");
    Ok(())
}

/// Runs a test of this file that starts a child.
pub(crate) async fn loaded() -> Result<(), Failure> {
    // A loader runs a dynamic program of its own architecture, and replaces itself by a static one.
    let is_dynamic = cfg!(all(target_env = "gnu", not(target_feature = "crt-static")));
    let loader = match std::env::consts::ARCH {
        "x86_64" if is_dynamic => "/lib64/ld-linux-x86-64.so.2",
        "aarch64" if is_dynamic => "/lib/ld-linux-aarch64.so.1",
        _ => "",
    };
    if !Path::new(loader).exists() {
        skipped("this program has no dynamic loader that is known here");
        return Ok(());
    }
    let output = std::process::Command::new(loader)
        .arg(std::env::current_exe()?)
        .args(["--exact", "a_child_that_nobody_joins_is_no_zombie"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("by way of the dynamic loader"), "{said}");
    Ok(())
}
