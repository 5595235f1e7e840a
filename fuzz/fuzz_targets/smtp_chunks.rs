//! Any bytes for `codec_smtp::fuzzing::chunks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_smtp::fuzzing::chunks(data));
