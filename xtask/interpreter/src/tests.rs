//! Small programs, written as halfwords. What each must do is from the Armv7-M Architecture Reference Manual, chapter A7.7.

use crate::{Attempt, End, Fault, Known, Machine, Reference, Stop, Trap};

const IMAGES: [std::ops::Range<u32>; 2] = [0x2100_0000..0x2200_0000, 0x2000_8000..0x2020_0000];
const START: u32 = 0x40;
const BRANCH_TO_ITSELF: u16 = 0xe7fe;

/// A machine with a stack at 0x2000_1000 that runs `program` from 0x40 on.
fn machine(program: &[u16]) -> Machine {
    let mut code = vec![0; START as usize];
    code[..4].copy_from_slice(&0x2000_1000_u32.to_le_bytes());
    code[4..8].copy_from_slice(&(START | 1).to_le_bytes());
    code.extend(program.iter().flat_map(|half| half.to_le_bytes()));
    Machine::new(&code, &[0xff; 4096], IMAGES)
}

/// The registers once the program branches to itself.
fn registers_after(program: &[u16]) -> [u32; 17] {
    let mut machine = machine(&[program, &[BRANCH_TO_ITSELF]].concat());
    let stop = machine.run(1000, None);
    assert!(matches!(stop, Stop::End(End::Resting(_))), "{stop:?}");
    machine.registers()
}

fn end_of(program: &[u16]) -> Stop {
    machine(program).run(1000, None)
}

const NEGATIVE: u32 = 1 << 31;
const ZERO: u32 = 1 << 30;
const CARRY: u32 = 1 << 29;
const OVERFLOW: u32 = 1 << 28;

#[test]
fn sums_and_differences_set_carry_and_overflow() {
    // movs r0, #1; lsls r0, #31; subs r1, r0, #1; adds r2, r0, r0
    let registers = registers_after(&[0x2001, 0x07c0, 0x1e41, 0x1802]);
    assert_eq!((registers[0], registers[1], registers[2]), (0x8000_0000, 0x7fff_ffff, 0));
    assert_eq!(registers[16], ZERO | CARRY | OVERFLOW);
}

#[test]
fn a_comparison_with_a_larger_number_borrows() {
    // movs r0, #1; cmp r0, #2
    assert_eq!(registers_after(&[0x2001, 0x2802])[16], NEGATIVE);
}

#[test]
fn an_it_block_runs_what_its_conditions_let_through_and_sets_no_flags() {
    // movs r0, #0; ite eq; moveq r1, #5; movne r2, #6; movs r3, #7
    let registers = registers_after(&[0x2000, 0xbf0c, 0x2105, 0x2206, 0x2307]);
    assert_eq!(registers[1..4], [5, 0, 7]);
}

#[test]
fn umaal_adds_both_halves_to_the_product() {
    // mov.w r0, #-1; mov r1, r0; mov r2, r0; mov r3, r0; umaal r0, r1, r2, r3
    let registers = registers_after(&[0xf04f, 0x30ff, 0x4601, 0x4602, 0x4603, 0xfbe2, 0x0163]);
    assert_eq!((registers[0], registers[1]), (u32::MAX, u32::MAX), "(2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1");
}

#[test]
fn lanes_saturate_each_for_itself() {
    // movw r0, #0x01ff; movw r1, #0x0202; uqadd8 r2, r0, r1; uqsub8 r3, r0, r1
    let registers = registers_after(&[0xf240, 0x10ff, 0xf240, 0x2102, 0xfa80, 0xf251, 0xfac0, 0xf351]);
    assert_eq!((registers[2], registers[3]), (0x03ff, 0x00fd));
}

