//! Memory at fixed addresses as Rust values.
//!
//! Whatever is shared - flash, hand-off, reset marker - is a slice of atomic words, so that any number of views of it is sound. Plain byte slices
//! exist only for memory that nothing else writes.

use core::sync::atomic::{AtomicU32, Ordering};

/// Words of memory that several parties read and write.
pub type Words = &'static [AtomicU32];

/// The words of `address..address + size`.
///
/// # Safety
/// Readable and writable memory lies there for as long as the program runs, `address` is a multiple of 4, and no reference that is neither shared nor
/// atomic ever covers it.
#[expect(unsafe_code, reason = "memory at a fixed address is named by its address")]
#[must_use]
pub unsafe fn words(address: usize, size: usize) -> Words {
    let first = core::ptr::with_exposed_provenance::<AtomicU32>(address);
    // SAFETY: the caller promises memory without exclusive references; any bits are a valid `AtomicU32`, and `size / 4` words end inside `size`
    // bytes.
    unsafe { core::slice::from_raw_parts(first, size / 4) }
}

/// The bytes of `address..address + size`, to read.
///
/// # Safety
/// Readable memory lies there, and nothing writes it for as long as the program runs.
#[expect(unsafe_code, reason = "memory at a fixed address is named by its address")]
#[must_use]
pub unsafe fn constant_bytes(address: usize, size: usize) -> &'static [u8] {
    let first = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the caller promises memory that nothing writes; any bits are valid bytes.
    unsafe { core::slice::from_raw_parts(first, size) }
}

/// The bytes of `address..address + size`, to read and write.
///
/// # Safety
/// Memory lies there that nothing but the result reads or writes for as long as the program runs. Call it once for each region.
#[expect(unsafe_code, reason = "memory at a fixed address is named by its address")]
#[must_use]
pub unsafe fn own_bytes(address: usize, size: usize) -> &'static mut [u8] {
    let first = core::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the caller promises memory that is ours alone; any bits are valid bytes.
    unsafe { core::slice::from_raw_parts_mut(first, size) }
}

/// Copies the whole words of `bytes` to the front of `words`; what does not fit is left out.
pub fn store(words: &[AtomicU32], bytes: &[u8]) {
    for (word, bytes) in words.iter().zip(bytes.as_chunks().0) {
        word.store(u32::from_le_bytes(*bytes), Ordering::Relaxed);
    }
}

/// Fills the whole words of `bytes` from the front of `words`, as far as they go.
pub fn load(words: &[AtomicU32], bytes: &mut [u8]) {
    for (word, bytes) in words.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
}
