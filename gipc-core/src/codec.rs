//! What a message is made of: bytes as they are, or values through serde.
//!
//! A codec is the type of a handle and nothing at run time. How bytes travel is not its business.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::marker::PhantomData;

/// What a codec says when a value cannot be written or bytes cannot be read.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Turns what is put into bytes, and bytes into what is got.
pub trait Codec: 'static {
    /// What `put` takes.
    type Put: ?Sized;
    /// What `get` returns.
    type Got;

    /// The bytes of a value; borrowed where the value is bytes already.
    ///
    /// # Errors
    ///
    /// If the value has none. Nothing is written then.
    fn encode(value: &Self::Put) -> Result<Cow<'_, [u8]>, CodecError>;

    /// The value of these bytes.
    ///
    /// # Errors
    ///
    /// If they are none. The message is gone then, and the next one is not affected.
    fn decode(bytes: Vec<u8>) -> Result<Self::Got, CodecError>;
}

/// Bytes as they are: the fastest.
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

/// Values of a type that serde knows, in the format of postcard, which runs no code of the other side's. Bytes left over
/// are an error.
///
/// Large `Vec<u8>` are slow this way (serde takes them byte by byte): put them with [`Raw`].
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

/// The value of these bytes, all of them.
pub(crate) fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        (_, rest) => Err(format!("{} bytes are left over", rest.len()).into()),
    }
}
