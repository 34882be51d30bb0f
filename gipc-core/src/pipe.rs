//! Makes pipes: messages go in at the writer and come out at the reader, whole and in order.

use crate::{Codec, Reader, Writer, platform};
use std::io;

/// Makes a pipe for bytes; [`pipe_of`] makes one for values.
///
/// Needs no runtime. An end registers with the runtime of its first `get` or `put`. It makes progress only while that
/// runtime runs; after that runtime is dropped, calls fail with `NoRuntime`. Before the first call, an end can be moved to
/// another thread or given to a child.
///
/// On macOS, a program that another thread starts between the creation of an end and its marking as close-on-exec can
/// inherit the end. On Linux and the BSDs both happen in one step.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (r, w) = gipc_core::pipe()?;
/// w.put("text").await?;
/// assert_eq!(r.get().await?.as_deref(), Some(&b"text"[..]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The error of the system, for instance that there are no descriptors left. Nothing is left over then.
pub fn pipe() -> io::Result<(Reader, Writer)> {
    pipe_of()
}

/// Makes a pipe for messages of a codec: `pipe_of::<Postcard<Job>>()`. Otherwise like [`pipe`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use gipc_core::{Postcard, pipe_of};
///
/// let (r, w) = pipe_of::<Postcard<(u8, String)>>()?;
/// w.put((1, "one".to_owned())).await?;
/// assert_eq!(r.get().await?, Some((1, "one".to_owned())));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`pipe`].
pub fn pipe_of<C: Codec>() -> io::Result<(Reader<C>, Writer<C>)> {
    let (reader, writer) = platform::pipe()?;
    Ok((Reader::from(reader).with(), Writer::from(writer).with()))
}
