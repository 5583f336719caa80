//! The memory map of MPS2 with application note AN386, as the emulator has it. Source: Arm DAI 0386, and `hw/arm/mps2.c` of QEMU.
//!
//! What a loader writes all the time lies in `ram` and is copied with a state. Everything else is shared by all states of a machine, with the pages
//! that one state has written kept beside it.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::Trap;
use crate::devices::Devices;

/// SSRAM1, which holds the loader. It is mirrored once.
const CODE: Range<u32> = 0..0x40_0000;
/// SSRAM2 and SSRAM3, mirrored once.
const DATA: Range<u32> = 0x2000_0000..0x2040_0000;
/// PSRAM, which is the board's flash.
const FLASH: Range<u32> = 0x2100_0000..0x2200_0000;
/// Block RAM, mirrored three times.
const BLOCK: Range<u32> = 0x0100_0000..0x0101_0000;
const BLOCK_SIZE: u32 = 0x4000;

/// Where the emulator has a device that does nothing in place of memory: it reads as zero, and what is written is lost.
const RESERVED: [Range<u32>; 3] = [0x80_0000..0x100_0000, 0x101_0000..0x2000_0000, 0x2080_0000..0x2100_0000];

/// Bytes from the start of DATA that are copied with each state.
pub(crate) const RAM_SIZE: usize = 0x8000;

const PAGE: u32 = 1024;

/// A set of words of `ram`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words([u64; RAM_SIZE / 4 / 64]);

impl Default for Words {
    fn default() -> Self {
        Self([0; RAM_SIZE / 4 / 64])
    }
}

impl Words {
    fn add(&mut self, index: usize) {
        if let Some(bits) = self.0.get_mut(index / 64) {
            *bits |= 1 << (index % 64);
        }
    }

    /// The words that an access of `size` bytes touches, as far as it meets `ram`.
    pub(crate) fn touch(&mut self, address: u32, size: u32) {
        for offset in 0..size.div_ceil(4) + 1 {
            let last = address.wrapping_add(size - 1);
            let touched = address.wrapping_add(offset * 4).min(last);
            self.add((touched.wrapping_sub(DATA.start) / 4) as usize);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(own, others)| own & others != 0)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        let of = |(index, bits): (usize, u64)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| index * 64 + bit);
        self.0.into_iter().enumerate().filter(|(_, bits)| *bits != 0).flat_map(of)
    }
}

/// What the machine starts with, the same for all states.
#[derive(Debug)]
pub(crate) struct Contents {
    /// From address 0 on; the rest of SSRAM1 is zero.
    pub(crate) code: Vec<u8>,
    /// From the start of the flash on; the rest is zero.
    pub(crate) flash: Vec<u8>,
}

type Page = Arc<[u8; PAGE as usize]>;

/// Memory and devices of one state.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    ram: Vec<u8>,
    contents: Arc<Contents>,
    /// What differs from the contents, by the address of its first byte.
    written: BTreeMap<u32, Page>,
    pub(crate) devices: Devices,
    /// Whether code that is decoded already was written to.
    pub(crate) code_is_written: bool,
}

impl Memory {
    pub(crate) fn new(contents: Arc<Contents>) -> Self {
        Self { ram: vec![0; RAM_SIZE], contents, written: BTreeMap::new(), devices: Devices::default(), code_is_written: false }
    }

    /// Becomes a copy of another state of the same machine.
    pub(crate) fn restore(&mut self, from: &Self) {
        self.ram.copy_from_slice(&from.ram);
        if !(self.written.is_empty() && from.written.is_empty()) {
            self.written.clone_from(&from.written);
        }
        self.devices.clone_from(&from.devices);
        self.code_is_written = from.code_is_written;
    }

