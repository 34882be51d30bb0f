//! A server in the parent and a thousand clients in a child: sockets, pipes and children beside each other on one loop.

use gipc_core::{Command, Start, entry, init};
use std::io::Write;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error>;

const CLIENTS: usize = 1000;

/// How many at once, so that no system's limit of descriptors is met.
const WAVE: usize = 100;

/// Says its number, and returns whether the answer fits.
async fn client(address: std::net::SocketAddr, number: usize) -> std::io::Result<bool> {
    let mut stream = BufStream::new(TcpStream::connect(address).await?);
    stream.write_all(format!("{number}\n").as_bytes()).await?;
    stream.flush().await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    Ok(answer.trim() == (number * 2).to_string())
}

entry! {
    /// Runs all clients, and returns how many were served well.
    async fn clients(start: Start<std::net::SocketAddr>) -> usize {
        let mut served = 0;
        for wave in 0..CLIENTS / WAVE {
            let numbers = wave * WAVE..(wave + 1) * WAVE;
            let tasks: Vec<_> = numbers.map(|number| tokio::spawn(client(start.args, number))).collect();
            for task in tasks {
                served += usize::from(matches!(task.await, Ok(Ok(true))));
            }
        }
        served
    }
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufStream::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let number: usize = line.trim().parse().map_err(std::io::Error::other)?;
    stream.write_all(format!("{}\n", number * 2).as_bytes()).await?;
    stream.flush().await
}

fn main() -> Result<(), Failure> {
    init!(clients);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let child = Command::new(clients())?.spawn(&listener.local_addr()?)?;
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        let served = child.join().await?.returned()?;
        server.abort();
        writeln!(std::io::stdout(), "{served} clients were served")?;
        Ok(())
    })
}
