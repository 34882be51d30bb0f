//! What both kinds of session have in common: the connection to the harness, the first message, and how a line that
//! arrives is understood.

use crate::command::Command;
use crate::implementation::{Answer, Completed, Failure, Identity, Resources};
use crate::protocol::{FromAgent, Hello, PROTOCOL, SOCKET_VARIABLE, TOKEN_VARIABLE, ToAgent};
use std::io;
use std::os::unix::net::UnixStream;

/// Why a session ended. The process should then return or fail, so that the library closes what is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The script of this process is done.
    Finished,
    /// The harness is gone, or rejected this process.
    Gone,
    /// The entry of this process is to fail (a panic).
    Raised,
}

/// An open connection to the harness, before the first message.
pub(crate) struct Connection {
    pub(crate) stream: UnixStream,
    pub(crate) token: String,
}

impl Connection {
    /// Connects to the harness that started this process.
    pub(crate) fn from_environment() -> io::Result<Self> {
        let variable = |name: &str| {
            std::env::var(name).map_err(|_| {
                io::Error::other(format!("{name} is not set: the harness must start this program"))
            })
        };
        let stream = UnixStream::connect(variable(SOCKET_VARIABLE)?)?;
        Ok(Self { stream, token: variable(TOKEN_VARIABLE)? })
    }
}

/// The first message.
pub(crate) fn hello(token: String, identity: &Identity, role: &str) -> FromAgent {
    FromAgent::Hello(Hello {
        protocol: PROTOCOL,
        token,
        role: role.to_owned(),
        pid: own_pid(),
        implementation: identity.implementation.clone(),
        profiles: identity.profiles.clone(),
        control: identity.control,
    })
}

pub(crate) fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(-1)
}

/// The message that ends a step.
pub(crate) fn report(id: usize, pid: i32, answer: Answer) -> FromAgent {
    match answer {
        Ok(completed) | Err(Failure::Outcome(completed)) => {
            let Completed { outcome, detail, descriptors } = completed;
            FromAgent::End { id, pid, outcome, detail, descriptors }
        }
        Err(Failure::Unsupported(reason)) => FromAgent::Unsupported { id, reason },
    }
}

/// A message as one line.
pub(crate) fn line(message: &FromAgent) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("a message is plain data");
    line.push(b'\n');
    line
}

/// The message in a line, or what to answer. A line that is no message is a fault; a step with an unknown verb, or of a
/// profile that is not declared, is unsupported.
pub(crate) fn understand(
    line: &str,
    profiles: &[String],
    resources: &impl Resources,
) -> Result<ToAgent, Box<FromAgent>> {
    match serde_json::from_str(line) {
        Ok(ToAgent::Step { id, command, .. }) if !declares(profiles, &command) => {
            let reason = resources.why_undeclared(&command);
            Err(Box::new(FromAgent::Unsupported { id, reason }))
        }
        Ok(message) => Ok(message),
        Err(error) => {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            let id = value["id"].as_u64().and_then(|id| usize::try_from(id).ok());
            Err(Box::new(match id {
                Some(id) if value["type"] == "step" => {
                    FromAgent::Unsupported { id, reason: error.to_string() }
                }
                _ => FromAgent::Fault {
                    reason: format!("cannot understand a line of the harness: {error}"),
                },
            }))
        }
    }
}

fn declares(profiles: &[String], command: &Command) -> bool {
    *command != Command::UnknownVerb && profiles.iter().any(|profile| profile == command.profile())
}
