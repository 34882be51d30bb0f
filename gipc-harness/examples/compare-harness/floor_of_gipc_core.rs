//! A process of the floor on gipc-core: connects, starts its children with gipc-core, moves its bytes through a pipe of
//! gipc-core, and joins its children. Each process has the runtime that gipc-core needs.

use crate::Failure;
use crate::floor::BLOCK;
use gipc_core::{Command, Error, Start, entry, pipe};
use serde_json::Value;
use std::os::unix::net::UnixStream;

/// Set in the processes of this floor, so that a child is not taken for one of the harness.
pub(crate) const VARIABLE: &str = "GIPC_HARNESS_FLOOR";

entry! {
    /// A process: the socket, and the tree of processes as in floor.rs.
    async fn child(Start { args: (socket, tree), .. }: Start<(String, String), ()>) -> Result<(), String> {
        run(&socket, &tree).await.map_err(|error| error.to_string())
    }
}

/// In a child of this floor, runs its entry and does not return. In the first process of a tree, does nothing.
pub(crate) fn init() {
    gipc_core::init!(child);
}

/// The first process of the tree.
pub(crate) fn main(socket: &str, tree: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(socket, tree))
}

async fn run(socket: &str, tree: &str) -> Result<(), Failure> {
    let _connection = UnixStream::connect(socket)?;
    let tree: Vec<Value> = serde_json::from_str(tree)?;
    let [bytes, children @ ..] = &tree[..] else { return Err("a process without bytes".into()) };
    let start = |tree: &Value| Command::new(child())?.spawn(&(socket.to_owned(), tree.to_string()));
    let children = children.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    move_bytes(bytes.as_u64().unwrap_or_default()).await?;
    for child in children {
        child.join().await?;
    }
    Ok(())
}

/// Sends this many bytes through a pipe of gipc-core and receives them.
async fn move_bytes(bytes: u64) -> Result<(), Error> {
    if bytes == 0 {
        return Ok(());
    }
    let (reader, writer) = pipe()?;
    let write = async {
        let mut left = bytes as usize;
        while left > 0 {
            writer.put(vec![1; left.min(BLOCK)]).await?;
            left = left.saturating_sub(BLOCK);
        }
        writer.close()
    };
    let read = async {
        while reader.get().await?.is_some() {}
        Ok(())
    };
    tokio::try_join!(write, read).map(|_| ())
}
