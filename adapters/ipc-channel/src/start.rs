//! How a child gets its channels, as the documentation shows it: the parent makes a one-shot server, the child finds
//! its name among the arguments, connects, and sends a sender; by that comes what it is given.

use crate::channels::{Receiver, Sender};
use crate::ends::{End, Ends, shared};
use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcOneShotServer, IpcSender};
use serde::{Deserialize, Serialize};
use std::env;
use std::process::{Child, Command};

/// What a child is given.
#[derive(Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) sender: Option<Sender>,
}

/// By this a child gets it.
pub(crate) type Door = IpcSender<Vec<Given>>;

/// Starts `role` and waits until it stands at the door.
pub(crate) fn start(role: &str) -> Result<(Child, Door), IpcError> {
    let (server, name) = IpcOneShotServer::<Door>::new()?;
    let child = Command::new(env::current_exe()?).args([role, &name]).spawn()?;
    let (_, door) = server.accept()?;
    Ok((child, door))
}

/// Takes what this process is given.
pub(crate) fn take(server: String, ends: &Ends) -> Result<(), IpcError> {
    let (door, given) = ipc::channel::<Vec<Given>>()?;
    IpcSender::connect(server)?.send(door)?;
    for Given { name, receiver, sender } in given.recv()? {
        match (receiver, sender) {
            (Some(receiver), Some(sender)) => ends.keep_both(&name, receiver, sender),
            (Some(receiver), None) => ends.keep(&name, End::Receiver(shared(receiver))),
            (None, Some(sender)) => ends.keep(&name, End::Sender(shared(sender))),
            (None, None) => {}
        }
    }
    Ok(())
}
