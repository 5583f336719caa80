//! What the documents say of the source is there: tables of codes, names of tests and items, dependencies.
//!
//! In `docs/format.md` a table of codes stands between `<!-- codes: NAME -->` and `<!-- end of codes -->`. When its test fails it prints the table
//! that belongs there.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use twinslot_bootloader::install::Refusal;
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::rejection::Rejection;

const DOCUMENT: &str = include_str!("../../docs/format.md");

/// Every refusal of a writer that is not the image's. The match has no wildcard: a new one does not compile until it is here.
fn refusals() -> Vec<Refusal> {
    let all = [
        Refusal::WrongLayout,
        Refusal::LoaderReadsOtherFormats,
        Refusal::LoaderLacksKeys,
        Refusal::JournalLost,
        Refusal::NotTheTrial,
        Refusal::TrialPending,
        Refusal::RunningSlot,
        Refusal::OnlyConfirmedSlot,
        Refusal::NoOtherImage,
        Refusal::NotConfirmed,
        Refusal::Incomplete,
        Refusal::OnlyOffline,
    ];
    for refusal in all {
        match refusal {
            Refusal::WrongLayout
            | Refusal::LoaderReadsOtherFormats
            | Refusal::LoaderLacksKeys
            | Refusal::JournalLost
            | Refusal::NotTheTrial
            | Refusal::TrialPending
            | Refusal::RunningSlot
            | Refusal::OnlyConfirmedSlot
            | Refusal::NoOtherImage
            | Refusal::NotConfirmed
            | Refusal::Incomplete
            | Refusal::OnlyOffline => {}
            Refusal::Image(rejection) => unreachable!("{rejection:?} is the image's"),
        }
    }
    all.to_vec()
}

