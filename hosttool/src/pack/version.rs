//! `1.2.3+4` as people write versions.

use twinslot_bootloader::image::manifest::Version;

/// Reads `MAJOR.MINOR.PATCH` or `MAJOR.MINOR.PATCH+BUILD`.
///
/// # Errors
/// Says how a version looks, for use as an argument parser.
pub fn parse_version(text: &str) -> Result<Version, String> {
    parse(text).ok_or_else(|| "expected MAJOR.MINOR.PATCH+BUILD, like 1.2.3+4; the first three up to 65535, BUILD optional".to_owned())
}

fn parse(text: &str) -> Option<Version> {
    let (numbers, build) = text.split_once('+').unwrap_or((text, "0"));
    let [major, minor, patch] = <[&str; 3]>::try_from(numbers.split('.').collect::<Vec<_>>()).ok()?;
    Some(Version { major: number(major)?, minor: number(minor)?, patch: number(patch)?, build: number(build)? })
}

/// Digits only: `parse` alone would take a sign.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_printed() {
        let version = parse_version("1.2.3+4").expect("a version");
        assert_eq!(version, Version { major: 1, minor: 2, patch: 3, build: 4 });
        assert_eq!(parse_version(&version.to_string()), Ok(version));
        assert_eq!(parse_version("0.0.65535").expect("a version").build, 0);
    }

    #[test]
    fn anything_else_is_not_a_version() {
        for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.3+", "1.2.65536", "1.2.3+4294967296", "+1.2.3", "1.2.-3", "v1.2.3", "1.2.3 "] {
            assert!(parse_version(wrong).is_err(), "{wrong:?}");
        }
    }
}
