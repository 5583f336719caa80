//! Digests by the SHA-256 instructions, printed for the task runner to judge.
//!
//! Each length is hashed at every alignment to 16 and in pieces of several sizes, which must all give the same digest.

use linux_shell::console::Line;
use twinslot_bootloader::crypto::{Digest, Sha256 as _};

use super::machine::Virt;
use super::sha256::InstructionSha256;

/// The longest message: five blocks.
const LONGEST: usize = 320;

/// What the instructions and loads could tell apart.
const ALIGNMENTS: usize = 16;

/// Bytes that are hashed at once: around a block, and all.
const PIECES: [usize; 6] = [1, 3, 63, 64, 65, LONGEST];

/// The last of the published examples: so many times the letter a. Source: FIPS 180-2, appendix B.3.
const MILLION: usize = 1_000_000;

/// Room for a message at every alignment.
#[repr(align(16))]
struct Room([u8; ALIGNMENTS + LONGEST]);

/// Prints a line for each length and one for the published example.
pub(super) fn print() {
    let Some(start) = InstructionSha256::new() else {
        drop(Line::new(&Virt).text("hash: this processor has no SHA-256 instructions"));
        return;
    };
    for len in 0..=LONGEST {
        match digest(&start, len) {
            Some(digest) => show(Line::new(&Virt).text("hash ").number(len as u64), &digest),
            None => drop(Line::new(&Virt).text("hash ").number(len as u64).text(" depends on alignment or pieces")),
        }
    }
    let mut hash = start;
    let piece = [b'a'; 1000];
    (0..MILLION / piece.len()).for_each(|_| hash.update(&piece));
    show(Line::new(&Virt).text("hash a million"), &hash.finish());
}

/// The digest of the message of a length; `None` when it depends on where it lies or how it is cut.
fn digest(start: &InstructionSha256, len: usize) -> Option<Digest> {
    let mut room = Room([0; ALIGNMENTS + LONGEST]);
    let mut found = None;
    for alignment in 0..ALIGNMENTS {
        let message = &mut room.0[alignment..alignment + len];
        message.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 7 + at / 256) as u8);
        for size in PIECES {
            let mut hash = start.clone();
            message.chunks(size).for_each(|piece| hash.update(piece));
            let digest = hash.finish();
            if *found.get_or_insert(digest) != digest {
                return None;
            }
        }
    }
    found
}

fn show(line: Line<'_, Virt>, digest: &Digest) {
    let words = digest.as_chunks::<8>().0.iter();
    drop(words.fold(line, |line, word| line.text(" ").hexadecimal(u64::from_be_bytes(*word))));
}