#[test]
fn halves_are_packed_from_two_registers() {
    // movw r0, #0x1234; movt r0, #0x5678; movw r1, #0x9abc; movt r1, #0xdef0; pkhbt r2, r0, r1, lsl #8; pkhtb r3, r0, r1, asr #8
    let program = [0xf241, 0x2034, 0xf2c5, 0x6078, 0xf649, 0x21bc, 0xf6cd, 0x61f0, 0xeac0, 0x2201, 0xeac0, 0x2321];
    let registers = registers_after(&program);
    assert_eq!((registers[2], registers[3]), (0xf09a_1234, 0x5678_f09a));
    // The same with S set.
    assert_eq!(end_of(&[0xead3, 0x270c]), Stop::End(End::Faulted(Trap::Undefined)));
}

#[test]
fn what_is_pushed_is_popped_and_the_stack_pointer_comes_back() {
    // movs r4, #9; push {r4, lr}; movs r4, #0; pop {r4}; add sp, #4
    let registers = registers_after(&[0x2409, 0xb510, 0x2400, 0xbc10, 0xb001]);
    assert_eq!((registers[4], registers[13]), (9, 0x2000_1000));
}

#[test]
fn stores_and_loads_of_all_widths_agree() {
    // mov.w r0, #0x20000000; movs r1, #0x85; strb r1, [r0]; ldrsb.w r2, [r0]; ldr r3, [r0]
    let registers = registers_after(&[0xf04f, 0x5000, 0x2185, 0x7001, 0xf990, 0x2000, 0x6803]);
    assert_eq!((registers[2], registers[3]), (0xffff_ff85, 0x85));
}

#[test]
fn each_way_to_leave_the_program_has_its_end() {
    // movs r0, #0; bx r0
    assert_eq!(end_of(&[0x2000, 0x4700]), Stop::End(End::Faulted(Trap::State)));
    // mov.w r0, #0x22000000; ldr r0, [r0]: behind the flash there is no memory
    assert_eq!(end_of(&[0xf04f, 0x5008, 0x6800]), Stop::End(End::Faulted(Trap::Memory)));
    // udf
    assert_eq!(end_of(&[0xde00]), Stop::End(End::Faulted(Trap::Undefined)));
    // svc 0
    assert_eq!(end_of(&[0xdf00]), Stop::End(End::Faulted(Trap::Call)));
    // wfi
    assert_eq!(end_of(&[0xbf30]), Stop::End(End::Resting(START)));
    // vadd.f32 s0, s0, s0; vldmia r0!, {s23, ...}
    assert_eq!(end_of(&[0xee30, 0x0a00]), Stop::End(End::Faulted(Trap::Undefined)));
    assert_eq!(end_of(&[0xecf0, 0xba12]), Stop::End(End::Faulted(Trap::Undefined)));
    // mov.w r0, #0x21000000; adds r0, #1; bx r0
    assert_eq!(end_of(&[0xf04f, 0x5004, 0x3001, 0x4700]), Stop::End(End::Started));
}

#[test]
fn what_a_floating_point_unit_does_that_was_switched_on_is_not_known() {
    // movw r0, #0xed88; movt r0, #0xe000; mov.w r1, #0x00f00000; str r1, [r0]; vadd.f32 s0, s0, s0
    assert_eq!(end_of(&[0xf64e, 0x5088, 0xf2ce, 0x0000, 0xf44f, 0x0170, 0x6001, 0xee30, 0x0a00]), Stop::End(End::Unknown));
    // The same with vldmia r0!, {s23-s31} and with one register more than there are.
    assert_eq!(end_of(&[0xf64e, 0x5088, 0xf2ce, 0x0000, 0xf44f, 0x0170, 0x6001, 0xecf0, 0xba09]), Stop::End(End::Unknown));
    assert_eq!(end_of(&[0xf64e, 0x5088, 0xf2ce, 0x0000, 0xf44f, 0x0170, 0x6001, 0xecf0, 0xba0a]), Stop::End(End::Faulted(Trap::Undefined)));
}

