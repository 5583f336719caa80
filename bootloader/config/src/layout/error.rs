//! What can be wrong with a layout, and what to do about it.

use std::path::PathBuf;

use twinslot_bootloader::image::InvalidProduct;

use crate::excerpt::{Excerpt, SyntaxError};

use super::Purpose;

/// A layout that can not be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The file could not be read.
    #[error("layout {}: can not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("layout: not UTF-8 text, but TOML is: {0}")]
    NotText(#[from] std::str::Utf8Error),
    /// The text is not the TOML of a layout.
    #[error("layout: {0}")]
    Syntax(#[from] SyntaxError),
    /// A name that is empty, too long or has characters that do not print.
    #[error("layout: {field} is {len} bytes or has control characters; give it 1 to {limit} printable bytes")]
    Name {
        /// Which field.
        field: &'static str,
        /// Its length.
        len: usize,
        /// The longest one allowed.
        limit: usize,
    },
    /// A product's name that no image can carry.
    #[error("layout: product {}: {reason}", Excerpt(product))]
    Product {
        /// The name.
        product: String,
        /// Why.
        reason: InvalidProduct,
    },
    /// A hardware revision above 31.
    #[error("layout: hw is {revision}; hardware revisions are 0 to 31, because an image names them in a 32-bit mask")]
    HardwareRevision {
        /// The revision.
        revision: u8,
    },
    /// A size of the flash that is not a power of two.
    #[error("layout: flash.{field} is {value:#x}; it must be a power of two")]
    NotPowerOfTwo {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// A write size that no journal lies on.
    #[error("layout: flash.write_size is {write_size}; a journal needs writes of at most 512 bytes")]
    WriteSize {
        /// The write size.
        write_size: u64,
    },
    /// The erase size is smaller than the write size.
    #[error("layout: flash.erase_size {erase_size:#x} is smaller than flash.write_size {write_size:#x}; an erase unit holds whole writes")]
    EraseBelowWrite {
        /// The erase size.
        erase_size: u64,
        /// The write size.
        write_size: u64,
    },
    /// Trials without a bound, or bounds that contradict each other.
    #[error("layout: policy.attempts {attempts} and policy.boots {boots}; both must be at least 1, and boots at least attempts")]
    Policy {
        /// The attempts.
        attempts: u8,
        /// The boots.
        boots: u8,
    },
    /// A region of no bytes.
    #[error("layout: {region} is empty; give it a size or leave an optional region out")]
    Empty {
        /// Which region.
        region: String,
    },
    /// A flash region that erases would spill out of.
    #[error("layout: {region} at {offset:#x} + {size:#x} is not made of whole erase units; align both to flash.erase_size {erase_size:#x}")]
    Unaligned {
        /// Which region.
        region: &'static str,
        /// Its offset.
        offset: u64,
        /// Its size.
        size: u64,
        /// The erase size.
        erase_size: u64,
    },
    /// A flash region that 32-bit offsets do not reach.
    #[error("layout: {region} ends at {end:#x}; flash regions must end below 4 GiB")]
    Beyond4GiB {
        /// Which region.
        region: &'static str,
        /// Its end.
        end: u64,
    },
    /// A flash region behind the flash's end.
    #[error("layout: {region} ends at {end:#x}, behind the flash's end {flash_size:#x}; move or shrink it, or correct flash.size")]
    OutsideFlash {
        /// Which region.
        region: &'static str,
        /// Its end.
        end: u64,
        /// The flash's size.
        flash_size: u64,
    },
    /// Two regions on the flash, or two in memory, share bytes.
    #[error("layout: {first} and {second} overlap at {at:#x}; move one of them")]
    Overlap {
        /// The one that starts first.
        first: String,
        /// The other one.
        second: String,
        /// The first shared byte.
        at: u64,
    },
    /// A journal that is not two equal logs.
    #[error("layout: journal size {size:#x} does not split into two logs of whole {unit_name} {unit:#x}; make it a multiple of twice that")]
    JournalSize {
        /// The journal's size.
        size: u64,
        /// What each log must be made of.
        unit_name: &'static str,
        /// The bytes of one.
        unit: u64,
    },
    /// The journal's start lies in a region that a torn write elsewhere may damage.
    #[error("layout: journal offset {offset:#x} is not a multiple of flash.tear_size {tear_size:#x}; a torn write beside it could damage a log")]
    JournalTear {
        /// The journal's offset.
        offset: u64,
        /// The tear size.
        tear_size: u64,
    },
    /// A region that holds no image: not even a header and a part.
    #[error("layout: {region} is {size:#x} bytes; an image needs more than {least:#x}")]
    TooSmallForImage {
        /// Which region.
        region: &'static str,
        /// Its size.
        size: u64,
        /// A header and the smallest part offset.
        least: u64,
    },
    /// Memory that ends behind the last address.
    #[error("layout: {region} at {base:#x} + {size:#x} ends behind the last address")]
    AddressOverflow {
        /// Which region.
        region: String,
        /// Its address.
        base: u64,
        /// Its size.
        size: u64,
    },
    /// A RAM region that may exist only once.
    #[error("layout: two [[ram]] regions have use = \"{purpose}\"; a loader writes to exactly one, so leave one out")]
    RepeatedPurpose {
        /// The purpose.
        purpose: Purpose,
    },
    /// A RAM region too small for what goes there.
    #[error("layout: the [[ram]] region with use = \"{purpose}\" is {size} bytes; it needs at least {least}")]
    RamTooSmall {
        /// The purpose.
        purpose: Purpose,
        /// Its size.
        size: u64,
        /// The smallest useful size.
        least: u64,
    },
}
