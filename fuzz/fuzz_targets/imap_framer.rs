//! Any bytes for `codec_imap::fuzzing::framer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_imap::fuzzing::framer(data));
