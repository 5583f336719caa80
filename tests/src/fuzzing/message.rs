//! What must hold for a message about a file that is refused.

/// From this length on, a run of base64 may be a secret: that of a 32-byte key has 43 characters.
const SECRET: usize = 43;

/// How much of a secret may be repeated.
const REPEATED: usize = 12;

/// One line that names the thing in question and repeats neither a line of the file nor anything that may be a secret.
///
/// # Panics
/// When it does not hold.
pub(super) fn assert_fit(message: &str, prefix: &str, things: &[&str], text: &str) {
    assert!(message.starts_with(prefix), "{message:?} does not say which file");
    assert!(!message.chars().any(char::is_control), "{message:?} is more than one line of text");
    assert!(message.len() < 400, "{message:?} is too long to read");
    assert!(things.iter().any(|thing| message[prefix.len()..].contains(thing)), "{message:?} names no thing");
    assert_repeats_no_secret(message, text);
}

fn assert_repeats_no_secret(message: &str, text: &str) {
    let (secrets, others) = split(text);
    // A number is at most 64 bits of anything.
    let words = message.split_whitespace().filter(|word| !word.starts_with(|first: char| first.is_ascii_digit()));
    for window in words.flat_map(|word| word.as_bytes().windows(REPEATED)) {
        let stands_in = |runs: &[&[u8]]| runs.iter().any(|run| run.windows(REPEATED).any(|part| part == window));
        assert!(!stands_in(&secrets) || stands_in(&others), "{message:?} repeats what may be a secret");
    }
}

/// The runs of base64 that may be secrets, and the rest.
fn split(text: &str) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.as_bytes().chunk_by(|a, b| is_base64(a) == is_base64(b)).partition(|run| run.len() >= SECRET && is_base64(&run[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET_LINE: &str = "private = \"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/ZpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\"";

    #[test]
    #[should_panic(expected = "repeats what may be a secret")]
    fn a_message_that_repeats_a_secret_is_found_out() {
        assert_fit("trust file: key: CIEIJ1hsZ3v/ZpguoRK9", "trust file: ", &["key"], SECRET_LINE);
    }

    #[test]
    #[should_panic(expected = "more than one line")]
    fn a_message_that_repeats_a_line_of_the_file_is_found_out() {
        assert_fit("trust file: line 1\n1 | a =", "trust file: ", &["line"], "a =");
    }

    #[test]
    #[should_panic(expected = "names no thing")]
    fn a_message_that_names_nothing_is_found_out() {
        assert_fit("trust file: it is wrong", "trust file: ", &["key"], "");
    }

    #[test]
    fn a_short_name_may_be_repeated() {
        assert_fit("trust file: key \"release\" is wrong", "trust file: ", &["key"], "name = \"release\"");
    }
}
