//! The help of every command, as people see it.

mod support;

use support::{Bench, assert_snapshot};

const COMMANDS: [&str; 18] = [
    "",
    "keygen",
    "trust",
    "pack",
    "sign",
    "verify",
    "bundle",
    "inspect",
    "explain",
    "assemble",
    "flash",
    "journal",
    "journal show",
    "journal arm",
    "journal confirm",
    "journal reject",
    "journal repair",
    "layout check",
];

#[test]
fn every_command_explains_itself() {
    let bench = Bench::new();
    for command in COMMANDS {
        let name = if command.is_empty() { "hosttool".to_owned() } else { command.replace(' ', "-") };
        assert_snapshot(&format!("help/{name}.txt"), &bench.done(&format!("{command} --help")));
    }
}
