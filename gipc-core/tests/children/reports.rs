//! The socket between a child and its parent: the last report of the child, and other processes that hold the socket.

use crate::entries::{control_socket, count_handles};
use crate::{Failure, skipped, wait_id};
use gipc_core::{Command, Exit, Reader, Start, Writer, entry, pipe};
use nix::errno::Errno;
use nix::libc::{P_PID, WEXITED, WNOWAIT};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{ForkResult, fork, read, write};
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io;
use std::process::Stdio;
use tokio::io::AsyncReadExt;

/// Writes all of it to the socket to the parent, as that takes it.
fn say(mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write(control_socket(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EAGAIN) => heard()?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until the socket to the parent has room: the parent has then read most of what was written.
fn heard() -> nix::Result<()> {
    poll(&mut [PollFd::new(control_socket(), PollFlags::POLLOUT)], PollTimeout::NONE).map(drop)
}

/// What the child of the first test returns: more than a socket holds.
fn long_text() -> String {
    ('a'..='z').cycle().take(1 << 20).collect()
}

entry! {
    /// Says a result as if it had returned it. The last of it and its own end come together, once it may go on.
    pub(crate) async fn says_in_two_parts(
        Start { handles: (go, w), .. }: Start<(), (Reader, Writer)>,
    ) -> Result<String, Box<dyn Error>> {
        let said = [b"v", &postcard::to_stdvec(&long_text())?[..]].concat();
        let (first, last) = said.split_at(said.len() - 1000);
        say(first)?;
        heard()?;
        w.put(b"most of it").await?;
        go.get().await?;
        say(last)?;
        std::process::exit(0)
    }
}

pub(crate) async fn end_seen_first() -> Result<(), Failure> {
    // Which of the two the parent looks at first is left to chance.
    for _ in 0..20 {
        let ((stay, go), (r, w)) = (pipe()?, pipe()?);
        let child = Command::new(says_in_two_parts())?.handles((stay, w)).spawn(&())?;
        assert_eq!(r.get().await?.as_deref(), Some(&b"most of it"[..]));
        go.put(b"go on").await?;
        wait_id(P_PID, child.id(), WEXITED | WNOWAIT)?; // no other task runs meanwhile
        let Exit::Returned(text) = child.join().await? else { return Err("it returns".into()) };
        assert!(text == long_text(), "{} bytes", text.len());
    }
    Ok(())
}

entry! {
    /// Leaves behind a process that writes to the socket to the parent as long as that takes it, and then prints how many bytes
    /// it took. Ends itself once that has written so many bytes, or has ended.
    pub(crate) async fn leaves_a_talker(start: Start<u64>) -> Result<(), Box<dyn Error>> {
        let (begun, begin) = nix::unistd::pipe()?;
        // SAFETY: this process has one thread.
        if let ForkResult::Child = unsafe { fork() }? {
            let mut written = 0_u64;
            while written < 1 << 30 && say(&[0; 1 << 12]).is_ok() {
                written += 1 << 12;
                if written == start.args {
                    let _ = write(&begin, b"x");
                }
            }
            let _ = write(io::stdout(), written.to_string().as_bytes());
            // SAFETY: nothing of this copy has to be put in order.
            unsafe { nix::libc::_exit(0) }
        }
        drop(begin);
        read(&begun, &mut [0])?;
        std::process::exit(0)
    }
}

pub(crate) async fn left_talking() -> Result<(), Failure> {
    const MIB: usize = 1 << 20;
    // It says more than is listened to, and it still talks when the child ends.
    for (limit, ends_at) in [(MIB, u64::MAX), (256 * MIB, 8 << 20)] {
        let command = Command::new(leaves_a_talker())?.result_limit(limit);
        let child = { command }.stdout(Stdio::piped()).spawn(&ends_at)?;
        assert_eq!(child.join().await?, Exit::Code(0));
        let mut printed = String::new();
        let mut stdout = child.take_stdout().ok_or("it is piped")?;
        stdout.read_to_string(&mut printed).await?;
        // What is in a socket is less than 1 MiB.
        assert!(printed.parse::<usize>()? <= limit + MIB, "{printed}");
    }
    Ok(())
}

entry! {
    /// The descriptors of a program that it starts.
    pub(crate) async fn what_a_program_inherits(_: Start<(), Writer>) -> io::Result<String> {
        // Under gVisor `ls` cannot look at this folder, and a shell can.
        let list = ["-c", "cd /proc/self/fd && echo *"];
        let listed = std::process::Command::new("sh").args(list).output()?;
        Ok(String::from_utf8_lossy(&listed.stdout).into_owned())
    }
}

pub(crate) async fn nothing_inherited() -> Result<(), Failure> {
    if !fs::exists("/proc/self/fd")? {
        skipped("this system has no /proc/self/fd");
        return Ok(());
    }
    let (_r, w) = pipe()?;
    let listed = Command::new(what_a_program_inherits())?.handles(w).spawn(&())?.join().await?;
    assert_eq!(listed.returned()?, "0 1 2 3\n", "three streams and the listing itself");
    Ok(())
}

pub(crate) async fn few_descriptors() -> Result<(), Failure> {
    let start = |most: &str| -> Result<_, Failure> {
        let writers = (0..40).map(|_| Ok(pipe()?.1)).collect::<Result<Vec<_>, Failure>>()?;
        let command = Command::new(count_handles())?.env("CHILD_MAY_OPEN", most);
        Ok(command.stderr(Stdio::null()).handles(writers).spawn(&())?)
    };
    assert_eq!(start("60")?.join().await?, Exit::Returned(40));
    let exit = start("30")?.join().await?;
    // Other systems have words of their own.
    let names_it = |why: &str| !cfg!(target_os = "linux") || why.contains("RLIMIT_NOFILE");
    assert!(matches!(&exit, Exit::NotBegun(why) if names_it(why)), "{exit:?}");
    Ok(())
}

entry! {
    pub(crate) async fn recurses_for_ever(_: Start) -> Result<u64, Box<dyn Error>> {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        Ok(deeper(0))
    }
}

fn deeper(depth: u64) -> u64 {
    black_box([depth; 64])[63] + if depth < u64::MAX { deeper(depth + 1) } else { 0 }
}

pub(crate) async fn stack_overflow() -> Result<(), Failure> {
    if getrlimit(Resource::RLIMIT_STACK)?.0 > 1 << 30 {
        skipped("the stack is as good as unlimited here (RLIMIT_STACK)");
        return Ok(());
    }
    let child = Command::new(recurses_for_ever())?.stderr(Stdio::piped()).spawn(&())?;
    let mut printed = String::new();
    let mut stderr = child.take_stderr().ok_or("it is piped")?;
    stderr.read_to_string(&mut printed).await?;
    // musl tells how far the stack of the main thread has grown, not how far it may grow. The standard library then does not
    // recognize the overflow, and the child ends by the signal for the fault, without a message.
    let is_recognized = !cfg!(target_env = "musl");
    let signal = if is_recognized { nix::libc::SIGABRT } else { nix::libc::SIGSEGV };
    assert_eq!(child.join().await?, Exit::Signal(signal));
    assert!(!is_recognized || printed.contains("has overflowed its stack"), "{printed}");
    Ok(())
}
