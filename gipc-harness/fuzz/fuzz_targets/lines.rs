//! Whatever an agent sends, in whatever pieces it arrives, comes to the same messages, and to one error at most.
#![no_main]

use gipc_agent::LineDecoder;
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut lines, mut said) = (Lines::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        lines.room().extend_from_slice(piece);
        while let Some(message) = lines.next_message() {
            let is_good = message.is_ok();
            said.push(format!("{message:?}"));
            if !is_good {
                return said;
            }
        }
    }
    said
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, 1));
    assert_eq!(whole, read(bytes, 13));
});
