//! The loader as the machine's flash holds it: the bytes of its segments from address 0 on.

use anyhow::{Result, bail, ensure};
use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// Larger than any loader; what lies behind it is no flash.
const LIMIT: u64 = 1024 * 1024;

/// The flash's content, from the loader's ELF.
pub(super) fn flat(elf: &[u8]) -> Result<Vec<u8>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let mut flat = Vec::new();
    for segment in header.program_headers(endian, elf)?.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let Ok(bytes) = segment.data(endian, elf) else { bail!("a segment ends behind the loader's ELF file") };
        if bytes.is_empty() {
            continue;
        }
        let start = segment.p_paddr(endian);
        ensure!(start < LIMIT, "the loader has bytes at {start:#x}, which is not in the flash");
        let (start, end) = (usize::try_from(start)?, usize::try_from(start)? + bytes.len());
        flat.resize(flat.len().max(end), 0);
        flat[start..end].copy_from_slice(bytes);
    }
    ensure!(!flat.is_empty(), "the loader's ELF file has nothing to load");
    Ok(flat)
}
