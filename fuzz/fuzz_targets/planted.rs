//! A property that does not hold, for one input in 2^64: a fuzzer that is guided by coverage finds it in moments, a blind one never. `cargo xtask fuzz`
//! runs it first, and believes in nothing that it did not find unless it finds this.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let word = data.first_chunk().map(|word| u64::from_le_bytes(*word));
    assert!(word != Some(u64::from_le_bytes(*b"TWINSLOT")), "the planted fault is found");
});