/// Found by the emulator: a fault in front of the transmitter's start let the loader print here, and made it wait for ever there.
#[test]
fn a_transmitter_that_is_off_keeps_one_byte_and_has_no_room_for_another() {
    // movw r0, #0x4000; movt r0, #0x4000; movs r1, #65; str r1, [r0]; ldr r2, [r0, #4]
    let off = [0xf244, 0x0000, 0xf2c4, 0x0000, 0x2141, 0x6001, 0x6842];
    assert_eq!(registers_after(&off)[2], 1);
    // movs r3, #1; str r3, [r0, #8] in front of the store
    let on = [0xf244, 0x0000, 0xf2c4, 0x0000, 0x2141, 0x2301, 0x6083, 0x6001, 0x6842];
    assert_eq!(registers_after(&on)[2], 0);
}

/// What the emulator does there: an access is no fault.
#[test]
fn reserved_memory_reads_as_zero_and_keeps_nothing() {
    // movs r0, #1; lsls r0, #29; subs r0, #4; str r0, [r0]; ldr r1, [r0]
    let registers = registers_after(&[0x2001, 0x0740, 0x3804, 0x6000, 0x6801]);
    assert_eq!((registers[0], registers[1]), (0x1fff_fffc, 0));
}

/// movs r0, #3; loop: subs r0, #1; bne loop; wfi
const COUNTDOWN: [u16; 4] = [0x2003, 0x3801, 0xd1fd, 0xbf30];

#[test]
fn a_recorded_run_knows_each_execution() {
    let reference = Reference::record(&mut machine(&COUNTDOWN), 1000);
    assert_eq!((reference.len(), reference.end()), (8, End::Resting(START + 6)));
    let times: Vec<u64> = reference.visits().iter().map(|visit| visit.times).collect();
    assert_eq!(times, [1, 3, 3, 1]);
}

fn attempt(reference: &Reference, machine: &mut Machine, fault: Fault, limit: u64) -> Attempt<()> {
    reference.attempt(machine, fault, limit, None).0
}

#[test]
fn a_run_ends_as_one_did_that_came_to_the_same_state() {
    // movs r0, #255; movs r1, #0; loop: nop; nop; adds r1, #1; subs r0, #1; bne loop; lsrs r1, #2; wfi
    let mut machine = machine(&[0x20ff, 0x2100, 0xbf00, 0xbf00, 0x3101, 0x3801, 0xd1fa, 0x0889, 0xbf30]);
    let reference = Reference::record(&mut machine, 10_000);
    let known = Known::default();
    let mut ends = |fault| {
        let (attempt, passed) = reference.attempt(&mut machine, fault, 10_000, Some(&known));
        known.add(&passed, fault);
        attempt
    };
    let by_itself = Attempt::Ended(End::Resting(START + 16));
    // One addition less, whichever it is, and the same is in r1 where the loop is left.
    assert_eq!(ends(Fault::One(4)), by_itself);
    assert_eq!(ends(Fault::One(9)), Attempt::Known(Fault::One(4)));
    // One round more, and something else is there.
    assert_eq!(ends(Fault::One(5)), by_itself);
    // What is left out at every execution may be still to come.
    assert_eq!(ends(Fault::Every(START + 8)), by_itself);
}

#[test]
fn faults_leave_out_what_they_name() {
    let mut machine = machine(&COUNTDOWN);
    let reference = Reference::record(&mut machine, 1000);
    // One decrement less: one more round.
    assert_eq!(attempt(&reference, &mut machine, Fault::One(1), 1000), Attempt::Ended(End::Resting(START + 6)));
    assert_eq!(machine.count(), 10);
    // Neither decrement nor branch: it falls through to the end.
    attempt(&reference, &mut machine, Fault::Pair(1), 1000);
    assert_eq!((machine.count(), machine.registers()[0]), (4, 3));
    // Never a decrement: it never ends. A skipped instruction is there again afterwards.
    assert_eq!(attempt(&reference, &mut machine, Fault::Every(START + 2), 100_000), Attempt::Ended(End::Endless));
    assert_eq!(attempt(&reference, &mut machine, Fault::One(1), 1000), Attempt::Ended(End::Resting(START + 6)));
}

