//! Any bytes for `codec_mime::fuzzing::headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_mime::fuzzing::headers(data));