    /// The words of RAM in which two states of one machine differ; `None` when they differ elsewhere too. A program never reads what lies below its
    /// `stack` before it has written it, so that does not count; nor does the console, which nothing reads back.
    pub(crate) fn difference(&self, other: &Self, stack: u32) -> Option<Words> {
        if !self.devices.is_same(&other.devices) || self.written != other.written {
            return None;
        }
        let used = (stack.wrapping_sub(DATA.start) as usize).min(self.ram.len()) / 4;
        let mut words = Words::default();
        if self.ram[used * 4..] == other.ram[used * 4..] {
            return Some(words);
        }
        let pairs = self.ram.as_chunks::<4>().0.iter().zip(other.ram.as_chunks::<4>().0);
        for (index, (own, others)) in pairs.enumerate().skip(used) {
            if own != others {
                words.add(index);
            }
        }
        Some(words)
    }

    /// Of what [`Self::difference`] looks at; of all of RAM when the stack lies elsewhere.
    pub(crate) fn hash(&self, stack: u32, hasher: &mut impl Hasher) {
        let used = Some(stack.wrapping_sub(DATA.start) as usize / 4 * 4).filter(|used| *used < self.ram.len()).unwrap_or(0);
        self.ram[used..].hash(hasher);
        self.written.hash(hasher);
        self.devices.registers.hash(hasher);
        self.devices.watchdog_is_locked.hash(hasher);
        self.devices.protection.hash(hasher);
    }

    /// Takes over some words of another state's RAM.
    pub(crate) fn take(&mut self, words: &Words, from: &[u8]) {
        for index in words.iter() {
            self.ram[index * 4..index * 4 + 4].copy_from_slice(&from[index * 4..index * 4 + 4]);
        }
    }

    pub(crate) fn ram(&self) -> &[u8] {
        &self.ram
    }

    /// Everything but the flash is as it was at first.
    pub(crate) fn lose_power(&mut self) {
        self.ram.fill(0);
        self.written.retain(|address, _| FLASH.contains(address));
        self.devices = Devices::default();
        self.code_is_written = false;
    }

    /// Whether the flash of two states of one machine holds the same.
    pub(crate) fn has_same_flash(&self, other: &Self) -> bool {
        self.written.range(FLASH).eq(other.written.range(FLASH))
    }

    /// Whether the loader's code runs as it was decoded, and its loads and stores reach whatever is there.
    #[inline(always)]
    pub(crate) const fn is_plain(&self) -> bool {
        !self.code_is_written && !self.devices.protection.is_strict()
    }

    /// All bytes of the flash that the machine started with, as they are now.
    pub(crate) fn flash(&self) -> Vec<u8> {
        let mut flash = self.contents.flash.clone();
        for (address, page) in self.written.range(FLASH) {
            let start = (address - FLASH.start) as usize;
            for (place, byte) in flash.iter_mut().skip(start).zip(page.iter()) {
                *place = *byte;
            }
        }
        flash
    }

    /// The pages of the flash that were written, each behind its address.
    pub(crate) fn changed_flash(&self) -> Vec<u8> {
        self.written.range(FLASH).flat_map(|(address, page)| address.to_le_bytes().into_iter().chain(page.iter().copied())).collect()
    }

    #[inline(always)]
    pub(crate) fn word(&self, address: u32) -> Result<u32, Trap> {
        let offset = address.wrapping_sub(DATA.start) as usize;
        if let Some(bytes) = self.ram.get(offset..offset + 4).and_then(<[u8]>::first_chunk) {
            return Ok(u32::from_le_bytes(*bytes));
        }
        if self.written.is_empty()
            && let Some(bytes) = self.contents.code.get(address as usize..address as usize + 4).and_then(<[u8]>::first_chunk)
        {
            return Ok(u32::from_le_bytes(*bytes));
        }
        self.slow(address, 4)
    }

    #[inline(always)]
    pub(crate) fn half(&self, address: u32) -> Result<u32, Trap> {
        let offset = address.wrapping_sub(DATA.start) as usize;
        if let Some(bytes) = self.ram.get(offset..offset + 2).and_then(<[u8]>::first_chunk) {
            return Ok(u16::from_le_bytes(*bytes).into());
        }
        self.slow(address, 2)
    }

    #[inline(always)]
    pub(crate) fn byte(&self, address: u32) -> Result<u32, Trap> {
        let offset = address.wrapping_sub(DATA.start) as usize;
        if let Some(byte) = self.ram.get(offset) {
            return Ok((*byte).into());
        }
        self.slow(address, 1)
    }

