//! The conformance suite on this crate: `cargo test` runs each scenario as a test.

use framed::{Reader, Writer};
use gipc_agent::*;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

#[derive(Default)]
struct Agent {
    readers: RefCell<BTreeMap<String, Rc<Reader>>>,
    writers: RefCell<BTreeMap<String, Rc<Writer>>>,
}

impl Resources for Agent {}

impl Implementation for Agent {
    async fn perform(&self, command: Command) -> Answer {
        match command {
            Command::Pipe { reader, writer, .. } => {
                let (r, w) = framed::pipe()?;
                let ends = [(reader.clone(), r.descriptor().await), (writer.clone(), w.descriptor().await)];
                self.readers.borrow_mut().insert(reader, Rc::new(r));
                self.writers.borrow_mut().insert(writer, Rc::new(w));
                Ok(Completed::with_descriptors(ends.into()))
            }
            Command::Put { handle, payload } => {
                let writer = self.writers.borrow().get(&handle).cloned().ok_or(WireOutcome::Closed)?;
                writer.put(&payload_bytes(&payload)).await?;
                Ok(WireOutcome::Ok.into())
            }
            Command::Get { handle } => {
                let reader = self.readers.borrow().get(&handle).cloned().ok_or(WireOutcome::Closed)?;
                let message = reader.get().await?;
                Ok(message.map_or(WireOutcome::Eof, |message| message_outcome(&message)).into())
            }
            Command::Close { handle } => {
                let reader = self.readers.borrow_mut().remove(&handle).map(drop);
                let writer = self.writers.borrow_mut().remove(&handle).map(drop);
                Ok(reader.or(writer).map_or(WireOutcome::Closed, |()| WireOutcome::Ok).into())
            }
            other => Err(Failure::unsupported(format!("{other:?}"))),
        }
    }
}

fn agent(role: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let identity = Identity::new("framed", "0.1.0", &["core"]);
    conclude(runtime.block_on(serve(Agent::default(), &identity, role)));
}

gipc_harness::conformance! { agent: agent, scenarios: ["close/", "message/"] }