/// It came back behind a write to the loader's vector table; QEMU, where it was a no-operation from the start, found out.
#[test]
fn what_is_always_left_out_stays_so_when_the_program_writes_over_its_own_code() {
    // movs r0, #0; movs r1, #0; str r0, [r0]; adds r1, #1
    let mut machine = machine(&[0x2000, 0x2100, 0x6000, 0x3101, BRANCH_TO_ITSELF]);
    let reference = Reference::record(&mut machine, 1000);
    assert_eq!(reference.run_whole(&mut machine, Fault::Every(START + 6), 1000), End::Resting(START + 8));
    assert_eq!(machine.registers()[1], 0);
}

#[test]
fn a_power_cycle_keeps_the_flash_and_nothing_else() {
    // mov.w r0, #0x21000000; movs r1, #7; str r1, [r0]; mov.w r2, #0x20000000; str r1, [r2]; wfi
    let mut machine = machine(&[0xf04f, 0x5004, 0x2107, 0x6001, 0xf04f, 0x5200, 0x6011, 0xbf30]);
    machine.run(1000, None);
    assert_eq!((machine.flash()[0], machine.bytes(0x2000_0000..0x2000_0001)[0]), (7, 7));
    machine.power_cycle();
    assert_eq!((machine.flash()[0], machine.bytes(0x2000_0000..0x2000_0001)[0], machine.pc()), (7, 0, START));
}

/// Sets r4 to the registers of the memory protection unit and puts `movs r6, #1; bx lr` at the start of RAM, which r5 gets with the Thumb bit.
const PROTECTED_PROGRAM: [u16; 14] = [
    0xf64e, 0x5490, // movw r4, #0xed90
    0xf2ce, 0x0400, // movt r4, #0xe000
    0xf04f, 0x5500, // mov.w r5, #0x2000_0000
    0xf242, 0x6001, // movw r0, #0x2601
    0xf2c4, 0x7070, // movt r0, #0x4770
    0x6028, // str r0, [r5]
    0x3501, // adds r5, #1
    0x2600, // movs r6, #0
    0xbf00, // nop
];

/// `str`s the words to the unit's base, attributes and control.
fn protected(base: u32, attributes: u32, control: u32) -> Vec<u16> {
    let load = |register: u16, value: u32| {
        let (low, high) = (value as u16, (value >> 16) as u16);
        let split = |half: u16| (half >> 12 | (half >> 11 & 1) << 10, (half >> 8 & 7) << 12 | register << 8 | half & 0xff);
        let ((low_0, low_1), (high_0, high_1)) = (split(low), split(high));
        [0xf240 | low_0, low_1, 0xf2c0 | high_0, high_1]
    };
    let stores = [0x60e0, 0x6121, 0x6062]; // str r0, [r4, #12]; str r1, [r4, #16]; str r2, [r4, #4]
    [&PROTECTED_PROGRAM[..], &load(0, base), &load(1, attributes), &load(2, control), &stores].concat()
}

const BLX_R5: u16 = 0x47a8;
const ALWAYS: u32 = 5;
const RAM_REGION: u32 = 0x2000_0010;
const NEVER_EXECUTED: u32 = 0x1303_001b;

#[test]
fn nothing_runs_from_a_region_of_the_protection_unit_that_says_so() {
    let with_call = |attributes, control| [protected(RAM_REGION, attributes, control), vec![BLX_R5, BRANCH_TO_ITSELF]].concat();
    assert_eq!(end_of(&with_call(NEVER_EXECUTED, ALWAYS)), Stop::End(End::Faulted(Trap::Forbidden)));
    for harmless in [with_call(NEVER_EXECUTED, 4), with_call(NEVER_EXECUTED & !1, ALWAYS), with_call(NEVER_EXECUTED & !(1 << 28), ALWAYS)] {
        let mut machine = machine(&harmless);
        assert!(matches!(machine.run(1000, None), Stop::End(End::Resting(_))), "{:?}", machine.registers());
        assert_eq!(machine.registers()[6], 1, "the program in RAM ran");
    }
}

