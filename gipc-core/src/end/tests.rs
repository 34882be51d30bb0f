//! Tests of the queue at one end of a pipe.

use super::*;
use shuttle::{check_pct, future, thread};

/// Uses the end once. No other task may have it during that time.
async fn use_once(end: &Arc<End<usize>>) -> Result<(), Error> {
    let mut turn = end.enter().await?;
    let before = *turn;
    thread::yield_now();
    assert_eq!(*turn, before, "two had it at once");
    *turn += 1;
    Ok(())
}

fn in_a_thread(
    end: &Arc<End<usize>>,
    act: impl FnOnce(&Arc<End<usize>>) -> usize + Send + 'static,
) -> thread::JoinHandle<usize> {
    let end = Arc::clone(end);
    thread::spawn(move || act(&end))
}

/// Waits for a turn, and gives up after this many polls.
fn gives_up(end: &Arc<End<usize>>, looks: usize) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut entering = pin!(use_once(end));
    for _ in 0..looks {
        if let Poll::Ready(done) = entering.as_mut().poll(&mut context) {
            return usize::from(done.is_ok());
        }
        thread::yield_now();
    }
    0
}

#[test]
fn who_gives_up_takes_nobodys_turn() {
    check_pct(
        || {
            let end = End::new(0, 9);
            let threads = [
                in_a_thread(&end, |end| usize::from(future::block_on(use_once(end)).is_ok())),
                in_a_thread(&end, |end| gives_up(end, 1)),
                in_a_thread(&end, |end| gives_up(end, 2)),
                in_a_thread(&end, |end| usize::from(future::block_on(use_once(end)).is_ok())),
            ];
            let uses: usize =
                threads.map(|thread| thread.join().expect("it ends")).into_iter().sum();
            assert!(uses >= 2, "who does not give up comes to its turn");
            let last = end.reserve().expect("nobody uses it any more");
            assert_eq!(*last.commit(), uses);
        },
        20_000,
        4,
    );
}

#[test]
fn who_closes_gets_all_of_it_or_nothing() {
    check_pct(
        || {
            let end = End::new(0, 9);
            let threads = [
                in_a_thread(&end, |end| usize::from(future::block_on(use_once(end)).is_ok())),
                in_a_thread(&end, |end| gives_up(end, 2)),
            ];
            let closed = in_a_thread(&end, |end| match end.reserve() {
                Ok(reserved) => {
                    thread::yield_now();
                    *reserved.commit()
                }
                Err(Error::Locked) => usize::MAX,
                Err(error) => panic!("{error}"),
            });
            let uses: usize =
                threads.map(|thread| thread.join().expect("it ends")).into_iter().sum();
            let seen = closed.join().expect("it ends");
            if seen == usize::MAX {
                assert_eq!(*end.reserve().expect("nobody uses it any more").commit(), uses);
            } else {
                assert_eq!(seen, uses, "nobody had it after it was closed");
                assert!(matches!(end.reserve(), Err(Error::Closed)));
            }
        },
        20_000,
        4,
    );
}

#[test]
fn a_refused_close_disturbs_nobody_and_a_close_tells_all() {
    check_pct(
        || {
            let end = End::new(0, 9);
            let refused = in_a_thread(&end, |end| usize::from(end.reserve().is_ok()));
            let users = [(); 2].map(|()| {
                in_a_thread(&end, |end| match future::block_on(use_once(end)) {
                    Ok(()) => 1,
                    Err(error) => panic!("{error}"),
                })
            });
            refused.join().expect("it ends");
            let uses: usize = users.map(|user| user.join().expect("it ends")).iter().sum();
            assert_eq!(uses, 2);
            let late =
                in_a_thread(&end, |end| usize::from(future::block_on(use_once(end)).is_ok()));
            let closed = end.reserve().map(Held::commit).is_ok();
            let used = late.join().expect("whoever waits is told") == 1;
            assert!(closed || used);
        },
        20_000,
        4,
    );
}
