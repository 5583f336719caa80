//! The bytes of a loader's ELF and where they go.

use std::path::Path;

use object::{
    Endianness,
    elf::{FileHeader32, FileHeader64, PT_LOAD},
    read::elf::{FileHeader, ProgramHeader},
};

use crate::{refusal::Refusal, report::Failure};

/// Bytes for one range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first address.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// The address behind the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.bytes.len() as u64)
    }
}

/// Reads the load segments of an ELF file, at their physical (load) addresses. Segments without bytes in the file are left out.
///
/// # Errors
/// The file can not be read, is no ELF, or has no bytes to load.
pub fn read_segments(path: &Path) -> Result<Vec<Segment>, Failure> {
    let data = crate::commands::read_file(path)?;
    let segments = match data.get(4) {
        Some(1) => load_segments::<FileHeader32<Endianness>>(&data),
        _ => load_segments::<FileHeader64<Endianness>>(&data),
    };
    let refuse = |reason: String| Failure::from(Refusal::Loader { path: path.to_owned(), reason });
    let segments = segments.map_err(|error| refuse(format!("not an ELF file: {error}")))?;
    if segments.is_empty() { Err(refuse("the ELF file has nothing to load: link it with the board's memory.x".to_owned())) } else { Ok(segments) }
}

fn load_segments<Elf: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Vec<Segment>, String> {
    let header = Elf::parse(data).map_err(|error| error.to_string())?;
    let endian = header.endian().map_err(|error| error.to_string())?;
    let program_headers = header.program_headers(endian, data).map_err(|error| error.to_string())?;
    let mut segments = Vec::new();
    for segment in program_headers.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let bytes = segment.data(endian, data).map_err(|()| "a segment ends behind the file".to_owned())?;
        if !bytes.is_empty() {
            segments.push(Segment { address: segment.p_paddr(endian).into(), bytes: bytes.to_vec() });
        }
    }
    Ok(segments)
}
