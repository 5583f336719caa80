//! Where the tests of a source file begin: they stand last, in a module of their own.

/// The number of the line that opens the module, counted from 1; `None` in a file without.
pub(crate) fn first_line(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].contains("mod ")).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_module_counts() {
        assert_eq!(first_line("#[cfg(test)]\nextern crate std;\n\n#[cfg(test)]\nmod tests {\n}\n"), Some(4));
        assert_eq!(first_line("#[cfg(test)]\npub(super) mod tests {\n}\n"), Some(1));
        assert_eq!(first_line("fn f() {}\n"), None);
    }
}
