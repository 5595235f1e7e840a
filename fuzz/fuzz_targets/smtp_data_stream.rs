//! Any bytes for `codec_smtp::fuzzing::data_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_smtp::fuzzing::data_stream(data));
