//! Fuzzes `twinslot_tests::fuzzing::record`, where its properties are written down.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinslot_tests::fuzzing::record(data));
