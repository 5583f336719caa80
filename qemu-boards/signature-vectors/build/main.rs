//! Makes the vectors and links the program for `TWINSLOT_BOARD` (default `mps2-an386`) in the place of that board's loader.
//!
//! Expectations never come from the code that the program runs: they are published, or ed25519-dalek's `verify_strict` and sha2's code for this host
//! say so. The same sources give the same vectors.

mod digests;
mod generated;
mod points;
mod published;
mod random;
mod source;
mod vector;

use std::env;
use std::error::Error;
use std::path::PathBuf;

use mps2::build::{in_place_of_the_loader, is_for_a_host};

fn main() -> Result<(), Box<dyn Error>> {
    if is_for_a_host() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={}", published::EDGE_CASES);
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(folder.join("vectors.rs"), source::text(&groups()?, &digests::groups()?))?;
    in_place_of_the_loader(format!("../{}/layout.toml", board()), "../test-keys/trust.toml")
}

fn board() -> String {
    println!("cargo::rerun-if-env-changed=TWINSLOT_BOARD");
    env::var("TWINSLOT_BOARD").unwrap_or_else(|_| "mps2-an386".to_owned())
}

/// All signatures, those whose expectation is wrong on purpose last.
fn groups() -> Result<Vec<vector::Group>, Box<dyn Error>> {
    let mut groups = vec![published::wycheproof()?, published::edge_cases()?];
    groups.extend(generated::groups()?);
    groups.push(generated::wrong_on_purpose());
    Ok(groups)
}
