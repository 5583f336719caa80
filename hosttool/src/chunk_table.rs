//! The chunk table of a slot image, computed from its bytes.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use twinslot_bootloader::{
    crypto::{Builtin, Crypto as _, Digest},
    image::chunks,
};

/// Goes through an image chunk by chunk: `each` gets a chunk's number, its bytes and their digest. Gives the digest of the whole table.
///
/// # Errors
/// The file can not be read, or `each` failed.
pub fn walk(file: &File, image_len: u64, mut each: impl FnMut(u64, &[u8], &Digest) -> io::Result<()>) -> io::Result<Digest> {
    use twinslot_bootloader::crypto::Sha256 as _;
    let mut table = Builtin.sha256();
    let mut buffer = vec![0; usize::try_from(chunks::CHUNK_SIZE).unwrap_or(usize::MAX)];
    for number in 0..chunks::count(image_len) {
        let range = chunks::range(number, image_len);
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(buffer.len());
        let chunk = buffer.get_mut(..len).unwrap_or_default();
        file.read_exact_at(chunk, range.start)?;
        let digest = Builtin.digest(chunk);
        table.update(&digest);
        each(number, chunk, &digest)?;
    }
    Ok(table.finish())
}
