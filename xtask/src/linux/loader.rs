//! The loader as the machine is started with it: the bytes of its segments, from the first one on.

use anyhow::{Result, bail, ensure};
use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// Larger than any loader.
const LIMIT: u64 = 1024 * 1024;

/// The bytes from address `base` on, from the loader's ELF.
pub(super) fn flat(elf: &[u8], base: u64) -> Result<Vec<u8>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let mut flat = Vec::new();
    for segment in header.program_headers(endian, elf)?.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let Ok(bytes) = segment.data(endian, elf) else { bail!("a segment ends behind the loader's ELF file") };
        if bytes.is_empty() {
            continue;
        }
        let address = segment.p_paddr(endian);
        let start = address.checked_sub(base).filter(|start| *start < LIMIT);
        let Some(start) = start else { bail!("the loader has bytes at {address:#x}, which is not where its code belongs") };
        let (start, end) = (usize::try_from(start)?, usize::try_from(start)? + bytes.len());
        flat.resize(flat.len().max(end), 0);
        flat[start..end].copy_from_slice(bytes);
    }
    ensure!(!flat.is_empty(), "the loader's ELF file has nothing to load");
    Ok(flat)
}

/// The loader as it would be on a processor without SHA-256 instructions, which no model of the emulator is: whatever reads ID_AA64ISAR0_EL1 reads zero.
pub(super) fn without_instructions(loader: &[u8]) -> Result<Vec<u8>> {
    let mut changed = loader.to_vec();
    let mut reads = 0;
    for word in changed.as_chunks_mut::<4>().0 {
        let instruction = u32::from_le_bytes(*word);
        if instruction & !REGISTER == READ_FEATURES {
            *word = (MOVE_ZERO | instruction & REGISTER).to_le_bytes();
            reads += 1;
        }
    }
    ensure!(reads > 0, "the loader never asks whether the processor has SHA-256 instructions");
    Ok(changed)
}

/// `MRS Xt, S3_0_C0_C6_0` and `MOVZ Xt, #0`, with the register in the lowest bits. Source: Arm DDI 0487, C6.2.228 and C6.2.223.
const READ_FEATURES: u32 = 0xd538_0600;
const MOVE_ZERO: u32 = 0xd280_0000;
const REGISTER: u32 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;

    /// `mrs x9, id_aa64isar0_el1` between a move and a read of another register.
    #[test]
    fn reads_of_the_processors_features_become_zeros_in_their_register() {
        let program = |middle: u32| [0xaa01_03e0, middle, 0xd538_0629].iter().flat_map(|word: &u32| word.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(without_instructions(&program(0xd538_0609)).ok(), Some(program(0xd280_0009)));
        assert!(without_instructions(&program(0xd538_0629)).is_err(), "nothing was changed");
    }
}
