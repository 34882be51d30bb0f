//! The agent of ipc-channel: every process of a scenario runs this program. Its arguments are the role of the process
//! and, for a child, the name of the one-shot server of its parent, by which it gets its channels.

mod channels;
mod ends;
mod start;
mod system;
mod orders;
mod conversation;

use conversation::{Ending, serve};
use ends::Ends;
use gipc_harness::adapter::protocol::SOCKET_VARIABLE;
use orders::Process;
use std::env;
use std::error::Error;
use std::path::Path;
use std::process;

fn main() {
    match play() {
        Ok(Ending::Finished) => {}
        Ok(Ending::Gone) => process::exit(1),
        Ok(Ending::Raised) => panic!("the scenario says that this entry fails"),
        Err(error) => {
            eprintln!("ipc-channel: {error}");
            process::exit(2);
        }
    }
}

fn play() -> Result<Ending, Box<dyn Error>> {
    // A one-shot server stands in a folder of its own, which is left behind if there is no descriptor to delete it by.
    // So let it be in the folder of this run, which the harness deletes.
    if let Some(run) = env::var_os(SOCKET_VARIABLE).as_ref().and_then(|it| Path::new(it).parent()) {
        let _ = tempfile::env::override_temp_dir(run);
    }
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or("no role")?;
    let ends = Ends::default();
    if let Some(server) = arguments.next() {
        start::take(server, &ends)?;
    }
    Ok(serve(Process::new(ends), &role, version())?)
}

/// The release of ipc-channel that this was built with, by the lock file.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let behind = lock.split("name = \"ipc-channel\"\nversion = \"").nth(1);
    behind.and_then(|text| text.split('"').next()).unwrap_or("0")
}
