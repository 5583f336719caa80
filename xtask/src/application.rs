//! What distinguishes one demo application from another: words in a section of its own, filled in after the build.
//!
//! One build for each place serves every version and variant.

use anyhow::{Context as _, Result, ensure};

use crate::elf::Firmware;
use crate::scenario::{Variant, Version};

/// The section that is filled in.
const SECTION: &str = ".twinslot.variant";

/// Which application it shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) version: Version,
    pub(crate) variant: Variant,
}

/// The application's flat bytes with `identity` filled in.
pub(crate) fn customised(elf: &Firmware, identity: &Identity) -> Result<Vec<u8>> {
    let mut flat = elf.flat()?;
    let section = elf.section(SECTION)?;
    let base = elf.base()?;
    let words = words(identity).context("a resting image is no demo application")?;
    ensure!(
        section.end - section.start == words.len() as u64,
        "the section {SECTION} has {} bytes, not {}",
        section.end - section.start,
        words.len()
    );
    let at = usize::try_from(section.start - base)?;
    let place = flat.get_mut(at..at + words.len()).with_context(|| format!("the section {SECTION} is not loaded with the application"))?;
    place.copy_from_slice(&words);
    Ok(flat)
}

/// Little-endian: the variant's number, then major, minor, patch and build, a word each.
fn words(identity: &Identity) -> Option<Vec<u8>> {
    let Version { major, minor, patch, build } = identity.version;
    let words = [number(identity.variant)?, major.into(), minor.into(), patch.into(), build];
    Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

const fn number(variant: Variant) -> Option<u32> {
    match variant {
        Variant::Healthy => Some(0),
        Variant::Hangs => Some(1),
        Variant::Crashes => Some(2),
        Variant::Silent => Some(3),
        Variant::Resting => None,
    }
}

/// The resting image for `address`: a vector table for 16 exceptions, then a branch to itself.
///
/// It does not sleep: the emulator's clock leaps over sleep, straight to the watchdog's deadline.
pub(crate) fn resting(address: u64) -> Result<Vec<u8>> {
    let code = u32::try_from(address)? + VECTOR_TABLE_SIZE;
    let exceptions = [code | 1; 15];
    let words = std::iter::once(RESTING_STACK).chain(exceptions).flat_map(u32::to_le_bytes);
    Ok(words.chain(BRANCH_TO_ITSELF).collect())
}

const VECTOR_TABLE_SIZE: u32 = 64;

/// The resting image has no use for a stack; a vector table has to name one.
const RESTING_STACK: u32 = 0x2000_0000;

/// `b .`, in Thumb.
const BRANCH_TO_ITSELF: [u8; 2] = [0xfe, 0xe7];
