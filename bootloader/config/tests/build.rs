//! What a board's build script gets.

use twinslot_config::build::Board;

const LAYOUT: &str = "board = 'b'\nproduct = 'p\"x'\nhw = 7\nchip = 'c'\nflash = { base = 0x8000000, write_size = 8, erase_size = 2048, tear_size = 8 }\n\
    loader = { offset = 0, size = 0x5000 }\njournal = { offset = 0x5000, size = 0x1000 }\nslot-a = { offset = 0x6000, size = 0x8000 }\n\
    slot-b = { offset = 0xe000, size = 0x8000 }\nram = [{ base = 0x20000000, size = 0x2000, use = 'loader' }]\n";
const TRUST: &str = "threshold = 1\nfloor = 5\n[[key]]\nname = 'one'\npublic = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='\n";

fn board(layout: &str) -> Board {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("layout.toml"), layout).expect("a written layout");
    std::fs::write(folder.path().join("trust.toml"), TRUST).expect("a written trust file");
    Board::read(folder.path().join("layout.toml"), folder.path().join("trust.toml")).expect("a good board")
}

#[test]
fn the_loader_is_linked_where_the_layout_puts_it() {
    let memory = board(LAYOUT).loader_memory_x().expect("a memory map");
    assert_eq!(memory, "MEMORY\n{\n  FLASH : ORIGIN = 0x8000000, LENGTH = 0x5000\n  RAM : ORIGIN = 0x20000000, LENGTH = 0x2000\n}\n");
}

#[test]
fn a_loader_without_ram_or_address_is_refused() {
    let no_ram = board(&LAYOUT.replace("use = 'loader'", "use = 'image'")).loader_memory_x().expect_err("no RAM");
    assert!(no_ram.to_string().contains("no [[ram]] region has use = \"loader\""));
    let no_address = board(&LAYOUT.replace("base = 0x8000000, ", "")).loader_memory_x().expect_err("no address");
    assert!(no_address.to_string().contains("give flash.base or loader.base"));
}

/// The oracle is the compiler: the constants must be Rust that means the layout's values.
#[test]
fn the_constants_compile_and_hold_the_values() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("check.rs");
    let board = board(LAYOUT);
    let checks = "mod twinslot_bootloader { pub mod journal { #[allow(dead_code)] pub struct Policy { pub attempts: u8, pub boots: u8, pub floor_raise: FloorRaise } \
        #[allow(dead_code)] pub enum FloorRaise { OnConfirm, WhenBothSlotsMeetIt } } } fn main() { assert_eq!(PRODUCT, \"p\\\"x\"); assert_eq!(HARDWARE, 7); assert_eq!((LOG_1_OFFSET, LOG_1_SIZE), (0x5800, 0x800)); \
        assert_eq!((SLOT_B_OFFSET, SLOT_B_SIZE, GOLDEN_SIZE), (0xe000, 0x8000, 0)); assert_eq!(RAM_LOADER, [(0x2000_0000, 0x2000)]); \
        assert_eq!((THRESHOLD, FLOOR, IS_TEST_KEYS, POLICY.boots), (1, 5, false, 10)); assert_eq!(ANCHOR_KEYS[0][..2], [0xd7, 0x5a]); \
        assert_eq!(ANCHOR_KEY_NAMES, [\"one\"]); assert_eq!(RECORD_STRIDE, 128); print!(\"{:?}\", LAYOUT_DIGEST); }";
    std::fs::write(&source, format!("#![deny(warnings)]\n{}{checks}", board.constants())).expect("a written source");
    let program = folder.path().join("check");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = std::process::Command::new(rustc).arg("--edition=2024").arg(&source).arg("-o").arg(&program).status().expect("a compiler");
    assert!(status.success());
    let output = std::process::Command::new(&program).output().expect("a run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{:?}", board.layout.digest()));
}
