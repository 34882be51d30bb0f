//! The codecs that a scenario can choose for a pipe, as codecs of gipc-core.

use gipc_core::{Codec, CodecError, Error, Writer};
use std::borrow::Cow;

/// Sends a value through a writer with the codec of this name.
pub(super) async fn put_value(writer: &Writer, codec: &str, payload: &[u8]) -> Result<(), Error> {
    match codec {
        "json" => writer.with::<Json>().put(String::from_utf8_lossy(payload)).await,
        _ => writer.with::<Failing>().put(payload).await,
    }
}

/// Text as JSON.
pub(super) struct Json;

impl Codec for Json {
    type Put = str;
    type Got = String;

    fn encode(value: &str) -> Result<Cow<'_, [u8]>, CodecError> {
        Ok(Cow::Owned(serde_json::to_vec(value)?))
    }

    fn decode(bytes: Vec<u8>) -> Result<String, CodecError> {
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Bytes as they are, except for two values that cannot be encoded or decoded.
pub(super) struct Failing;

impl Codec for Failing {
    type Put = [u8];
    type Got = Vec<u8>;

    fn encode(value: &[u8]) -> Result<Cow<'_, [u8]>, CodecError> {
        if value == b"unencodable" { Err("it has no bytes".into()) } else { Ok(value.into()) }
    }

    fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        if bytes == b"undecodable" { Err("it is no value".into()) } else { Ok(bytes) }
    }
}
