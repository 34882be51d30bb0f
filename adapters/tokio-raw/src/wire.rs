//! The usual framing: four bytes of length, most significant first, and then the message. A message takes two writes
//! and two reads, without a buffer for what a cancelled one leaves.

use gipc_agent::{Failure, WireOutcome};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

/// Sends one message. Not cancel-safe.
pub(crate) async fn send(sender: &mut pipe::Sender, message: &[u8]) -> Result<(), Failure> {
    let length = u32::try_from(message.len()).map_err(|_| WireOutcome::TooLarge)?;
    sender.write_u32(length).await?;
    Ok(sender.write_all(message).await?)
}

/// Receives one message, or `None` at the end of the pipe. Not cancel-safe.
pub(crate) async fn receive(receiver: &mut pipe::Receiver) -> io::Result<Option<Vec<u8>>> {
    let length = match receiver.read_u32().await {
        Ok(length) => length,
        // `read_u32` reports an end before the length and an end within the length as the same error.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; length as usize];
    receiver.read_exact(&mut message).await?;
    Ok(Some(message))
}
