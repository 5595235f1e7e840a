//! What holds for any octets.

use codec_mime::generate::{self, Shape};
use codec_mime::{ParsedMessage, fuzzing};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_octets(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzzing::scanner(&data);
        fuzzing::headers(&data);
        fuzzing::addresses(&data);
        fuzzing::rfc2047(&data);
        fuzzing::bodies(&data);
    }

    #[test]
    fn octets_that_look_like_mime(seed in any::<u64>(), bytes in 0..1500_usize) {
        let data = generate::to_vec(seed, Shape::Junk { bytes });
        fuzzing::scanner(&data);
        fuzzing::headers(&data);
    }

    #[test]
    fn characters_that_matter_in_addresses(data in "[a@<>:;,.()\"\\\\\\[\\]= *?/'%0-9 ]{0,80}") {
        fuzzing::addresses(data.as_bytes());
        fuzzing::addresses(format!("a/b; {data}; name*0*={data}").as_bytes());
    }

    #[test]
    fn characters_that_matter_in_encoded_words(
        words in proptest::collection::vec(
            "=\\?(utf-8|x|utf-7|)\\?[qbx]\\?[a-z=0-9+/_ ]{0,20}\\?=|[ =?\\t]|.",
            0..12,
        )
    ) {
        fuzzing::rfc2047(words.concat().as_bytes());
    }

    #[test]
    fn characters_that_matter_in_bodies(
        choice in any::<u8>(),
        body in "([a-zA-Z0-9+/=\\-&]|=[0-9A-F]{2}|=?\r\n|\x1b\\$B|[\x00-\x1f]|.){0,80}",
    ) {
        fuzzing::bodies(&[&[choice], body.as_bytes()].concat());
    }

    #[test]
    fn dates_print_and_parse(
        unix_seconds in -2_000_000_000_i64..250_000_000_000,
        zone in -23 * 60..24 * 60_i16,
    ) {
        let at = codec_mime::SentAt { unix_seconds, offset_minutes: zone };
        prop_assert_eq!(codec_mime::date::parse(codec_mime::date::print(at).as_bytes()), Some(at));
    }

    #[test]
    fn values_survive_storage(seed in any::<u64>()) {
        let message = codec_mime::parse(&generate::to_vec(seed, generate::realistic_shape(seed)));
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(&message, config).unwrap();
        let (back, _): (ParsedMessage, usize) =
            bincode::serde::decode_from_slice(&bytes, config).unwrap();
        prop_assert_eq!(back, message);
    }
}
