//! The agent of ipc-channel: every process of a scenario runs this program. Its arguments are the role of the process
//! and, for a child, the name of the one-shot server of its parent, through which it receives its channel ends.

mod channels;
mod ends;
mod start;
mod library;

use gipc_agent::{Identity, SOCKET_VARIABLE, conclude, serve_blocking};
use library::IpcChannel;
use std::env;
use std::io;
use std::path::Path;

/// The profiles that ipc-channel has.
const PROFILES: [&str; 6] = ["core", "tasks", "process", "signals", "limits", "codec"];

fn main() {
    // A one-shot server creates a temporary folder, which remains if no descriptor is available for deleting it. So it
    // is created in the folder of this run, which the harness deletes.
    if let Some(run) = env::var_os(SOCKET_VARIABLE).as_ref().and_then(|it| Path::new(it).parent()) {
        let _ = tempfile::env::override_temp_dir(run);
    }
    let mut arguments = env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let library = IpcChannel::default();
    let received = arguments.next().map_or(Ok(()), |server| start::receive(server, &library.ends));
    let identity = Identity::new("ipc-channel", version(), &PROFILES);
    let ending = received
        .map_err(io::Error::other)
        .and_then(|()| serve_blocking(library, &identity, &role));
    conclude(ending);
}

/// The version of ipc-channel in the lock file.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let rest = lock.split("name = \"ipc-channel\"\nversion = \"").nth(1);
    rest.and_then(|text| text.split('"').next()).unwrap_or("0")
}
