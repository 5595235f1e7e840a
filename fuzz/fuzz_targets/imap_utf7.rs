//! Any bytes for `codec_imap::fuzzing::utf7`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_imap::fuzzing::utf7(data));
