//! The agent of ipc-channel: every process of a scenario runs this program. Its arguments are the role of the process
//! and, for a child, the name of the one-shot server of its parent, by which it gets its channels.

mod channels;
mod ends;
mod start;
mod library;

use gipc_agent::{Identity, SOCKET_VARIABLE, conclude, serve_blocking};
use library::IpcChannel;
use std::env;
use std::io;
use std::path::Path;

/// What can be asked of it.
const PROFILES: [&str; 6] = ["core", "tasks", "process", "signals", "limits", "codec"];

fn main() {
    // A one-shot server stands in a folder of its own, which is left behind if there is no descriptor to delete it by.
    // So let it be in the folder of this run, which the harness deletes.
    if let Some(run) = env::var_os(SOCKET_VARIABLE).as_ref().and_then(|it| Path::new(it).parent()) {
        let _ = tempfile::env::override_temp_dir(run);
    }
    let mut arguments = env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let library = IpcChannel::default();
    let taken = arguments.next().map_or(Ok(()), |server| start::take(server, &library.ends));
    let identity = Identity::new("ipc-channel", version(), &PROFILES);
    let ending = taken
        .map_err(io::Error::other)
        .and_then(|()| serve_blocking(library, &identity, &role));
    conclude(ending);
}

/// The release of ipc-channel that this was built with, by the lock file.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let behind = lock.split("name = \"ipc-channel\"\nversion = \"").nth(1);
    behind.and_then(|text| text.split('"').next()).unwrap_or("0")
}