fn table(rows: impl Iterator<Item = (u8, String, impl Display)>) -> String {
    let rows = rows.map(|(code, name, text)| format!("| {code} | `{name}` | {text} |\n"));
    format!("| code | name | meaning |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn check(name: &str, expected: &str) {
    let marker = format!("<!-- codes: {name} -->\n");
    let written = DOCUMENT.split_once(&marker).and_then(|(_, rest)| rest.split_once("<!-- end of codes -->"));
    let written = written.map(|(table, _)| table.trim());
    assert_eq!(written, Some(expected.trim()), "docs/format.md must have this table behind {marker}{expected}");
}

#[test]
fn the_table_of_rejections_is_the_source() {
    check("rejection", &table(Rejection::ALL.iter().map(|one| (one.code(), one.name().to_owned(), one.text()))));
}

#[test]
fn the_table_of_reasons_is_the_source() {
    let own = (0..=u8::MAX).map(Reason::from_code).filter(|reason| !matches!(reason, Reason::Refused(_) | Reason::Other(_)));
    check("reason", &table(own.map(|one| (one.code(), format!("{one:?}"), one.text()))));
}

#[test]
fn the_table_of_refusals_is_the_source() {
    check("refusal", &table(refusals().into_iter().map(|one| (one.code(), format!("{one:?}"), one.text()))));
}

#[test]
fn every_code_belongs_to_one_name_only() {
    let images = Rejection::ALL.iter().map(|one| one.code());
    let reasons = (0..=u8::MAX).map(Reason::from_code).filter(|one| !matches!(one, Reason::Refused(_) | Reason::Other(_)));
    let mut codes: Vec<u8> = images.chain(reasons.map(Reason::code)).chain(refusals().into_iter().map(Refusal::code)).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

/// Names in the documents that belong to other projects or to the operating system.
const FOREIGN: [&str; 4] = ["android_ab", "mark_booted", "posix_fadvise", "unicorn-engine"];

#[test]
fn every_name_that_a_document_quotes_is_in_the_source() {
    let sources = files_below(&root(), |path| has_extension(path, &["rs", "toml"]) && !path.ends_with("tests/documents.rs"));
    let known: BTreeSet<String> = sources.iter().flat_map(|path| words(&read(path)).map(str::to_owned).collect::<Vec<_>>()).collect();
    let folders: BTreeSet<String> = sources.iter().flat_map(|path| path.iter().map(|part| part.to_string_lossy().into_owned())).collect();
    let mut unknown = Vec::new();
    for document in files_below(&root(), |path| has_extension(path, &["md"])) {
        for word in quoted_names(&read(&document)) {
            let is_option = known.contains(&word.replace('-', "_"));
            if !known.contains(&word) && !is_option && !folders.contains(&word) && !FOREIGN.contains(&word.as_str()) {
                unknown.push(format!("{}: `{word}` is nowhere in the source", document.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn every_past_failure_names_tests_that_run() {
    let sources = files_below(&root(), |path| has_extension(path, &["rs"]));
    let tests: BTreeSet<String> = sources.iter().flat_map(|path| tests_in(&read(path))).collect();
    let document = read(&root().join("docs/past-failures.md"));
    let entries: Vec<&str> = document.split("\n\n").filter(|paragraph| paragraph.starts_with("**")).collect();
    assert!(entries.len() >= 18, "{} entries: one is gone", entries.len());
    for entry in entries {
        let (_, named) = entry.split_once("*Test:*").unwrap_or_else(|| panic!("no test is named: {entry}"));
        let names: Vec<String> = quoted_names(named).filter(|name| name.contains('_')).collect();
        let gone: Vec<&String> = names.iter().filter(|name| !tests.contains(*name)).collect();
        assert!(gone.is_empty(), "{gone:?} is no test that runs: {entry}");
        assert!(quoted_names(named).next().is_some(), "no test is named: {entry}");
    }
}

/// The names of the functions behind `#[test]`, ignored ones apart.
fn tests_in(source: &str) -> Vec<String> {
    let mut parts = source.split("#[test]\n");
    parts.next();
    let head = |part: &str| part.split_once('(').map(|(head, _)| head.to_owned());
    let name = |head: String| head.trim_start().strip_prefix("fn ").map(str::to_owned);
    parts.filter_map(head).filter_map(name).collect()
}

#[test]
fn every_direct_dependency_is_explained() {
    let document = read(&root().join("docs/dependencies.md"));
    let explained: BTreeSet<&str> = words(&document).collect();
    let mut missing = Vec::new();
    for manifest in files_below(&root(), |path| path.ends_with("Cargo.toml")) {
        let text = read(&manifest);
        let names = dependencies(&text).filter(|name| !explained.contains(name));
        missing.extend(names.map(|name| format!("docs/dependencies.md does not explain {name}, a dependency in {}", manifest.display())));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The names in a manifest's tables of dependencies, packages of this workspace apart.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut in_table = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            in_table = line.ends_with("dependencies]") && !line.starts_with("[workspace");
            return None;
        }
        let name = line.split(['.', ' ', '=']).next().filter(|name| in_table && !name.is_empty() && !name.starts_with('#'))?;
        (!name.starts_with("twinslot-") && name != "mps2").then_some(name)
    })
}

/// Names in backticks that consist of several words: `a_test_name`, `a-scenario`.
fn quoted_names(document: &str) -> impl Iterator<Item = String> {
    let is_name = |word: &&str| {
        let plain = word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-');
        plain && word.trim_matches(['-', '_']).contains(['-', '_'])
    };
    let quoted: Vec<&str> = document.split('`').skip(1).step_by(2).filter(is_name).collect();
    quoted.into_iter().map(|word| word.trim_matches('-').to_owned())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-')
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files that `wanted` takes, in folders that are neither hidden nor made by a build.
fn files_below(folder: &Path, wanted: impl Fn(&Path) -> bool + Copy) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry of a folder that exists").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            files.extend(files_below(&path, wanted));
        } else if path.is_file() && wanted(&path) {
            files.push(path);
        }
    }
    files.sort();
    files
}
