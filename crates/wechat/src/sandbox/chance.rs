//! Chance that can be repeated: a seed and a counter, hashed. Good enough to look random, and not meant as a secret.

use sha1::{Digest, Sha1};

/// 64 characters that stand in addresses unescaped, so that each byte gives one without a bias.
const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A word of letters, digits, `-` and `_`.
    pub(super) fn word(&mut self, length: usize) -> String {
        let mut word = String::with_capacity(length);
        while word.len() < length {
            let block = self.block();
            let characters = block.iter().map(|byte| char::from(CHARACTERS[usize::from(byte % 64)]));
            word.extend(characters.take(length - word.len()));
        }
        word
    }

    pub(super) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.block()[..16]);
        bytes
    }

    pub(super) fn number(&mut self) -> u32 {
        let block = self.block();
        u32::from_be_bytes([block[0], block[1], block[2], block[3]])
    }

    fn block(&mut self) -> [u8; 20] {
        self.drawn += 1;
        let hash = Sha1::new().chain_update(self.seed.to_be_bytes()).chain_update(self.drawn.to_be_bytes());
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_a_draw_does_not() {
        let (mut one, mut same, mut other) = (Chance::new(1), Chance::new(1), Chance::new(2));
        let first = one.word(50);
        assert_eq!(first.len(), 50);
        assert_eq!(same.word(50), first);
        assert_ne!(one.word(50), first);
        assert_ne!(other.word(50), first);
    }
}