#[test]
fn a_region_without_access_refuses_loads_and_stores_but_not_beside_it() {
    // ldr r3, [r5, #3]: 0x2000_0004; str r3, [r5, #3]
    let (load, store) = ([0xf8d5, 0x3003], [0xf8c5, 0x3003]);
    let after = |attributes, access: [u16; 2]| end_of(&[protected(RAM_REGION, attributes, ALWAYS), access.to_vec(), vec![BRANCH_TO_ITSELF]].concat());
    let (none, read_only, full) = (0x0003_001b, 0x0603_001b, 0x0303_001b);
    assert_eq!(after(none, load), Stop::End(End::Faulted(Trap::Forbidden)));
    assert_eq!(after(read_only, store), Stop::End(End::Faulted(Trap::Forbidden)));
    for harmless in [after(read_only, load), after(full, store), after(none | 0xff << 8, load)] {
        assert!(matches!(harmless, Stop::End(End::Resting(_))), "{harmless:?}");
    }
}

#[test]
fn without_a_background_the_protection_unit_lets_nothing_run_but_regions() {
    let program = [protected(RAM_REGION, 0x0303_001b, 1), vec![BLX_R5, BRANCH_TO_ITSELF]].concat();
    assert_eq!(end_of(&program), Stop::End(End::Faulted(Trap::Forbidden)), "the code has no region");
    // 4 MiB from 0 on, region 1.
    let mut unit = crate::protection::Protection::default();
    for (register, value) in [(0xe000_ed9c, 0x11), (0xe000_eda0, 0x0302_002b), (0xe000_ed94, 1)] {
        unit.write(register, value);
    }
    assert!(unit.allows(0x40, crate::protection::Access::Fetch) && !unit.allows(0x2000_0000, crate::protection::Access::Load));
    assert_eq!((unit.read(0xe000_ed98), unit.read(0xe000_ed9c), unit.read(0xe000_eda0), unit.read(0xe000_ed90)), (1, 1, 0x0302_002b, 0x800));
}

#[test]
fn what_does_not_fit_saturates_and_is_remembered() {
    // mov.w r0, #0x100; ssat r1, #8, r0; usat r2, #5, r0, asr #4; mrs r3, apsr; usat r4, #9, r0; mvn r5, #0; usat r6, #3, r5
    let program = [0xf44f, 0x7080, 0xf300, 0x0107, 0xf3a0, 0x1205, 0xf3ef, 0x8300, 0xf380, 0x0409, 0xf06f, 0x0500, 0xf385, 0x0603];
    let registers = registers_after(&program);
    assert_eq!((registers[1], registers[2]), (0x7f, 0x10));
    assert_eq!(registers[3] >> 27 & 1, 1, "Q");
    assert_eq!((registers[4], registers[6]), (0x100, 0));
    // mov.w r0, #0x7fff_ffff; movs r1, #1; qadd r2, r1, r0; qdsub r3, r1, r0; mrs r4, apsr
    let registers = registers_after(&[0xf06f, 0x4000, 0x2101, 0xfa80, 0xf281, 0xfa80, 0xf3b1, 0xf3ef, 0x8400]);
    assert_eq!((registers[2], registers[3]), (0x7fff_ffff, 0x8000_0002_u32), "1 - sat(2 * greatest) = 1 - greatest");
    assert_eq!(registers[4] >> 27 & 1, 1, "Q");
    // movw r0, #0x7f80; movt r0, #0xff00; ssat16 r1, #8, r0; usat16 r2, #8, r0
    let registers = registers_after(&[0xf647, 0x7080, 0xf6cf, 0x7000, 0xf320, 0x0107, 0xf3a0, 0x0208]);
    assert_eq!((registers[1], registers[2]), (0xff80_007f, 0x0000_00ff));
}

#[test]
fn the_second_set_of_floating_point_instructions_is_undefined() {
    assert_eq!(end_of(&[0xfc00, 0x3aa3]), Stop::End(End::Faulted(Trap::Undefined)));
}

