//! The start of a child and the transfer of its channel ends, as the documentation of ipc-channel shows it: the parent
//! creates a one-shot server and passes its name as an argument; the child connects and sends a sender, through which
//! the parent sends the ends.

use crate::channels::{Receiver, Sender};
use crate::ends::{End, Ends, shared};
use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcOneShotServer, IpcSender};
use serde::{Deserialize, Serialize};
use std::env;
use std::process::{Child, Command};

/// A channel end, or the two ends of a duplex, that a child receives.
#[derive(Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) sender: Option<Sender>,
}

/// The sender through which a child receives its channel ends.
pub(crate) type ChildSender = IpcSender<Vec<Given>>;

/// Starts a child with this role, and waits until it has connected.
pub(crate) fn start(role: &str) -> Result<(Child, ChildSender), IpcError> {
    let (server, name) = IpcOneShotServer::<ChildSender>::new()?;
    let child = Command::new(env::current_exe()?).args([role, &name]).spawn()?;
    let (_, sender) = server.accept()?;
    Ok((child, sender))
}

/// Receives the channel ends that the parent sends to this process.
pub(crate) fn receive(server: String, ends: &Ends) -> Result<(), IpcError> {
    let (sender, given) = ipc::channel::<Vec<Given>>()?;
    IpcSender::connect(server)?.send(sender)?;
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
