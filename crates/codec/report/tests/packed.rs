//! What is unpacked, and what is not.

use codec_report::{Refused, gzip, unpack};
use proptest::prelude::*;

/// Made with Python's zipfile: `a.xml` with "hello " twenty times, and with "hello" as it is.
const DEFLATED: &str = "504b03041400000008000000775d2ffaf8480b0000007800000005000000612e786d6ccb48\
    cdc9c957c8a03b0900504b010214031400000008000000775d2ffaf8480b0000007800000005000000000000000000\
    0000800100000000612e786d6c504b05060000000001000100330000002e0000000000";
const STORED: &str = "504b03041400000000000000775d86a61036050000000500000005000000612e786d6c68656c\
    6c6f504b010214031400000000000000775d86a6103605000000050000000500000000000000000000008001000000\
    00612e786d6c504b0506000000000100010033000000280000000000";

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

#[test]
fn packings_are_told_by_their_first_bytes() {
    assert_eq!(unpack(&gzip(b"hello"), 5), Ok(b"hello".to_vec()));
    assert_eq!(unpack(b"<feedback/>", 100), Ok(b"<feedback/>".to_vec()));
    assert_eq!(unpack(&bytes(STORED), 5), Ok(b"hello".to_vec()));
    assert_eq!(unpack(&bytes(DEFLATED), 120), Ok("hello ".repeat(20).into_bytes()));
}

#[test]
fn attack_38_a_bomb_is_not_unpacked() {
    let bomb = gzip(&vec![0; 50 << 20]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    assert_eq!(unpack(&bomb, 1 << 20), Err(Refused::TooLarge));
    // A bomb within a bomb is only unpacked once.
    assert_eq!(unpack(&gzip(&bomb), 1 << 20), Ok(bomb));
    assert_eq!(unpack(&bytes(DEFLATED), 119), Err(Refused::TooLarge));
    assert_eq!(unpack(&bytes(STORED), 4), Err(Refused::TooLarge));
    assert_eq!(unpack(b"plain", 4), Err(Refused::TooLarge));
    // Two members, one after the other: only the first is a report.
    let two = [gzip(b"one"), gzip(&vec![0; 1 << 20])].concat();
    assert_eq!(unpack(&two, 3), Ok(b"one".to_vec()));
}

#[test]
fn what_is_damaged_is_refused() {
    let good = gzip(b"hello hello hello");
    assert_eq!(unpack(&good[..good.len() - 9], 100), Err(Refused::Damaged));
    for zip in [DEFLATED, STORED] {
        let zip = bytes(zip);
        for end in 4..zip.len() {
            assert_eq!(unpack(&zip[..end], 1000), Err(Refused::Damaged), "{end}");
        }
        // Two entries, an encrypted one, another method, an offset behind the end.
        for (from_end, value) in [(12, 2), (6, 0xff)] {
            let mut changed = zip.clone();
            let at = changed.len() - from_end;
            changed[at] = value;
            assert_eq!(unpack(&changed, 1000), Err(Refused::Damaged), "{from_end}");
        }
        let directory = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        for (at, value) in [(8, 1), (10, 99), (42, 7), (20, 255)] {
            let mut changed = zip.clone();
            changed[directory + at] = value;
            assert_eq!(unpack(&changed, 1000), Err(Refused::Damaged), "{at}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_a_refusal(rest in prop::collection::vec(any::<u8>(), 0..300)) {
        for begin in [&b""[..], b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"PK\x03\x04", b"PK\x05\x06"] {
            let bytes = [begin, &rest].concat();
            if let Ok(unpacked) = unpack(&bytes, 1000) {
                prop_assert!(unpacked.len() <= 1000);
            }
        }
    }

    #[test]
    fn what_was_packed_is_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(unpack(&gzip(&bytes), 3000), Ok(bytes));
    }
}
