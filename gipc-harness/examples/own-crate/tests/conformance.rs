//! The conformance suite on this crate: `cargo test` runs each scenario as a test.

use framed::{Reader, Writer};
use gipc_agent::{Failure, Identity, Pipes, serve_pipes};

struct Framed;

impl Pipes for Framed {
    type Reader = Reader;
    type Writer = Writer;

    fn pipe() -> Result<(Reader, Writer), Failure> {
        Ok(framed::pipe()?)
    }
    async fn put(writer: &Writer, message: &[u8]) -> Result<(), Failure> {
        Ok(writer.put(message).await?)
    }
    async fn get(reader: &Reader) -> Result<Option<Vec<u8>>, Failure> {
        Ok(reader.get().await?)
    }
}

fn agent(role: &str) {
    serve_pipes::<Framed>(&Identity::new("framed", "0.1.0", &["core"]), role);
}

gipc_harness::conformance! { agent: agent, scenarios: ["close/", "message/"] }
