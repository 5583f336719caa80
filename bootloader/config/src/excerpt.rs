//! What an error message may repeat of a file that somebody gave for a layout or a trust file.
//!
//! It may be the wrong file - a private key, a passphrase - and messages end up in logs. So no message repeats a line of it: an error of the TOML
//! parser becomes a place and words, strings in those words are left out, and of any text too long for a name only the beginning stands there.

use std::fmt;

/// The longest text that is repeated whole. The base64 of a 32-byte key has 43 characters.
const WHOLE: usize = 40;

/// How much of a longer one is.
const BEGINNING: usize = 8;

/// A name out of a file, cut when it is too long to be one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= WHOLE {
            return write!(f, "{:?}", self.0);
        }
        let beginning: String = self.0.chars().take(BEGINNING).collect();
        write!(f, "{beginning:?}... ({} bytes)", self.0.len())
    }
}

/// Text that is not the TOML wanted: where, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {words}")]
pub struct SyntaxError {
    /// The line, from 1 on.
    line: usize,
    /// The column in bytes, from 1 on.
    column: usize,
    /// The parser's reason, without what the file says there.
    words: String,
}

impl SyntaxError {
    /// The error of a parser that read `text`.
    pub(crate) fn new(error: &toml::de::Error, text: &str) -> Self {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count().saturating_add(1);
        Self { line, column, words: words(error.message()) }
    }
}

/// A parser's message on one line, without the strings that it quotes and without long words.
fn words(message: &str) -> String {
    let message = without_strings(message);
    message.split_whitespace().map(|word| if word.len() > WHOLE { Excerpt(word).to_string() } else { printable(word) }).collect::<Vec<_>>().join(" ")
}

/// From the first to the last quotation mark there is nothing but a value of the file.
fn without_strings(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let (before, _) = message.split_at(first);
            let (_, after) = message.split_at(last);
            format!("{before}\"...{after}")
        }
        _ => message.to_owned(),
    }
}

fn printable(word: &str) -> String {
    word.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let error = toml::from_str::<toml::Table>(text).expect_err("no TOML");
        SyntaxError::new(&error, text).to_string()
    }

    #[test]
    fn the_place_is_counted_in_lines_and_columns_from_one() {
        assert!(error("=").starts_with("line 1, column 1: "), "{}", error("="));
        assert!(error("a = 1\nbc = ]\n").starts_with("line 2, column 6: "), "{}", error("a = 1\nbc = ]\n"));
    }

    #[test]
    fn strings_and_long_words_are_not_repeated() {
        assert_eq!(words("invalid type: string \"se\\\"cr et\", expected u8"), "invalid type: string \"...\", expected u8");
        let secret = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/ZpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
        assert_eq!(words(&format!("unknown field `{secret}`")), "unknown field \"`MC4CAQA\"... (66 bytes)");
        assert_eq!(Excerpt(secret).to_string(), "\"MC4CAQAw\"... (64 bytes)");
        assert_eq!(Excerpt("a \"name\"").to_string(), "\"a \\\"name\\\"\"");
        assert_eq!(words("two\nlines\u{7}"), "two lines?");
    }
}
