//! The command `run`: the start of a program whose standard streams are ends of pipes.

use crate::agent::Agent;
use crate::commands::{Refusal, Started, argument, is_in_group, malformed, text};
use crate::handles::{PipeEnd, pipe};
use crate::protocol::is;
use crate::start::start;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::{Value, json};

impl Agent {
    /// Starts a program whose standard streams are new pipes, of which this process keeps the other end, or ends that this
    /// process gives away.
    pub(crate) fn run(&mut self, command: &Value) -> Result<Started, Refusal> {
        let role = text(command, "child")?;
        let argv = command["argv"].as_array().ok_or_else(|| malformed(command, "argv"))?;
        let argv = argv.iter().filter_map(Value::as_str).map(|word| argument(word.to_owned()));
        let argv = argv.collect::<Result<Vec<_>, _>>()?;
        let program = argv.first().cloned().ok_or_else(|| malformed(command, "argv"))?;
        let (mut kept, mut theirs, mut released) = (Vec::new(), Vec::new(), Vec::new());
        let mut streams = [None; 3];
        for (number, word) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
            let stream = &command[word];
            if let Some(name) = stream["pipe"].as_str() {
                let (reader, writer) = pipe()?;
                let (own, other) = if number == 0 { (writer, reader) } else { (reader, writer) };
                streams[number] = other.raw_fd();
                set_blocking(&other)?;
                kept.push((name.to_owned(), own));
                theirs.push(other);
            } else if let Some(name) = stream["given"].as_str() {
                let names = self.handles.transferable(&[name])?;
                let end = names.first().and_then(|name| self.handles.0.get(name));
                end.map_or(Ok(()), set_blocking)?;
                streams[number] = end.and_then(|end| end.raw_fd());
                released.extend(names);
            }
        }
        let pid = start(&program, &argv, &[], streams, is_in_group(command))?;
        drop(theirs);
        for given in &released {
            self.handles.release(given);
        }
        let mut descriptors = json!({});
        for (name, end) in kept {
            descriptors[&name] = json!(end.raw_fd());
            self.handles.0.insert(name, end);
        }
        self.children.add(role, pid);
        Ok(Started::Done(json!({ "outcome": is("ok"), "descriptors": descriptors })))
    }
}

/// Makes the end blocking, as a program expects of its standard streams.
fn set_blocking(end: &PipeEnd) -> Result<(), Refusal> {
    if let Some(fd) = &end.fd {
        let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
        fcntl(fd, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    }
    Ok(())
}
