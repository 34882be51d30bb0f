//! Any bytes of an agent decode to the same messages and at most one error, whatever pieces they arrive in.
#![no_main]

use gipc_agent::LineDecoder;
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut decoder, mut messages) = (LineDecoder::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.buffer_mut().extend_from_slice(piece);
        while let Some(message) = decoder.next_message() {
            let is_good = message.is_ok();
            messages.push(format!("{message:?}"));
            if !is_good {
                return messages;
            }
        }
    }
    messages
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, 1));
    assert_eq!(whole, read(bytes, 13));
});
