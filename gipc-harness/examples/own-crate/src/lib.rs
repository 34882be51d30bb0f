//! The library under test: messages with a length before them, in an operating-system pipe.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::Mutex;

/// The end of a pipe that messages come out of.
pub struct Reader(Mutex<pipe::Receiver>);

/// The end of a pipe that messages go into.
pub struct Writer(Mutex<pipe::Sender>);

/// Makes a pipe.
pub fn pipe() -> Result<(Reader, Writer)> {
    let (writer, reader) = pipe::pipe()?;
    Ok((Reader(Mutex::new(reader)), Writer(Mutex::new(writer))))
}

impl Writer {
    /// Sends a message. Not cancel-safe.
    pub async fn put(&self, message: &[u8]) -> Result<()> {
        let length = u32::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
        let frame = [&length.to_be_bytes(), message].concat();
        self.0.lock().await.write_all(&frame).await
    }
}

impl Reader {
    /// Receives a message; `None` once the writer is closed. Not cancel-safe.
    pub async fn get(&self) -> Result<Option<Vec<u8>>> {
        let mut reader = self.0.lock().await;
        let mut header = [0; 4];
        if reader.read(&mut header[..1]).await? == 0 {
            return Ok(None);
        }
        reader.read_exact(&mut header[1..]).await?;
        let length = usize::try_from(u32::from_be_bytes(header)).map_err(Error::other)?;
        let mut message = vec![0; length];
        reader.read_exact(&mut message).await?;
        Ok(Some(message))
    }
}