/// Each by the pseudocode of its page, worked out by hand.
#[test]
fn products_of_halves_are_added_and_subtracted() {
    // movw r0, #3; movt r0, #0xfffe; movw r1, #5; movt r1, #7: (-2, 3) and (7, 5); movs r2, #1
    let start = [0xf240, 0x0003, 0xf6cf, 0x70fe, 0xf240, 0x0105, 0xf2c0, 0x0107, 0x2201];
    let after = |instruction: [u16; 2]| registers_after(&[&start[..], &instruction].concat());
    let signed = |value: i32| value.cast_unsigned();
    let three = [
        // smuad; smuadx; smlad with r2; smusd; smusdx
        ([0xfb20, 0xf301], 15 - 14),
        ([0xfb20, 0xf311], 21 - 10),
        ([0xfb20, 0x2301], 15 - 14 + 1),
        ([0xfb40, 0xf301], 15 + 14),
        ([0xfb40, 0xf311], 21 + 10),
        // smulwb, smulwt: r0 is -131,069
        ([0xfb30, 0xf301], -10),
        ([0xfb30, 0xf311], -14),
        // smmul, smmla with r2, smmls with r2, -131,069 times 458,757 is -14 * 2^32 + 720,911
        ([0xfb50, 0xf301], -14),
        ([0xfb50, 0x2301], -13),
        ([0xfb60, 0x2301], 1 + 13),
        // smulbt; smlatb with r2
        ([0xfb10, 0xf311], 21),
        ([0xfb10, 0x2321], -10 + 1),
    ];
    for (instruction, value) in three {
        assert_eq!(after(instruction)[3], signed(value), "{instruction:x?}");
    }
    // usad8 r3, r0, r1: 3-5, 0-0, 0xfe-7, 0xff-0
    assert_eq!(after([0xfb70, 0xf301])[3], 2 + 247 + 255);
    // smlald r2, r3, r0, r1 with r3:r2 = 1; smlsldx; smlalbt
    assert_eq!(after([0xfbc0, 0x23c1])[2], 2);
    assert_eq!(after([0xfbd0, 0x23d1])[2], 32);
    assert_eq!(after([0xfbc0, 0x2391])[2], 22);
}

#[test]
fn halves_are_exchanged_before_they_are_added_and_subtracted() {
    // movw r0, #3; movt r0, #10; movw r1, #5; movt r1, #1; sasx r2, r0, r1; ssax r3, r0, r1
    let registers = registers_after(&[0xf240, 0x0003, 0xf2c0, 0x000a, 0xf240, 0x0105, 0xf2c0, 0x0101, 0xfaa0, 0xf201, 0xfae0, 0xf301]);
    assert_eq!((registers[2], registers[3]), (15 << 16 | 2, 5 << 16 | 4));
}

#[test]
fn an_image_that_may_not_be_run_does_not_start() {
    // blx r5, which is 0x2000_8001 here: adds r5, r5, #0x8000
    let to_the_image = [0xf505, 0x4500, BLX_R5];
    let with = |control| [protected(0x2000_0010, 0x1303_0039, control), to_the_image.to_vec()].concat();
    assert_eq!(end_of(&with(ALWAYS)), Stop::End(End::Faulted(Trap::Forbidden)));
    assert_eq!(end_of(&with(4)), Stop::End(End::Started));
}

#[test]
fn code_that_is_read_only_is_run_and_read_but_not_written() {
    // str r0, [r7] with r7 = 0
    let read_only = protected(0x10, 0x0602_0039, ALWAYS);
    let program = [read_only.clone(), vec![0x2700, 0x6038, BRANCH_TO_ITSELF]].concat();
    assert_eq!(end_of(&program), Stop::End(End::Faulted(Trap::Forbidden)));
    let program = [read_only, vec![0x2700, 0x6838, BRANCH_TO_ITSELF]].concat();
    assert!(matches!(end_of(&program), Stop::End(End::Resting(_))));
}

#[test]
fn a_fault_after_a_write_over_the_vectors_is_of_unknown_end() {
    // movs r7, #0; str r7, [r7, #12]; udf
    assert_eq!(end_of(&[0x2700, 0x60ff, 0xde00]), Stop::End(End::Unknown));
}
