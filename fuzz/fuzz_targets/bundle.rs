//! Fuzzes `twinslot_tests::fuzzing::bundle`, where its properties are written down.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinslot_tests::fuzzing::bundle(data));
