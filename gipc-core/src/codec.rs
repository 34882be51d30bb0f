//! What a message is made of: bytes as they are, or values through serde.
//!
//! A codec is part of the type of a handle and does not exist at run time. Decoding a message runs no code that the sender
//! chose. `frame` moves the bytes.

use crate::bounded::{Bounded, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::marker::PhantomData;

/// Why a value could not be encoded or decoded.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Converts the values that are put to bytes, and bytes to the values that are got.
pub trait Codec: 'static {
    /// The type that `put` takes.
    type Put: ?Sized;
    /// The type that `get` returns.
    type Got;

    /// Returns the bytes of a value. They are borrowed if the value already consists of bytes.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialized. Nothing is written then.
    fn encode(value: &Self::Put) -> Result<Cow<'_, [u8]>, CodecError>;

    /// Returns the value that these bytes encode.
    ///
    /// # Errors
    ///
    /// If the bytes are not a valid value. The message is lost then, and the next one is not affected.
    fn decode(bytes: Vec<u8>) -> Result<Self::Got, CodecError>;
}

/// What `put` accepts if the codec puts `P`: bytes and text in any form for `[u8]`, text for `str`, and a value or a
/// reference to it for any other type.
pub trait Message<P: ?Sized> {
    /// Returns the value to encode.
    fn as_put(&self) -> &P;
}

impl<M: AsRef<[u8]> + ?Sized> Message<[u8]> for M {
    fn as_put(&self) -> &[u8] {
        self.as_ref()
    }
}

impl<M: AsRef<str> + ?Sized> Message<str> for M {
    fn as_put(&self) -> &str {
        self.as_ref()
    }
}

impl<T> Message<T> for T {
    fn as_put(&self) -> &T {
        self
    }
}

impl<T> Message<T> for &T {
    fn as_put(&self) -> &T {
        self
    }
}

/// Passes bytes unchanged: the fastest codec.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Codec for Raw {
    type Put = [u8];
    type Got = Vec<u8>;

    fn encode(value: &[u8]) -> Result<Cow<'_, [u8]>, CodecError> {
        Ok(Cow::Borrowed(value))
    }

    fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        Ok(bytes)
    }
}

/// Values of a type that serde knows, in the format of postcard. Leftover bytes are an error.
///
/// A message from another process cannot exhaust the stack or block the event loop: a value may be nested 128 levels deep,
/// and may have 65,536 elements that take no bytes, such as those of a `Vec<()>`. Anything beyond that is `Decode`.
///
/// A large `Vec<u8>` is slow, since serde handles it byte by byte: put it with [`Raw`] instead.
#[derive(Clone, Copy, Debug)]
pub struct Postcard<T>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned + 'static> Codec for Postcard<T> {
    type Put = T;
    type Got = T;

    fn encode(value: &T) -> Result<Cow<'_, [u8]>, CodecError> {
        Ok(Cow::Owned(postcard::to_stdvec(value)?))
    }

    fn decode(bytes: Vec<u8>) -> Result<T, CodecError> {
        whole(&bytes)
    }
}

/// Decodes a value from exactly these bytes, within the limits of `bounded`.
pub(crate) fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let limits = Limits::new(bytes.len());
    let mut postcard = postcard::Deserializer::from_bytes(bytes);
    let value = T::deserialize(Bounded::new(&mut postcard, &limits))?;
    match postcard.finalize()? {
        [] => Ok(value),
        rest => Err(format!("{} bytes are left over", rest.len()).into()),
    }
}
