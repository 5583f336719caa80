//! A GPT around the regions of a disk, for whoever looks at it under Linux: one partition a region, under the region's name. No loader reads it.
//!
//! Source: UEFI specification 2.10, section 5.3. The same layout always gives the same bytes: identifiers are derived from the layout's digest.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use twinslot_bootloader::crypto::{Builtin, Crypto as _};
use twinslot_config::{Layout, layout::Span};

use crate::refusal::Refusal;

const SECTOR: u64 = 512;
const ENTRIES: u64 = 128;
const ENTRY_SIZE: u64 = 128;

/// Sectors of one array of entries.
const ARRAY_SECTORS: u64 = ENTRIES * ENTRY_SIZE / SECTOR;

/// Sectors that a table takes at the disk's start, the protective MBR included; at its end it takes one less.
const FIRST_FREE: u64 = 2 + ARRAY_SECTORS;

/// Bytes of the header that its CRC covers.
const HEADER_SIZE: usize = 92;

/// Characters of a partition's name, as UTF-16.
const NAME_LIMIT: usize = 36;

/// "Linux filesystem data", in the byte order of a GPT: what tools mount when asked to, and nothing starts from.
const LINUX_DATA: [u8; 16] = [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

/// Both copies of a table.
#[derive(Debug)]
pub struct Gpt {
    sectors: u64,
    disk: [u8; 16],
    array: Vec<u8>,
}

impl Gpt {
    /// The table of a layout's regions.
    ///
    /// # Errors
    /// The disk's size is not known, or a region lies where the table has to.
    pub fn of(layout: &Layout) -> Result<Self, Refusal> {
        let refuse = |reason: String| Refusal::NoRoomForGpt { reason };
        let size = layout.flash.size.ok_or_else(|| refuse("flash.size, the disk's size, is missing".to_owned()))?;
        let sectors = size / SECTOR;
        let usable = FIRST_FREE..sectors.saturating_sub(ARRAY_SECTORS + 1);
        let mut array = Vec::new();
        for (name, Span { offset, size }) in layout.flash_regions() {
            let (start, end) = (offset / SECTOR, (offset + size) / SECTOR);
            let is_whole = offset.is_multiple_of(SECTOR) && size.is_multiple_of(SECTOR);
            if !is_whole || start < usable.start || end > usable.end {
                return Err(refuse(format!("{name} does not lie in whole sectors between {} and {}", usable.start, usable.end)));
            }
            array.extend(entry(layout, name, start, end - 1));
        }
        array.resize((ENTRIES * ENTRY_SIZE) as usize, 0);
        Ok(Self { sectors, disk: identifier(layout, "disk"), array })
    }

    /// Writes both copies and the protective MBR.
    ///
    /// # Errors
    /// The file can not be written.
    pub fn write_to(&self, file: &File) -> io::Result<()> {
        let last = self.sectors.saturating_sub(1);
        let second_array = last.saturating_sub(ARRAY_SECTORS);
        file.write_all_at(&self.protective_mbr(), 0)?;
        file.write_all_at(&self.header(1, last, 2), SECTOR)?;
        file.write_all_at(&self.array, 2 * SECTOR)?;
        file.write_all_at(&self.array, second_array * SECTOR)?;
        file.write_all_at(&self.header(last, 1, second_array), last * SECTOR)
    }

    fn header(&self, own: u64, other: u64, array: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity(SECTOR as usize);
        header.extend(b"EFI PART");
        header.extend([0, 0, 1, 0]);
        header.extend((HEADER_SIZE as u32).to_le_bytes());
        header.extend([0; 8]);
        for number in [own, other, FIRST_FREE, self.sectors.saturating_sub(ARRAY_SECTORS + 2)] {
            header.extend(number.to_le_bytes());
        }
        header.extend(self.disk);
        header.extend(array.to_le_bytes());
        header.extend((ENTRIES as u32).to_le_bytes());
        header.extend((ENTRY_SIZE as u32).to_le_bytes());
        header.extend(crc32(&self.array).to_le_bytes());
        let crc = crc32(&header);
        header.splice(16..20, crc.to_le_bytes());
        header.resize(SECTOR as usize, 0);
        header
    }

    /// One partition of type 0xEE over everything, so that tools without GPT leave the disk alone.
    fn protective_mbr(&self) -> Vec<u8> {
        let mut sector = vec![0; 446];
        let size = u32::try_from(self.sectors.saturating_sub(1)).unwrap_or(u32::MAX);
        sector.extend([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
        sector.extend(1_u32.to_le_bytes());
        sector.extend(size.to_le_bytes());
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        sector
    }
}

fn entry(layout: &Layout, name: &str, first: u64, last: u64) -> Vec<u8> {
    let mut entry = Vec::with_capacity(ENTRY_SIZE as usize);
    entry.extend(LINUX_DATA);
    entry.extend(identifier(layout, name));
    entry.extend(first.to_le_bytes());
    entry.extend(last.to_le_bytes());
    entry.extend([0; 8]);
    entry.extend(name.encode_utf16().take(NAME_LIMIT).flat_map(u16::to_le_bytes));
    entry.resize(ENTRY_SIZE as usize, 0);
    entry
}

/// A UUID of version 8 from the layout's digest and a name, in the byte order of a GPT. Source: RFC 9562, section 5.8.
fn identifier(layout: &Layout, name: &str) -> [u8; 16] {
    let mut seed = layout.digest().to_vec();
    seed.extend(name.as_bytes());
    let digest = Builtin.digest(&seed);
    let mut identifier: [u8; 16] = std::array::from_fn(|at| digest[at]);
    identifier[7] = identifier[7] & 0x0f | 0x80;
    identifier[8] = identifier[8] & 0x3f | 0x80;
    identifier
}

fn crc32(bytes: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes)
}
