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
