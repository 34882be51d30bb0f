//! Children of a test binary whose main is libtest's own, on both kinds of runtime and on several at once.

use gipc_core::{Command, Error, Exit, Handle, Reader, Start, Writer, entry, init_in_tests, pipe};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::hint::black_box;

entry! {
    async fn square(start: Start<i64>) -> i64 {
        run(start.args)
    }
}

/// The macro defines no function whose name hides this one.
fn run(number: i64) -> i64 {
    number * number
}

entry! {
    /// Stays until the other end is closed.
    async fn wait(start: Start<(), Handle>) -> () {
        if let Handle::Reader(r) = start.handles {
            let _ = r.get().await;
        }
    }
}

entry! {
    /// Holds a writer until the other end of its reader is closed.
    async fn wait_holding(Start { handles: (r, _held), .. }: Start<(), (Reader, Writer)>) {
        let _ = r.get().await;
    }
}

entry! {
    /// Uses so many bytes of its stack.
    async fn recurses(start: Start<usize>) -> Result<usize, std::io::Error> {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        let (soft, hard) = getrlimit(Resource::RLIMIT_STACK)?;
        setrlimit(Resource::RLIMIT_STACK, soft.min(8 << 20), hard)?; // an unlimited one does not overflow
        let top = 0_u8;
        Ok(deeper((&raw const top).addr(), start.args))
    }
}

#[inline(never)]
fn deeper(top: usize, bytes: usize) -> usize {
    let here = black_box([0_u8; 512]);
    let used = top.abs_diff(here.as_ptr().addr());
    if used < bytes { black_box(deeper(top, bytes)) } else { used }
}

init_in_tests!(square, wait, wait_holding, recurses);

async fn squares(count: i64) {
    let children: Vec<_> = (0..count)
        .map(|n| Command::new(square()).expect("this program").spawn(&n).expect("a process"))
        .collect();
    for (n, child) in (0..).zip(children) {
        assert_eq!(child.join().await.expect("reaped"), Exit::Returned(n * n));
    }
}

#[tokio::test]
async fn on_a_current_thread_runtime() {
    squares(30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_multi_thread_runtime_from_many_tasks() {
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(squares(10))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[test]
fn on_several_runtimes_in_one_process() {
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(squares(8));
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn a_child_that_outlives_its_runtime_is_killed_and_reaped() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (child, go) = runtime.block_on(async {
        let (r, w) = pipe().expect("a pipe");
        (
            Command::new(wait())
                .expect("this program")
                .handles(r.into())
                .spawn(&())
                .expect("a process"),
            w,
        )
    });
    let id = child.id();
    drop(runtime);
    assert!(!fs::exists(format!("/proc/{id}")).unwrap_or(false), "it is gone, and no zombie");
    child.kill().expect("nothing is signalled");
    drop(go);
    assert_eq!(child.try_join().expect("it was reaped"), Some(Exit::Signal(9)));
    let other =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(other.block_on(child.join()).expect("it was reaped"), Exit::Signal(9));
}

#[test]
fn without_a_runtime_nothing_is_started() {
    let (r, _w) = pipe().expect("a pipe");
    let said = Command::new(wait()).expect("this program").handles(r.clone().into()).spawn(&());
    assert!(matches!(said, Err(Error::NoRuntime)), "{said:?}");
    r.close().expect("it is still here");
}

/// Half a message is in the pipe, and its other half in this process: a child could not write it.
#[test]
fn a_writer_that_owes_half_a_message_is_not_given() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (r, w) = pipe().expect("a pipe");
    let long = vec![7; 1 << 20];
    let mut put = Box::pin(w.put(&long));
    runtime.block_on(async {
        let begun = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            tokio::select! {
                _ = &mut put => {}
                _ = async { while w.descriptor().is_some() && !is_begun(&r) { tokio::task::yield_now().await } } => {}
            }
        });
        begun.await.expect("there is room for some of it");
    });
    drop(put); // where no runtime is
    let give = || Command::new(wait()).expect("this program").handles(w.clone().into()).spawn(&());
    runtime.block_on(async {
        assert!(matches!(give(), Err(Error::Locked)));
        let (put, got) = tokio::join!(w.put(b""), async { (r.get().await, r.get().await) });
        put.expect("behind the rest");
        assert!(matches!(got, (Ok(Some(long)), Ok(Some(empty))) if long.len() == 1 << 20 && empty.is_empty()));
        let child = give().expect("nothing is owed any more");
        assert_eq!(child.join().await.expect("reaped"), Exit::Returned(()));
    });
}

/// Whether bytes are in the pipe.
fn is_begun(r: &Reader) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let descriptor = r.descriptor().expect("open");
    // SAFETY: the reader is borrowed, so the descriptor stays open meanwhile.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::ZERO).expect("a pipe") > 0
}

#[tokio::test]
#[should_panic(expected = "before any tokio runtime")]
async fn a_table_that_comes_too_late_is_refused() {
    gipc_core::init!(square);
}

#[test]
#[should_panic(expected = "two entries that are named")]
fn two_entries_of_one_name_are_refused() {
    gipc_core::init!(square, square);
}

#[tokio::test]
async fn a_child_begins_in_the_middle_of_a_test_and_other_tests_do_not_run_in_it() {
    let (r, w): (Reader, _) = pipe().expect("a pipe");
    let (gone, held) = pipe().expect("a pipe");
    let child = Command::new(wait_holding())
        .expect("this program")
        .handles((r, held))
        .spawn(&())
        .expect("a process");
    w.close().expect("open");
    assert_eq!(gone.get().await.expect("clean"), None);
    assert_eq!(child.join().await.expect("reaped"), Exit::Returned(()));
}

#[tokio::test]
async fn after_threads_of_the_loop_were_used() {
    let name = tokio::net::lookup_host("localhost:1").await.expect("it is known").next();
    let sum = tokio::task::spawn_blocking(|| 2 + 2).await.expect("it returns");
    assert!(name.is_some() && sum == 4);
    let child = Command::new(square()).expect("this program").spawn(&7).expect("a child");
    assert_eq!(child.join().await.expect("it ends"), Exit::Returned(49));
}

#[tokio::test]
async fn a_child_begins_on_the_stack_of_a_main_thread() {
    let (limit, _) = getrlimit(Resource::RLIMIT_STACK).expect("there is one");
    let most = usize::try_from(limit.min(8 << 20)).expect("8 MiB") / 4 * 3;
    let child = Command::new(recurses()).expect("this program").spawn(&most).expect("a child");
    let exit = child.join().await.expect("it ends");
    assert!(matches!(exit, Exit::Returned(used) if used >= most), "{most}: {exit:?}");
}

/// Before main, std does not watch the stack yet: the system alone ends the child.
#[tokio::test]
async fn a_stack_overflow_of_a_child_is_its_end_by_a_signal() {
    let child = Command::new(recurses()).expect("this program").spawn(&usize::MAX);
    let exit = child.expect("a child").join().await.expect("it ends");
    let signals = [nix::libc::SIGSEGV, nix::libc::SIGBUS];
    assert!(matches!(exit, Exit::Signal(number) if signals.contains(&number)), "{exit:?}");
}
