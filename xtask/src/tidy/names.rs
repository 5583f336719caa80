//! The words that the glossary rules out appear in no name: of a file, a folder, or an item in source.

use super::TextFile;

/// Words that say nothing, and their plurals.
const FORBIDDEN: [&str; 11] = ["blob", "blobs", "common", "handler", "handlers", "helper", "helpers", "manager", "managers", "util", "utils"];

/// Keywords that a name follows.
const ITEM_KEYWORDS: [&str; 8] = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static"];

/// Words that may stand before such a keyword.
const MODIFIERS: [&str; 5] = ["pub", "unsafe", "async", "extern", "default"];

pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    files.iter().flat_map(|file| path_findings(&file.path).into_iter().chain(item_findings(file))).collect()
}

fn path_findings(path: &str) -> Option<String> {
    let word = path.split('/').flat_map(words).find_map(forbidden)?;
    Some(format!("{path}: the name has the word \"{word}\"; say what it is for"))
}

fn item_findings(file: &TextFile) -> Vec<String> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let named = file.text.lines().enumerate().filter_map(|(number, line)| Some((number, item_name(line)?)));
    let bad = named.filter_map(|(number, name)| Some((number, name, words(name).find_map(forbidden)?)));
    bad.map(|(number, name, word)| format!("{}:{}: {name} has the word \"{word}\"; say what it is for", file.path, number + 1)).collect()
}

/// The name of the item that a line declares.
fn item_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let is_modifier = |word: &str| MODIFIERS.contains(&word) || word.starts_with("pub(") || word.starts_with('"') || word.ends_with(')');
    let keyword = words.find(|word| !is_modifier(word))?;
    if !ITEM_KEYWORDS.contains(&keyword) {
        return None;
    }
    let name = words.find(|word| *word != "mut" && *word != "fn" && *word != "unsafe")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

fn forbidden(word: String) -> Option<String> {
    FORBIDDEN.contains(&word.as_str()).then_some(word)
}

/// The words of a name in any case: `read_header`, `read-header`, `ReadHeader`, `READ_HEADER`.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut separated = String::new();
    let mut lower_before = false;
    for letter in name.chars() {
        if letter.is_uppercase() && lower_before {
            separated.push(' ');
        }
        separated.push(if letter.is_alphanumeric() { letter } else { ' ' });
        lower_before = letter.is_lowercase();
    }
    separated.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_in_every_case() {
        for name in ["slot_utils", "slot-utils", "SlotUtils", "SLOT_UTILS", "slot.utils"] {
            assert_eq!(words(name).collect::<Vec<_>>(), ["slot", "utils"], "{name}");
        }
    }

    #[test]
    fn the_name_of_an_item_is_found_behind_its_modifiers() {
        assert_eq!(item_name("    pub(crate) const fn slot_of(self) -> Slot {"), Some("slot_of"));
        assert_eq!(item_name("pub struct Journal<S> {"), Some("Journal"));
        assert_eq!(item_name("unsafe extern \"C\" fn entry() {"), Some("entry"));
        assert_eq!(item_name("static mut X: u8 = 0;"), Some("X"));
        assert_eq!(item_name("    let manager = 1;"), None);
        assert_eq!(item_name("/// fn helper"), None);
    }

    #[test]
    fn a_forbidden_word_is_reported_and_a_longer_word_is_not() {
        let file = TextFile { path: "a/src/x.rs".into(), text: "struct SlotManager;\nfn utility() {}\nfn commonly() {}\n".into() };
        assert_eq!(item_findings(&file).len(), 1);
        assert!(path_findings("a/src/utils.rs").is_some());
        assert!(path_findings("a/src/utility.rs").is_none());
    }
}
