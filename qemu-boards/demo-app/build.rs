//! Links the application for `TWINSLOT_BOARD` (default `mps2-an386`) at `TWINSLOT_PLACE`: `a`, `b` (in place in that slot) or `ram` (default `a`).

use std::env;
use std::error::Error;

use mps2::build::{Place, application, is_for_a_host};

fn main() -> Result<(), Box<dyn Error>> {
    if is_for_a_host() {
        return Ok(());
    }
    let board = setting("TWINSLOT_BOARD", "mps2-an386");
    let place = setting("TWINSLOT_PLACE", "a");
    let place = Place::named(&place).ok_or_else(|| format!("TWINSLOT_PLACE={place}: an application runs in a, b or ram"))?;
    application(format!("../{board}/layout.toml"), "../test-keys/trust.toml", place)
}

fn setting(name: &str, default: &str) -> String {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
