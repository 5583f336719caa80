//! The memory protection unit of a Cortex-M4. Sources: Armv7-M architecture reference manual, B3.5; where that leaves a size or an address
//! undefined, what QEMU does (`target/arm/ptw.c`, `hw/intc/armv7m_nvic.c`).

use std::ops::Range;

const REGIONS: usize = 8;

/// The registers, by the last three digits of their addresses.
const TYPE: u32 = 0xd90;
const CONTROL: u32 = 0xd94;
const NUMBER: u32 = 0xd98;
const BASE: u32 = 0xd9c;
const ATTRIBUTES: u32 = 0xda0;
/// Base and attributes have three further addresses each; this is the last of them.
const LAST_ALIAS: u32 = 0xdb8;

const ENABLED: u32 = 1;
/// What no region covers is as without the unit.
const BACKGROUND: u32 = 4;
const VALID: u32 = 0x10;

/// The loader's code, twice.
const CODE: Range<u32> = 0..0x80_0000;
/// The loader's RAM, hand-off and marker.
const RAM: Range<u32> = 0x2000_0000..0x2000_8000;

/// What an instruction does with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Fetch,
    Load,
    Store,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Region {
    base: u32,
    attributes: u32,
}

/// The unit's registers, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Protection {
    control: u32,
    number: u32,
    regions: [Region; REGIONS],
    is_strict: bool,
    forbids_loads: bool,
    forbids_stores: bool,
}

impl Protection {
    /// Whether more is forbidden than the execution of what is not the loader's code. Then every access has to be asked about, else only fetches from
    /// elsewhere.
    pub(crate) const fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Whether this is one of the unit's registers.
    pub(crate) const fn has(address: u32) -> bool {
        let register = address & 0xfff;
        address >> 12 == 0xe_000e && register >= TYPE && register < LAST_ALIAS + 4
    }

    pub(crate) fn read(&self, address: u32) -> u32 {
        let region = self.regions.get(self.number as usize).copied().unwrap_or_default();
        match without_alias(address) {
            TYPE => (REGIONS as u32) << 8,
            CONTROL => self.control,
            NUMBER => self.number,
            BASE => region.base | self.number,
            ATTRIBUTES => region.attributes,
            _ => 0,
        }
    }

    pub(crate) fn write(&mut self, address: u32, value: u32) {
        match without_alias(address) {
            CONTROL => self.control = value & 7,
            NUMBER if (value as usize) < REGIONS => self.number = value,
            BASE => {
                let number = if value & VALID == 0 { self.number } else { value & 0xf };
                if let Some(region) = self.regions.get_mut(number as usize) {
                    region.base = value & !0x1f;
                    self.number = number;
                }
            }
            ATTRIBUTES => {
                if let Some(region) = self.regions.get_mut(self.number as usize) {
                    region.attributes = value & 0x173f_ff3f;
                }
            }
            _ => {}
        }
        let any = |forbids: fn(&Region) -> bool| self.is_on() && (self.control & BACKGROUND == 0 || self.regions.iter().any(forbids));
        let is_strict = any(Region::is_strict);
        let forbids_loads = any(|region| region.size().is_some() && !region.allows(Access::Load));
        let forbids_stores = any(|region| region.size().is_some() && !region.allows(Access::Store));
        *self = Self { is_strict, forbids_loads, forbids_stores, ..self.clone() };
    }

    /// [`Self::allows`] for loads, of which most need no look.
    pub(crate) fn lets_load(&self, address: u32) -> bool {
        !self.forbids_loads || self.allows(address, Access::Load)
    }

    /// [`Self::allows`] for stores.
    pub(crate) fn lets_store(&self, address: u32) -> bool {
        !self.forbids_stores || self.allows(address, Access::Store)
    }

    /// Whether an access of a privileged program is let through.
    pub(crate) fn allows(&self, address: u32, access: Access) -> bool {
        if !self.is_on() || address >> 20 == 0xe00 {
            return true;
        }
        match self.regions.iter().rev().find(|region| region.covers(address)) {
            Some(region) => region.allows(access),
            None => self.control & BACKGROUND != 0,
        }
    }

    const fn is_on(&self) -> bool {
        self.control & ENABLED != 0
    }
}

impl Region {
    /// The logarithm of the size; `None` for one that is off, or whose size or address makes no region.
    const fn size(&self) -> Option<u32> {
        let field = self.attributes >> 1 & 0x1f;
        if self.attributes & 1 == 0 || field == 0 || self.base & mask(field + 1) != 0 { None } else { Some(field + 1) }
    }

    fn covers(&self, address: u32) -> bool {
        self.size().is_some_and(|size| {
            let offset = address.wrapping_sub(self.base);
            let is_eighth_off = size >= 8 && self.attributes >> (8 + (offset >> (size - 3) & 7)) & 1 == 1;
            offset & !mask(size) == 0 && !is_eighth_off
        })
    }

    const fn allows(&self, access: Access) -> bool {
        let (is_read, is_written) = match self.attributes >> 24 & 7 {
            1..=3 => (true, true),
            5..=7 => (true, false),
            _ => (false, false),
        };
        match access {
            Access::Fetch => is_read && self.attributes >> 28 & 1 == 0,
            Access::Load => is_read,
            Access::Store => is_written,
        }
    }

    /// Whether it restricts the loader's RAM, or the use of the loader's code.
    fn is_strict(&self) -> bool {
        let (load, store, fetch) = (self.allows(Access::Load), self.allows(Access::Store), self.allows(Access::Fetch));
        self.meets(&CODE) && !(load && fetch) || self.meets(&RAM) && !(load && store)
    }

    fn meets(&self, range: &Range<u32>) -> bool {
        self.size().is_some_and(|size| self.base < range.end && self.base | mask(size) >= range.start)
    }
}

/// The bits below a power of two.
const fn mask(logarithm: u32) -> u32 {
    (u32::MAX as u64 >> (32 - logarithm)) as u32
}

const fn without_alias(address: u32) -> u32 {
    let register = address & 0xfff;
    if register > ATTRIBUTES { BASE + (register - BASE) % 8 } else { register }
}
