//! Hexadecimal, as people type digests and key ids.

use std::fmt::Write as _;

/// Lower-case digits of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
        text
    })
}

/// Exactly `N` bytes from hexadecimal digits of either case.
///
/// # Errors
/// Says how many digits were expected, for use as an argument parser.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = decode_any(text).filter(|bytes| bytes.len() == N);
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| format!("expected {} hexadecimal digits", N * 2))
}

/// Up to `N` bytes from hexadecimal digits of either case; the rest is zero.
///
/// # Errors
/// Says how many digits are allowed, for use as an argument parser.
pub fn decode_up_to<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = decode_any(text).filter(|bytes| !bytes.is_empty() && bytes.len() <= N);
    let bytes = bytes.ok_or_else(|| format!("expected 2 to {} hexadecimal digits, an even number of them", N * 2))?;
    let mut padded = [0; N];
    padded[..bytes.len()].copy_from_slice(&bytes);
    Ok(padded)
}

fn decode_any(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_and_anything_else_is_not() {
        assert_eq!(decode::<2>("aB09"), Ok([0xab, 0x09]));
        assert_eq!(encode(&[0xab, 0x09]), "ab09");
        assert_eq!(decode_up_to::<4>("ab09"), Ok([0xab, 0x09, 0, 0]));
        for wrong in ["", "a", "ab0", "ab0g", "ab09ff", "+b09", "äb"] {
            assert!(decode::<2>(wrong).is_err(), "{wrong:?}");
        }
        assert!(decode_up_to::<1>("").is_err());
        assert!(decode_up_to::<1>("0000").is_err());
    }
}
