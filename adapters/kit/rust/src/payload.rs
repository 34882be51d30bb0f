//! Payloads: the noise that long messages are made of, and the digests that messages are compared by.

use sha2::{Digest, Sha256};

/// The length in bytes of the block that noise repeats. It is a prime, so that chunks whose size is a power of two
/// differ from each other.
pub const NOISE_BLOCK: usize = 65_521;

/// `len` bytes that depend on the seed: the digests SHA-256(`seed:0`), SHA-256(`seed:1`), … one after the other, cut
/// to [`NOISE_BLOCK`] bytes, and that block repeated.
///
/// # Panics
///
/// If `len` is larger than the address space.
#[must_use]
pub fn noise(seed: &str, len: u64) -> Vec<u8> {
    let len = usize::try_from(len).expect("a message fits the address space");
    let mut bytes = Vec::with_capacity(len);
    let mut n = 0_u32;
    while bytes.len() < len.min(NOISE_BLOCK) {
        bytes.extend_from_slice(&Sha256::digest(format!("{seed}:{n}")));
        n += 1;
    }
    bytes.truncate(len.min(NOISE_BLOCK));
    while bytes.len() < len {
        let more = (len - bytes.len()).min(bytes.len() - bytes.len() % NOISE_BLOCK);
        bytes.extend_from_within(..more);
    }
    bytes
}

/// `digest(&noise(seed, len))`, computed without allocating the noise.
#[must_use]
pub fn noise_digest(seed: &str, len: u64) -> String {
    let block = noise(seed, len.min(NOISE_BLOCK as u64));
    let mut hash = Sha256::new();
    let mut missing = len;
    while missing > 0 {
        let part = missing.min(block.len() as u64);
        hash.update(&block[..part as usize]);
        missing -= part;
    }
    hexadecimal(&hash.finalize())
}

/// The SHA-256 digest of a message, in lower-case hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_one_block_repeated_and_cut() {
        let long = noise("child#1", 200_000);
        assert_eq!(long.len(), 200_000);
        assert_eq!(long[..NOISE_BLOCK], noise("child#1", NOISE_BLOCK as u64)[..]);
        assert!(long.iter().enumerate().all(|(i, byte)| *byte == long[i % NOISE_BLOCK]));
        assert_ne!(noise("child#2", 16), noise("child#1", 16));
        assert!(noise("x", 0).is_empty());
    }

    #[test]
    fn the_digest_of_noise_is_that_of_its_bytes() {
        assert_eq!(noise_digest("child#1", 200_000), digest(&noise("child#1", 200_000)));
        assert_eq!(noise_digest("x", 0), digest(b""));
        let documented = noise_digest("main#1", 300_000);
        assert!(documented.starts_with("7eb54e71") && documented.ends_with("d089b470"));
    }
}
