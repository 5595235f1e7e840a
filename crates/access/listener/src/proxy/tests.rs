#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use std::fmt::Write as _;

/// What a header gives, as text; and how much of what came was taken.
async fn read(bytes: &[u8]) -> (String, usize) {
    let mut taken = Vec::new();
    let mut stream = bytes;
    let outcome = match read_header(&mut stream, &mut taken).await {
        Ok(Some(client)) => client.to_string(),
        Ok(None) => "itself".to_owned(),
        Err(wrong) => format!("{wrong:?}"),
    };
    assert_eq!(taken.len() + stream.len(), bytes.len());
    (outcome, taken.len())
}

/// What a header gives that is followed by something else, of which no byte is taken.
async fn check(header: &[u8], expect: &str) {
    let followed = [header, b"EHLO client\r\n"].concat();
    let (outcome, taken) = read(&followed).await;
    let text = header.escape_ascii().to_string();
    assert!(outcome.contains(expect), "{text}: {outcome} instead of {expect}");
    if !outcome.contains("Garbage") {
        assert_eq!(taken, header.len(), "{text}");
        // However it is cut into pieces, and never without its end.
        for end in 0..header.len() {
            let (outcome, taken) = read(&header[..end]).await;
            assert!(outcome.contains("Broken") || outcome == "Nothing", "{text}: {outcome}");
            assert_eq!(taken, end);
        }
    }
}

fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

#[tokio::test]
async fn version_1_names_the_client_or_nobody() {
    for (line, expect) in [
        ("PROXY TCP4 192.0.2.7 10.0.0.1 4711 25\r\n", "192.0.2.7:4711"),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
        ("PROXY TCP6 2001:db8::7 ::1 4711 25\r\n", "[2001:db8::7]:4711"),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 0 25\r\n", "[::ffff:192.0.2.7]:0"),
        ("PROXY UNKNOWN\r\n", "itself"),
        ("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", "itself"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 4711 25\n", "Garbage"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n", "Garbage"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 4711 25 1\r\n", "Garbage"),
        ("PROXY TCP4  192.0.2.7 10.0.0.1 4711 25\r\n", "Garbage"),
        ("PROXY TCP4 192.0.2.07 10.0.0.1 4711 25\r\n", "Garbage"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 04711 25\r\n", "Garbage"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 +4711 25\r\n", "Garbage"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 65536 25\r\n", "Garbage"),
        ("PROXY TCP4 2001:db8::7 ::1 4711 25\r\n", "Garbage"),
        ("PROXY TCP6 192.0.2.7 10.0.0.1 4711 25\r\n", "Garbage"),
        ("PROXY UDP4 192.0.2.7 10.0.0.1 4711 25\r\n", "Garbage"),
        ("PROXY UNKNOWNS\r\n", "Garbage"),
        ("proxy TCP4 192.0.2.7 10.0.0.1 4711 25\r\n", "Garbage"),
        ("PROXY TCP4 \u{fc}.0.2.7 10.0.0.1 4711 25\r\n", "Garbage"),
    ] {
        check(line.as_bytes(), expect).await;
    }
}

#[tokio::test]
async fn version_2_names_the_client_or_nobody() {
    let tcp4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 25];
    let ip: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let tcp6 = [&ip.octets()[..], &[0; 16], &[0x12, 0x67, 0, 25]].concat();
    let with = |addresses: &[u8], more: usize| [addresses, &vec![0xab; more][..]].concat();
    for (header, expect) in [
        (version_2(0x21, 0x11, &tcp4), "192.0.2.7:4711"),
        (version_2(0x21, 0x21, &tcp6), "[2001:db8::7]:4711"),
        // What follows the addresses is not read, sensible or not.
        (version_2(0x21, 0x11, &with(&tcp4, 3)), "192.0.2.7:4711"),
        (version_2(0x21, 0x21, &with(&tcp6, 4_000)), "[2001:db8::7]:4711"),
        // A proxy's own connection, whatever it says beside.
        (version_2(0x20, 0x00, &[]), "itself"),
        (version_2(0x20, 0x11, &tcp4), "itself"),
        (version_2(0x20, 0xff, &[1, 2, 3]), "itself"),
        (version_2(0x21, 0x00, &[1, 2, 3]), "itself"),
        (version_2(0x21, 0x31, &[b'/'; 216]), "itself"),
        (version_2(0x21, 0x11, &tcp4[..11]), "Garbage"),
        (version_2(0x21, 0x21, &tcp6[..35]), "Garbage"),
        (version_2(0x21, 0x21, &tcp4), "Garbage"),
        (version_2(0x21, 0x12, &tcp4), "Garbage"),
        (version_2(0x21, 0x41, &tcp4), "Garbage"),
        (version_2(0x22, 0x11, &tcp4), "Garbage"),
        (version_2(0x11, 0x11, &tcp4), "Garbage"),
        (version_2(0x21, 0x11, &with(&tcp4, 4_085)), "Garbage"),
    ] {
        check(&header, expect).await;
    }
}

#[tokio::test]
async fn attack_13_what_is_no_header_is_taken_no_further_than_it_must() {
    let mut long = "PROXY UNKNOWN ".to_owned();
    while long.len() < 200 {
        let _never_fails = write!(long, "x");
    }
    for (bytes, most) in [
        (&b"EHLO client\r\nMAIL FROM:<a@example>\r\n"[..], 12),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaa", 12),
        (b"PROXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", 12),
        (b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c", 12),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff aaaaaaaaaaaaaaaa", FIXED_BYTES),
        (long.as_bytes(), LINE_BYTES_MAX),
    ] {
        let (outcome, taken) = read(bytes).await;
        assert!(outcome.contains("Garbage"), "{outcome}");
        assert!(taken <= most, "{taken} of {}", bytes.escape_ascii());
    }
    // One wrong byte is enough, nobody waits for a twelfth.
    assert!(read(b"*").await.0.contains("Garbage"));
    assert!(read(b"P*").await.0.contains("Garbage"));
}
