//! Fuzzes `twinslot_tests::fuzzing::tree`, where its properties are written down.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinslot_tests::fuzzing::tree(data));