    #[inline(always)]
    pub(crate) fn store(&mut self, address: u32, value: u32, size: u32, count: u64) -> Result<(), Trap> {
        let offset = address.wrapping_sub(DATA.start) as usize;
        if let Some(bytes) = self.ram.get_mut(offset..offset + size as usize) {
            bytes.copy_from_slice(&value.to_le_bytes()[..size as usize]);
            return Ok(());
        }
        self.store_slow(address, value, size, count)
    }

    #[inline(never)]
    fn slow(&self, address: u32, size: u32) -> Result<u32, Trap> {
        if Devices::has(address) {
            return Ok(self.devices.read(address));
        }
        if !self.devices.protection.lets_load(address) {
            return Err(Trap::Forbidden);
        }
        if self.written.is_empty()
            && let Some(bytes) = self.contents.flash.get(address.wrapping_sub(FLASH.start) as usize..).and_then(|bytes| bytes.get(..size as usize))
        {
            return Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)));
        }
        (0..size).rev().try_fold(0, |value, index| Ok(value << 8 | u32::from(self.any(address.wrapping_add(index))?)))
    }

    /// A byte of any memory.
    fn any(&self, address: u32) -> Result<u8, Trap> {
        if is_reserved(address) {
            return Ok(0);
        }
        let address = home(address).ok_or(Trap::Memory)?;
        let offset = address.wrapping_sub(DATA.start) as usize;
        Ok(self.ram.get(offset).copied().unwrap_or_else(|| self.cold(address)))
    }

    /// A byte outside of `ram`, by its address without mirrors.
    fn cold(&self, address: u32) -> u8 {
        match self.written.get(&(address & !(PAGE - 1))) {
            Some(page) => page[(address % PAGE) as usize],
            None => self.initial(address),
        }
    }

    fn initial(&self, address: u32) -> u8 {
        let byte = if FLASH.contains(&address) {
            self.contents.flash.get((address - FLASH.start) as usize)
        } else {
            self.contents.code.get(address as usize)
        };
        byte.copied().unwrap_or(0)
    }

    #[inline(never)]
    fn store_slow(&mut self, address: u32, value: u32, size: u32, count: u64) -> Result<(), Trap> {
        if Devices::has(address) {
            return self.devices.write(address, value, count);
        }
        if !self.devices.protection.lets_store(address) {
            return Err(Trap::Forbidden);
        }
        for (index, byte) in (0..size).zip(value.to_le_bytes()) {
            self.store_byte(address.wrapping_add(index), byte)?;
        }
        Ok(())
    }

    fn store_byte(&mut self, address: u32, byte: u8) -> Result<(), Trap> {
        if is_reserved(address) {
            return Ok(());
        }
        let address = home(address).ok_or(Trap::Memory)?;
        let offset = address.wrapping_sub(DATA.start) as usize;
        if let Some(place) = self.ram.get_mut(offset) {
            *place = byte;
            return Ok(());
        }
        self.code_is_written |= (address as usize) < self.contents.code.len();
        let start = address & !(PAGE - 1);
        if !self.written.contains_key(&start) {
            let initial = std::array::from_fn(|index| self.initial(start + index as u32));
            self.written.insert(start, Arc::new(initial));
        }
        if let Some(page) = self.written.get_mut(&start) {
            Arc::make_mut(page)[(address % PAGE) as usize] = byte;
        }
        Ok(())
    }
}

fn is_reserved(address: u32) -> bool {
    RESERVED.iter().any(|reserved| reserved.contains(&address))
}

/// The address that a mirror shows; `None` where there is no memory.
fn home(address: u32) -> Option<u32> {
    match address {
        _ if CODE.contains(&address) || DATA.contains(&address) || FLASH.contains(&address) => Some(address),
        _ if CODE.contains(&address.wrapping_sub(CODE.end)) => Some(address - CODE.end),
        _ if DATA.contains(&address.wrapping_sub(DATA.end - DATA.start)) => Some(address - (DATA.end - DATA.start)),
        _ if BLOCK.contains(&address) => Some(BLOCK.start + (address - BLOCK.start) % BLOCK_SIZE),
        _ => None,
    }
}
