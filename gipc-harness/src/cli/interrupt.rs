//! SIGINT and SIGTERM for commands that take long: they stop, and report what they have reached.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Returns what becomes true at the first SIGINT or SIGTERM. From then on, these signals do not end the program.
pub(super) fn flag() -> io::Result<watch::Receiver<bool>> {
    let (stop, flag) = watch::channel(false);
    at_first_signal(move || {
        stop.send_replace(true);
    })?;
    Ok(flag)
}

/// Calls a function at the first SIGINT or SIGTERM. From now on, these signals do not end the program.
pub(super) fn at_first_signal(action: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        action();
    })?;
    Ok(())
}
