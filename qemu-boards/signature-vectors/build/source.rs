//! The vectors as Rust source, for the program to include.

use std::fmt::Write as _;

use super::digests::{self, Hashed};
use super::vector::{self, Vector};

/// The tables `SIGNATURES` and `DIGESTS`.
pub(crate) fn text(signatures: &[vector::Group], digests: &[digests::Group]) -> String {
    let signatures = signatures.iter().map(|group| entry(group.name, &group.vectors, signature)).collect();
    let digests = digests.iter().map(|group| entry(group.name, &group.vectors, digest)).collect();
    table("SIGNATURES", "Vector", signatures) + &table("DIGESTS", "Hashed", digests)
}

fn table(name: &str, kind: &str, entries: Vec<String>) -> String {
    format!("pub(super) static {name}: [Group<{kind}>; {}] = [\n{}];\n", entries.len(), entries.concat())
}

fn entry<V>(name: &str, vectors: &[V], line: fn(&V) -> String) -> String {
    let lines: String = vectors.iter().map(line).collect();
    format!("Group {{ name: {name:?}, vectors: &[\n{lines}] }},\n")
}

fn signature(vector: &Vector) -> String {
    let Vector { key, message, signature, is_valid } = vector;
    format!("Vector {{ key: *{}, message: {}, signature: *{}, is_valid: {is_valid} }},\n", literal(key), literal(message), literal(signature))
}

fn digest(hashed: &Hashed) -> String {
    let Hashed { piece, times, digest } = hashed;
    format!("Hashed {{ piece: {}, times: {times}, digest: *{} }},\n", literal(piece), literal(digest))
}

/// A byte string.
fn literal(bytes: &[u8]) -> String {
    let mut text = String::from("b\"");
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
    text + "\""
}
