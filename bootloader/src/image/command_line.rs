//! The rules of a signed kernel command line.

use crate::crypto::Digest;
use crate::rejection::Rejection;

/// Longest signed command line in bytes; what the loader appends fits behind it in the 2048 bytes that every kernel here takes.
pub const MAX_LEN: usize = 1792;

/// Checks a signed command line; `root_hash` is the dm-verity root hash that must stand on it.
///
/// # Errors
/// Forbidden characters or tokens, too long, or the root hash is missing.
pub fn check(line: &[u8], root_hash: Option<&Digest>) -> Result<(), Rejection> {
    if line.len() > MAX_LEN {
        return Err(Rejection::CommandLineTooLong);
    }
    let forbidden = |byte: &u8| *byte == 0 || *byte == b'\n';
    let open_quote = line.iter().filter(|byte| **byte == b'"').count() & 1 == 1;
    if open_quote || line.iter().any(forbidden) || tokens(line).any(is_forbidden_token) {
        return Err(Rejection::ForbiddenCommandLine);
    }
    match root_hash {
        Some(hash) if !names_hash(line, hash) => Err(Rejection::RootHashNotSigned),
        _ => Ok(()),
    }
}

fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| is_space(*byte)).filter(|token| !token.is_empty())
}

/// What parts arguments for a kernel. Source: Linux, `lib/ctype.c`.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0)
}

/// `--` would hide what the loader appends from the kernel, and so would a quote that stays open; the two prefixes are the loader's own. The kernel
/// takes quotes around an argument away. Source: Linux, `lib/cmdline.c`, `next_arg`.
fn is_forbidden_token(token: &[u8]) -> bool {
    let mut bare = token;
    while let [b'"', rest @ ..] | [rest @ .., b'"'] = bare {
        bare = rest;
    }
    bare == b"--" || bare.starts_with(b"twinslot.") || bare.starts_with(b"rauc.slot")
}

/// Whether the hash stands on the line in lower-case hexadecimal.
fn names_hash(line: &[u8], hash: &Digest) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0_u8; 64];
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(hash) {
        *pair = [digit(DIGITS, byte >> 4), digit(DIGITS, byte & 15)];
    }
    line.windows(hex.len()).any(|window| window == hex)
}

fn digit(digits: &[u8; 16], value: u8) -> u8 {
    digits.get(usize::from(value)).copied().unwrap_or_default()
}
