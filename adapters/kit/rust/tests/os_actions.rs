//! The actions of the operating system, through the crate's public interface.

use gipc_agent::{
    Command, Completed, Failure, FramePosition, OsActions, Resources, WireOutcome, WirePayload,
};
use nix::sys::signal::{Signal, raise};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// An implementation with one pipe, and a header of two bytes.
struct OnePipe(Option<OwnedFd>);

impl Resources for OnePipe {
    fn descriptor(&self, _: &str) -> Result<RawFd, Failure> {
        Ok(self.0.as_ref().ok_or(WireOutcome::Closed)?.as_raw_fd())
    }

    fn frame_header(&self, _: &str, len: u64) -> Option<Vec<u8>> {
        Some(u16::try_from(len).ok()?.to_be_bytes().to_vec())
    }
}

fn outcome(os: &OsActions, command: Command, resources: &OnePipe) -> WireOutcome {
    match os.perform(command, resources) {
        Ok(completed) | Err(Failure::Outcome(completed)) => completed.outcome,
        Err(Failure::Unsupported(reason)) => panic!("unsupported: {reason}"),
    }
}

#[test]
fn a_frame_is_cut_and_continued() {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    let (os, resources) = (OsActions::default(), OnePipe(Some(writer)));
    let payload = WirePayload::Text { text: "abc".into() };
    let cut = Command::Cut { handle: "w".into(), payload, at: FramePosition::Header(1) };
    assert_eq!(outcome(&os, cut, &resources), WireOutcome::Ok);
    let mut reader = File::from(reader);
    let mut first = [0; 3];
    reader.read_exact(&mut first).expect("three bytes");
    assert_eq!(&first, b"\0\x03a");
    assert_eq!(outcome(&os, Command::Rest { handle: "w".into() }, &resources), WireOutcome::Ok);
    let announce = Command::Announce { handle: "w".into(), size: 258 };
    assert_eq!(outcome(&os, announce, &resources), WireOutcome::Ok);
    drop(resources);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("the rest");
    assert_eq!(rest, b"bc\x01\x02");
}

/// Libraries with an event loop make their descriptors non-blocking.
#[test]
fn a_frame_that_does_not_fit_into_the_pipe_waits_for_the_reader_on_a_non_blocking_descriptor() {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    let non_blocking = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
    nix::fcntl::fcntl(&writer, non_blocking).expect("the flag exists");
    let large = u16::MAX.into();
    let read = std::thread::spawn(move || {
        let mut all = Vec::new();
        File::from(reader).read_to_end(&mut all).map(|_| all.len())
    });
    let (os, resources) = (OsActions::default(), OnePipe(Some(writer)));
    for _ in 0..4 {
        let payload = WirePayload::Noise { seed: "main#1".into(), len: large };
        let at = FramePosition::Header(1);
        let cut = Command::Cut { handle: "w".into(), payload, at };
        assert_eq!(outcome(&os, cut, &resources), WireOutcome::Ok);
        assert_eq!(outcome(&os, Command::Rest { handle: "w".into() }, &resources), WireOutcome::Ok);
    }
    drop(resources);
    let total = 4 * (2 + usize::from(u16::MAX));
    assert_eq!(read.join().expect("no panic").expect("a reader"), total);
}

#[test]
fn a_frame_that_cannot_be_written_has_the_answer_of_the_implementation() {
    let (os, closed) = (OsActions::default(), OnePipe(None));
    let announce = |size| Command::Announce { handle: "w".into(), size };
    assert_eq!(outcome(&os, announce(1), &closed), WireOutcome::Closed);
    assert!(matches!(os.perform(announce(1 << 40), &closed), Err(Failure::Unsupported(_))));
}

#[test]
fn a_program_is_signalled_and_reaped_once() {
    let (os, resources) = (OsActions::default(), OnePipe(None));
    let program = || "program".to_owned();
    assert_eq!(outcome(&os, Command::Exec { ghost: program() }, &resources), WireOutcome::Ok);
    let pid = os.pid(&program(), &resources).expect("it was started");
    let kill = Command::Signal { child: program(), signal: "SIGKILL".into() };
    assert_eq!(outcome(&os, kill, &resources), WireOutcome::Ok);
    assert_eq!(outcome(&os, Command::Stall { child: program() }, &resources), WireOutcome::Ok);
    assert!(OsActions::pid_exists(pid), "stall must not reap");
    let killed = WireOutcome::Signal { name: "SIGKILL".into() };
    assert_eq!(outcome(&os, Command::Reap { child: program() }, &resources), killed);
    let again = os.perform(Command::Reap { child: program() }, &resources);
    assert!(matches!(again, Err(Failure::Unsupported(_))));
}

#[test]
fn a_trapped_signal_is_counted_and_an_ignored_one_is_not() {
    let (os, resources) = (OsActions::default(), OnePipe(None));
    let signal = || "SIGUSR1".to_owned();
    let count = || outcome(&os, Command::Count { what: "trapped".into() }, &resources);
    assert_eq!(outcome(&os, Command::Trap { signal: signal() }, &resources), WireOutcome::Ok);
    raise(Signal::SIGUSR1).expect("a signal");
    assert_eq!(count(), WireOutcome::Number { n: 1 });
    assert_eq!(outcome(&os, Command::Ignore { signal: signal() }, &resources), WireOutcome::Ok);
    raise(Signal::SIGUSR1).expect("a signal");
    assert_eq!(count(), WireOutcome::Number { n: 1 });
}

#[test]
fn an_unknown_signal_is_an_error_of_the_system() {
    let (os, resources) = (OsActions::default(), OnePipe(None));
    let trap = Command::Trap { signal: "SIGNOTHING".into() };
    assert_eq!(outcome(&os, trap, &resources), WireOutcome::Os { name: "EINVAL".into() });
}

#[test]
fn a_command_of_the_library_is_not_performed() {
    let get = Command::Get { handle: "r".into() };
    assert!(!OsActions::performs(&get));
    let answer: Result<Completed, Failure> = OsActions::default().perform(get, &OnePipe(None));
    assert!(matches!(answer, Err(Failure::Unsupported(_))));
}
