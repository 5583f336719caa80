//! The linker's memory maps of the real boards.

use super::*;

const BOARDS: [&str; 2] = ["mps2-an386", "mps2-an505"];

fn layout(board: &str) -> Layout {
    Layout::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(board).join("layout.toml")).expect("the board's own layout")
}

/// Origin and length of a region of a memory map.
fn region(memory_x: &str, name: &str) -> (u64, u64) {
    let line = memory_x.lines().find(|line| line.trim().starts_with(&format!("{name} :"))).expect("a line for the region");
    let number = |key: &str| {
        let text = line.split(&format!("{key} = 0x")).nth(1).expect("a hexadecimal number");
        let digits: String = text.chars().take_while(char::is_ascii_hexdigit).collect();
        u64::from_str_radix(&digits, 16).expect("digits")
    };
    (number("ORIGIN"), number("LENGTH"))
}

#[test]
fn a_stack_that_overflows_leaves_the_loaders_ram_instead_of_reaching_its_statics() {
    for board in BOARDS {
        let layout = layout(board);
        let map = loader_memory_x(&layout).expect("a loader's map");
        let ram = layout.ram_for(Purpose::Loader).next().expect("RAM for the loader");
        let ((stack, stack_size), (statics, statics_size)) = (region(&map, "STACK"), region(&map, "RAM"));
        assert_eq!(stack, ram.base, "{board}: the stack lies at the bottom");
        assert_eq!(stack + stack_size, statics, "{board}: the statics follow");
        assert_eq!(statics + statics_size, ram.base + ram.size, "{board}: and fill the rest");
        assert!(layout.ram.iter().all(|other| other.base >= ram.base || other.base + other.size < ram.base), "{board}: no RAM right below");
    }
}

#[test]
fn an_application_runs_where_its_slot_begins_plus_the_header_or_at_the_start_of_ram() {
    for board in BOARDS {
        let layout = layout(board);
        let base = layout.flash.base.expect("mapped flash");
        let image = layout.ram_for(Purpose::Image).next().expect("RAM for images");
        let places =
            [(Place::SlotA, base + layout.slot_a.offset + 4096), (Place::SlotB, base + layout.slot_b.offset + 4096), (Place::Ram, image.base)];
        for (place, origin) in places {
            let map = application_memory_x(&layout, place).expect("an application's map");
            let ((code, code_size), (ram, ram_size)) = (region(&map, "FLASH"), region(&map, "RAM"));
            assert_eq!(code, origin, "{board}, {place:?}");
            assert!(code.is_multiple_of(128), "{board}, {place:?}: VTOR can point there");
            assert!(code + code_size <= ram || ram + ram_size <= code, "{board}, {place:?}: code and data are apart");
            assert!(image.base <= ram && ram + ram_size <= image.base + image.size, "{board}, {place:?}: data stays in the RAM for images");
        }
    }
}

#[test]
fn a_program_in_the_loaders_place_begins_where_the_processor_looks_for_the_loader() {
    for board in BOARDS {
        let layout = layout(board);
        let map = in_place_of_the_loader_memory_x(&layout).expect("a map");
        let ((code, code_size), (ram, ram_size)) = (region(&map, "FLASH"), region(&map, "RAM"));
        let image = layout.ram_for(Purpose::Image).next().expect("RAM for images");
        assert_eq!(Some(code), layout.loader_address(), "{board}");
        assert_eq!((ram, ram_size), (image.base, image.size), "{board}");
        assert!(code + code_size <= ram, "{board}: code and data are apart");
    }
}

#[test]
fn every_place_has_a_name() {
    assert_eq!(["a", "b", "ram", "c", ""].map(Place::named), [Some(Place::SlotA), Some(Place::SlotB), Some(Place::Ram), None, None]);
}
