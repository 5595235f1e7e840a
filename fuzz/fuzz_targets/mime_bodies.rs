//! Any bytes for `codec_mime::fuzzing::bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_mime::fuzzing::bodies(data));
