//! AES-256-CBC with WeChat's key and padding.

use aes::Aes256;
use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// WeChat pads to this many bytes, twice the cipher's own block.
const PADDED_TO_BYTES: usize = 32;
const AES_BLOCK_BYTES: usize = 16;
const KEY_CHARS: usize = 43;

/// 43 characters carry 258 bits and a key has 256: WeChat makes the two that are left over at random, so a strict
/// decoder would refuse three keys of four.
const KEY_DECODER: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

pub(super) struct Cipher {
    key: [u8; 32],
}

impl Cipher {
    pub(super) fn from_encoding_aes_key(text: &str) -> Option<Self> {
        if text.len() != KEY_CHARS {
            return None;
        }
        let key = KEY_DECODER.decode(format!("{text}=")).ok()?;
        Some(Self { key: key.try_into().ok()? })
    }

    pub(super) fn encrypt(&self, mut text: Vec<u8>) -> Vec<u8> {
        let padding = PADDED_TO_BYTES - text.len() % PADDED_TO_BYTES;
        // 1 to 32, so it fits a byte.
        text.resize(text.len() + padding, padding as u8);
        let mut cipher = cbc::Encryptor::<Aes256>::new(&self.key.into(), &self.initial_vector().into());
        let (blocks, _) = Block::<Aes256>::slice_as_chunks_mut(&mut text);
        cipher.encrypt_blocks(blocks);
        text
    }

    pub(super) fn decrypt(&self, mut text: Vec<u8>) -> Option<Vec<u8>> {
        if text.is_empty() || !text.len().is_multiple_of(PADDED_TO_BYTES) {
            return None;
        }
        let mut cipher = cbc::Decryptor::<Aes256>::new(&self.key.into(), &self.initial_vector().into());
        let (blocks, _) = Block::<Aes256>::slice_as_chunks_mut(&mut text);
        cipher.decrypt_blocks(blocks);
        let length = length_without_padding(&text)?;
        text.truncate(length);
        Some(text)
    }

    fn initial_vector(&self) -> [u8; AES_BLOCK_BYTES] {
        let mut vector = [0; AES_BLOCK_BYTES];
        vector.copy_from_slice(&self.key[..AES_BLOCK_BYTES]);
        vector
    }
}

/// The signature was checked before, so telling a bad padding from other faults helps nobody.
fn length_without_padding(text: &[u8]) -> Option<usize> {
    let padding = usize::from(*text.last()?);
    let length = text.len().checked_sub(padding)?;
    let whole = (1..=PADDED_TO_BYTES).contains(&padding);
    let alike = text[length..].iter().all(|byte| usize::from(*byte) == padding);
    (whole && alike).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_always_there_and_counts_32() {
        let cipher = Cipher::from_encoding_aes_key(&"A".repeat(KEY_CHARS)).unwrap();
        for (length, padded) in [(0, 32), (1, 32), (31, 32), (32, 64), (33, 64)] {
            let text = vec![9; length];
            let encrypted = cipher.encrypt(text.clone());
            assert_eq!(encrypted.len(), padded);
            assert_eq!(cipher.decrypt(encrypted), Some(text));
        }
    }

    #[test]
    fn left_over_bits_of_a_key_do_not_matter() {
        let key =
            |last: char| Cipher::from_encoding_aes_key(&format!("{}{last}", "A".repeat(42))).map(|c| c.key);
        assert_eq!(key('B'), key('A'));
        assert_ne!(key('E'), key('A'));
    }

    #[test]
    fn bad_padding_is_refused() {
        assert_eq!(length_without_padding(&[1; 32]), Some(31));
        assert_eq!(length_without_padding(&[32; 32]), Some(0));
        assert_eq!(length_without_padding(&[0; 32]), None);
        assert_eq!(length_without_padding(&[33; 64]), None);
        assert_eq!(length_without_padding(&[2, 1, 2]), None);
        assert_eq!(length_without_padding(&[9, 9]), None);
        assert_eq!(length_without_padding(&[]), None);
    }
}
