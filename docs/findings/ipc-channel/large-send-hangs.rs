//! Sending a large message to a receiver that is gone never returns, and sending a small one fails as it should.

use ipc_channel::ipc;
use std::{process::exit, sync::mpsc, thread, time::Duration};

fn main() {
    // The receiver takes nothing and goes away while the sender waits for space.
    let (sender, receiver) = ipc::channel::<Vec<u8>>().unwrap();
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(sender.send(vec![0; 16 << 20]).map_err(|error| error.to_string())));
    thread::sleep(Duration::from_millis(500));
    drop(receiver);
    let large = result.recv_timeout(Duration::from_secs(5));

    let (sender, receiver) = ipc::channel::<Vec<u8>>().unwrap();
    drop(receiver);
    let small = sender.send(vec![0; 16]).map_err(|error| error.to_string());

    println!("expected: both sends return an error");
    println!("observed: the small one returns {small:?}");
    match &large {
        Ok(returned) => println!("observed: the large one returns {returned:?}"),
        Err(_) => println!("observed: the large one has not returned after 5 seconds"),
    }
    exit(i32::from(large.is_ok() || small.is_ok()));
}
