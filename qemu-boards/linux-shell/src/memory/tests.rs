//! Which memory is lent, byte by byte around every border.

use super::*;
use crate::layout::Extent;

const NONE: Extent = Extent { offset: 0, size: 0 };

/// A machine's memory at 0x1000 to 0x9000 and at 0xf000 to 0x10000; images may have 0x2000 to 0xf800.
const LAYOUT: Layout = Layout {
    disk_size: 0,
    logs: [NONE; 2],
    slot_a: NONE,
    slot_b: NONE,
    golden: NONE,
    image: &[(0x2000, 0xd800)],
    loader: &[(0x3000, 0x100)],
    device_tree: (0x4000, 0x100),
    marker: (0x5000, 0x100),
    reserved: &[(0x6000, 0x100)],
    digest: [0; 32],
};

const fn at(start: u64, len: u64) -> Span {
    Span { start, len }
}

fn plan() -> MemoryPlan {
    let memory = Ranges::from_slice(&[at(0x1000, 0x8000), at(0xf000, 0x1000)]).expect("two ranges");
    let reserved = Ranges::from_slice(&[at(0x7000, 0x100)]).expect("one range");
    MemoryPlan::new(&LAYOUT, &memory, &reserved, at(0x8000, 0x100)).expect("a plan")
}

#[test]
fn images_get_what_both_machine_and_layout_give_them() {
    assert_eq!(plan().usable.as_slice(), [at(0x2000, 0x7000), at(0xf000, 0x800)]);
}

#[test]
fn no_byte_of_what_is_reserved_and_none_outside_is_lent() {
    let plan = plan();
    let is_reserved = |address: u64| (0x3000..0x8100).contains(&address) && address % 0x1000 < 0x100;
    let is_usable = |address: u64| (0x2000..0x9000).contains(&address) || (0xf000..0xf800).contains(&address);
    for address in 0..0x1_0100 {
        assert_eq!(plan.lends(address, 1), is_usable(address) && !is_reserved(address), "{address:#x}");
    }
}

#[test]
fn a_range_across_a_border_is_not_lent() {
    let plan = plan();
    assert!(plan.lends(0x2000, 0x1000) && plan.lends(0x3100, 0xf00));
    for (address, len) in [(0x1fff, 2), (0x2fff, 2), (0x30ff, 2), (0x2000, 0x1001), (0x8fff, 2), (0xf7ff, 2), (0x8200, 0x7000)] {
        assert!(!plan.lends(address, len), "{address:#x}, {len:#x}");
    }
}

#[test]
fn ranges_at_the_end_of_all_addresses_do_not_wrap() {
    let plan = plan();
    for (address, len) in [(u64::MAX, 1), (u64::MAX, u64::MAX), (0x2000, u64::MAX), (u64::MAX - 0x1000, 0x4000)] {
        assert!(!plan.lends(address, len), "{address:#x}, {len:#x}");
    }
}

#[test]
fn a_machine_with_more_ranges_than_are_kept_is_refused() {
    let memory = Ranges::from_iter((0..9).map(|number| at(0x2000 + number * 0x200, 0x100)));
    assert_eq!(MemoryPlan::new(&LAYOUT, &memory, &Ranges::new(), at(0, 1)).map(|_| ()), Err(TooManyRanges));
}
