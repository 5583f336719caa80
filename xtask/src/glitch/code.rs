//! Whose code an instruction is, and where it stands in the sources.
//!
//! What everybody calls (outlined pieces, memory routines) belongs to whoever ran before it: its caller.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use thumb_interpreter::Reference;

use crate::elf::{Firmware, Line};

/// Whose code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Ours: loader, board, and whatever else is linked.
    Ours,
    /// Ours as well: verification and SHA-512, the loops of which run a hundred thousand times.
    OurCrypto,
    /// A crate that computes digests or points of the curve.
    CryptoCrate,
}

impl Owner {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OurCrypto => "our crypto",
            Self::CryptoCrate => "crypto crate",
        }
    }
}

/// Parts of the paths of crates that compute digests and points.
const CRYPTO_CRATES: [&str; 7] = ["/salty-", "/sha2-", "/digest-", "/block-buffer-", "/crypto-common-", "/hybrid-array-", "/subtle-"];

/// Parts of the names of their functions without debug information.
const CRYPTO_SYMBOLS: [&str; 2] = ["fe25519", "salty"];

/// How the names of pieces begin that the compiler has found in more than one function. Their debug information is that of one of them, if any.
const OUTLINED: &str = "OUTLINED_FUNCTION_";

const OUR_FOLDERS: [&str; 2] = ["bootloader/src/", "qemu-boards/"];
const OUR_CRYPTO_FOLDER: &str = "bootloader/src/crypto/";

/// Memory routines stand in one of our files, and are everybody's.
const SHARED: &str = "qemu-boards/mps2/src/routines.rs";

/// What takes numbers out of bytes.
pub(super) const READER: &str = "bootloader/src/codec.rs";

/// Whose code each executed instruction is.
pub(super) struct Owners {
    by_address: BTreeMap<u32, Place>,
}

/// Where an instruction stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// `None` for what belongs to its caller.
    owner: Option<Owner>,
    /// The function, file and line, for people.
    pub(super) words: String,
}

impl Owners {
    /// Looks up every address that a run has visited.
    pub(super) fn of(elf: &Firmware, reference: &Reference) -> Result<Self> {
        let addresses: Vec<u64> = reference.visits().iter().map(|visit| visit.address.into()).collect();
        let lines = elf.lines(&addresses).context("the loader's debug information can not be read")?;
        let places = reference.visits().iter().zip(lines).map(|(visit, (symbol, lines))| (visit.address, place(&symbol, &lines)));
        Ok(Self { by_address: places.collect() })
    }

    /// The words for an address.
    pub(super) fn words(&self, address: u32) -> &str {
        self.by_address.get(&address).map_or("?", |place| &place.words)
    }

    /// Whether an address is in what takes numbers out of bytes.
    pub(super) fn is_reader(&self, address: u32) -> bool {
        self.words(address).contains(READER)
    }

    /// The owner of each instruction of a run.
    pub(super) fn of_each(&self, reference: &Reference) -> Vec<Owner> {
        let mut last = Owner::Ours;
        let mut owner = |number| {
            let place = self.by_address.get(&reference.address(number));
            last = place.and_then(|place| place.owner).unwrap_or(last);
            last
        };
        (0..reference.len()).map(&mut owner).collect()
    }
}

fn place(symbol: &str, lines: &[Line]) -> Place {
    let by_lines = || lines.iter().find_map(|line| owner_of(&line.file)).or_else(|| is_crypto_symbol(symbol).then_some(Owner::CryptoCrate));
    let owner = if symbol.starts_with(OUTLINED) { None } else { by_lines() };
    let known = lines.iter().find(|line| owner_of(&line.file).is_some()).or_else(|| lines.first());
    let words = known.map_or_else(|| symbol.to_owned(), |line| format!("{} {}:{}", line.function, short(&line.file), line.line));
    Place { owner, words }
}

fn owner_of(file: &str) -> Option<Owner> {
    if CRYPTO_CRATES.iter().any(|part| file.contains(part)) {
        return Some(Owner::CryptoCrate);
    }
    if file.contains(OUR_CRYPTO_FOLDER) {
        return Some(Owner::OurCrypto);
    }
    let is_ours = OUR_FOLDERS.iter().any(|part| file.contains(part)) && !file.contains(SHARED);
    (is_ours || file.contains("/registry/src/")).then_some(Owner::Ours)
}

fn is_crypto_symbol(symbol: &str) -> bool {
    CRYPTO_SYMBOLS.iter().any(|part| symbol.contains(part))
}

/// A path from the checkout's top folder, or from the crate's.
fn short(file: &str) -> &str {
    let starts = OUR_FOLDERS.iter().filter_map(|folder| file.find(folder));
    let start = starts.min().or_else(|| file.find("/registry/src/").and_then(|at| file.get(at + 14..)?.find('/').map(|next| at + 15 + next)));
    start.and_then(|at| file.get(at..)).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(file: &str) -> Line {
        Line { function: "f".to_owned(), file: file.to_owned(), line: 1 }
    }

    fn owner(symbol: &str, files: &[&str]) -> Option<Owner> {
        place(symbol, &files.iter().map(|file| line(file)).collect::<Vec<_>>()).owner
    }

    #[test]
    fn code_of_the_standard_library_belongs_to_whoever_it_is_inlined_into() {
        assert_eq!(owner("x", &["/rustc/1/library/core/src/slice/mod.rs", "/w/bootloader/src/boot.rs"]), Some(Owner::Ours));
        assert_eq!(
            owner("x", &["/rustc/1/library/core/src/num/mod.rs", "/c/registry/src/i/sha2-0.11.0/src/lib.rs", "/w/bootloader/src/boot.rs"]),
            Some(Owner::CryptoCrate)
        );
    }

    #[test]
    fn our_verification_is_told_from_the_rest() {
        assert_eq!(owner("x", &["/w/bootloader/src/crypto/ed25519.rs"]), Some(Owner::OurCrypto));
    }

    #[test]
    fn assembly_is_known_by_its_symbol_and_shared_routines_belong_to_nobody() {
        assert_eq!(owner("fe25519_mul_asm", &[]), Some(Owner::CryptoCrate));
        assert_eq!(owner("OUTLINED_FUNCTION_3", &["/w/bootloader/src/boot.rs"]), None);
        assert_eq!(owner("memcpy", &["/w/qemu-boards/mps2/src/routines.rs"]), None);
    }

    #[test]
    fn paths_are_shown_from_their_crate_on() {
        assert_eq!(short("/c/registry/src/index.crates.io-1/salty-0.3.0/src/lib.rs"), "salty-0.3.0/src/lib.rs");
        assert_eq!(short("/w/main/bootloader/src/boot.rs"), "bootloader/src/boot.rs");
    }
}
