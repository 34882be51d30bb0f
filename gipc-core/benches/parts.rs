//! What the parts cost: `cargo bench -p gipc-core`. Compare two runs of it on a quiet machine; for whole programs beside
//! other libraries there is `cargo compare`. Nothing here passes or fails.

use divan::{Bencher, counter::BytesCount};
use gipc_core::{Command, Postcard, Start, duplex, entry, init, pipe};
use tokio::runtime::Runtime;

entry! {
    async fn nothing(_start: Start<()>) -> () {}
}

fn main() {
    init!(nothing);
    divan::main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// One message through a pipe within a process.
#[divan::bench(args = [0, 16, 1024, 4096, 65_536, 1 << 20])]
fn put_and_get(bencher: Bencher<'_, '_>, size: usize) {
    let runtime = runtime();
    let (r, w) = runtime.block_on(async { pipe() }).expect("a pipe");
    let message = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        runtime.block_on(async {
            let (put, got) = tokio::join!(w.put(&message), r.get());
            put.and(got).expect("it comes")
        })
    });
}

/// A thousand short messages in few writes.
#[divan::bench]
fn put_all_and_get_all(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (r, w) = runtime.block_on(async { pipe() }).expect("a pipe");
    bencher.bench_local(|| {
        runtime.block_on(async {
            w.put_all(std::iter::repeat_n(&[7; 16][..], 1000)).await.expect("it fits");
            for _ in 0..1000 {
                r.get().await.expect("it comes");
            }
        });
    });
}

/// A value through serde instead of bytes.
#[divan::bench]
fn put_and_get_a_value(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (r, w) = runtime.block_on(async { pipe() }).expect("a pipe");
    let (r, w) = (r.with::<Postcard<(u64, String)>>(), w.with::<Postcard<(u64, String)>>());
    let value = (7, "a job of some length".to_owned());
    bencher.bench_local(|| {
        runtime.block_on(async {
            w.put(&value).await.expect("it fits");
            r.get().await.expect("it comes")
        })
    });
}

#[divan::bench]
fn make_and_close_a_duplex(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    bencher.bench_local(|| runtime.block_on(async { duplex().map(drop) }));
}

/// A child that does nothing, from its start until it is reaped.
#[divan::bench(sample_count = 50)]
fn spawn_and_join(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    bencher.bench_local(|| {
        runtime.block_on(async {
            let child = Command::new(nothing()).expect("this program").spawn(&()).expect("a child");
            child.join().await.expect("it ends")
        })
    });
}
