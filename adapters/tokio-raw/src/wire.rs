//! The framing that everybody copies: four bytes of length, most significant first, and so many bytes. Two writes and
//! two reads, with nothing remembered in between. Knows nothing of who shares an end.

use gipc_agent::{Failure, WireOutcome};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

/// Sends one message.
pub(crate) async fn send(sender: &mut pipe::Sender, message: &[u8]) -> Result<(), Failure> {
    let length = u32::try_from(message.len()).map_err(|_| WireOutcome::TooLarge)?;
    sender.write_u32(length).await?;
    Ok(sender.write_all(message).await?)
}

/// Receives one message, or `None` at the end.
pub(crate) async fn receive(receiver: &mut pipe::Receiver) -> io::Result<Option<Vec<u8>>> {
    let length = match receiver.read_u32().await {
        Ok(length) => length,
        // Here the end of the pipe and the end inside the length are the same error.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; length as usize];
    receiver.read_exact(&mut message).await?;
    Ok(Some(message))
}
