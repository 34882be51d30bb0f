//! Channels of ipc-channel, by the type that they carry. ipc-channel encodes with serde, so a codec is a type with its
//! own `Serialize` and `Deserialize`.

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use ipc_channel::{IpcError, TryRecvError};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
use std::io;
use std::time::Duration;

/// The sending end of a channel.
#[derive(Serialize, Deserialize)]
pub(crate) enum Sender {
    Bytes(IpcSender<ByteBuf>),
    Json(IpcSender<Json>),
    Failing(IpcSender<Failing>),
}

/// The receiving end of a channel.
#[derive(Serialize, Deserialize)]
pub(crate) enum Receiver {
    Bytes(IpcReceiver<ByteBuf>),
    Json(IpcReceiver<Json>),
    Failing(IpcReceiver<Failing>),
}

/// Creates a channel for bytes, or with the codec of this name.
pub(crate) fn channel(codec: Option<&str>) -> io::Result<(Sender, Receiver)> {
    Ok(match codec {
        None => {
            let (sender, receiver) = ipc::channel()?;
            (Sender::Bytes(sender), Receiver::Bytes(receiver))
        }
        Some("json") => {
            let (sender, receiver) = ipc::channel()?;
            (Sender::Json(sender), Receiver::Json(receiver))
        }
        Some(_) => {
            let (sender, receiver) = ipc::channel()?;
            (Sender::Failing(sender), Receiver::Failing(receiver))
        }
    })
}

impl Sender {
    /// Sends one message.
    pub(crate) fn send(&self, message: Vec<u8>) -> Result<(), IpcError> {
        match self {
            Self::Bytes(sender) => sender.send(message.into()),
            Self::Json(sender) => sender.send(Json(text(message))),
            Self::Failing(sender) => sender.send(Failing(text(message))),
        }
    }
}

impl Receiver {
    /// Receives one message, within the time limit if there is one.
    pub(crate) fn receive(&self, limit: Option<Duration>) -> Result<Vec<u8>, TryRecvError> {
        Ok(match self {
            Self::Bytes(receiver) => receive(receiver, limit)?.into_vec(),
            Self::Json(receiver) => receive(receiver, limit)?.0.into_bytes(),
            Self::Failing(receiver) => receive(receiver, limit)?.0.into_bytes(),
        })
    }
}

fn receive<T>(receiver: &IpcReceiver<T>, limit: Option<Duration>) -> Result<T, TryRecvError>
where
    T: for<'de> Deserialize<'de> + Serialize,
{
    match limit {
        None => Ok(receiver.recv()?),
        Some(limit) => receiver.try_recv_timeout(limit),
    }
}

fn text(message: Vec<u8>) -> String {
    String::from_utf8_lossy(&message).into_owned()
}

/// A text that is encoded as JSON.
pub(crate) struct Json(String);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A text that is encoded as it is, except that `unencodable` cannot be encoded and `undecodable` cannot be decoded.
pub(crate) struct Failing(String);

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_str() {
            "unencodable" => Err(S::Error::custom("it has no bytes")),
            text => text.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Failing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)? {
            text if text == "undecodable" => Err(D::Error::custom("it is no value")),
            text => Ok(Self(text)),
        }
    }
}
