//! Any bytes for `codec_pop3::fuzzing::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_pop3::fuzzing::command(data));
