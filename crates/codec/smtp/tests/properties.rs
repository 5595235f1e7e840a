//! Round trips and the fuzz functions over random bytes.

use bytes::BytesMut;
use codec_smtp::{
    Address, BodyType, Command, Dialect, EnhancedCode, ForwardPath, MailAuth, MailParams, Notify,
    OriginalRecipient, RcptParams, Reply, ReplyReader, ReturnContent, ReversePath, fuzzing,
    sasl::Secret,
};
use proptest::prelude::*;

fn address() -> impl Strategy<Value = Address> {
    let local = prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9]{1,8}){0,3}",
        "\"([ !#-Z^-~]|\\\\[\"\\\\]){1,20}\"",
        "[a-zäöüß東京]{1,8}",
    ];
    let domain = prop_oneof![
        "[a-zA-Z0-9]{1,10}(\\.[a-z0-9]{1,10}){0,4}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| format!("[{ip}]")),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[IPv6:{ip}]")),
        "[äöü京]{1,5}\\.example",
    ];
    (local, domain).prop_map(|(local, domain)| {
        let text = format!("{local}@{domain}");
        Address::parse(&text, true).expect(&text)
    })
}

fn printable(max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(0x20u8..=0x7e, 1..max)
        .prop_map(|bytes| String::from_utf8(bytes).expect("ASCII"))
}

fn mail() -> impl Strategy<Value = Command> {
    let body = prop_oneof![
        Just(BodyType::SevenBit),
        Just(BodyType::EightBitMime),
        Just(BodyType::BinaryMime)
    ];
    let ret = prop_oneof![Just(ReturnContent::Full), Just(ReturnContent::Headers)];
    let auth = prop_oneof![
        Just(MailAuth::Unknown),
        printable(50)
            .prop_filter("means unknown", |text| text != "<>")
            .prop_map(MailAuth::Identity)
    ];
    (
        proptest::option::of(address()),
        any::<Option<u64>>(),
        proptest::option::of(body),
        proptest::option::of(ret),
        proptest::option::of(printable(100)),
        proptest::option::of(auth),
        any::<[bool; 2]>(),
    )
        .prop_map(|(from, size_bytes, body, ret, envid, auth, [smtputf8, require_tls])| {
            let smtputf8 = smtputf8 || from.as_ref().is_some_and(|from| !from.is_ascii());
            Command::Mail {
                from: from.map_or(ReversePath::Null, ReversePath::Address),
                params: MailParams { size_bytes, body, ret, envid, auth, smtputf8, require_tls },
            }
        })
}

fn rcpt() -> impl Strategy<Value = Command> {
    let notify = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(success, failure, delay)| match (success, failure, delay) {
            (false, false, false) => Notify::Never,
            _ => Notify::On { success, failure, delay },
        },
    );
    let orcpt = ("[a-z0-9-]{1,10}", printable(100))
        .prop_map(|(address_type, address)| OriginalRecipient { address_type, address });
    (proptest::option::of(address()), proptest::option::of(notify), proptest::option::of(orcpt))
        .prop_map(|(to, notify, orcpt)| Command::Rcpt {
            to: to.map_or(ForwardPath::Postmaster, ForwardPath::Address),
            params: RcptParams { notify, orcpt },
        })
}

fn command() -> impl Strategy<Value = Command> {
    let simple = prop_oneof![
        Just(Command::Data),
        Just(Command::Rset),
        Just(Command::Noop),
        Just(Command::Quit),
        Just(Command::Help),
        Just(Command::StartTls),
    ];
    let named = "[a-zA-Z0-9.:_\\[\\]-]{1,40}".prop_flat_map(|name| {
        prop_oneof![
            Just(Command::Ehlo { name: name.clone() }),
            Just(Command::Helo { name: name.clone() }),
            Just(Command::Vrfy { name: name.clone() }),
            Just(Command::Expn { name }),
        ]
    });
    let initial =
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200).prop_map(Secret::new));
    let auth = ("[A-Z0-9_-]{1,20}", initial)
        .prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial });
    let bdat = (any::<u64>(), any::<bool>())
        .prop_map(|(size_bytes, last)| Command::Bdat { size_bytes, last });
    prop_oneof![simple, named, auth, bdat, mail(), rcpt()]
}

fn reply() -> impl Strategy<Value = Reply> {
    // A line that begins with a letter: one that begins like an enhanced code reads as one.
    let line = "([a-zA-Z<][ -~]{0,600})?";
    let enhanced = proptest::option::of((0u16..=999, 0u16..=999));
    (200u16..600, enhanced, line, proptest::collection::vec(line, 0..5)).prop_map(
        |(code, enhanced, first, more)| {
            let enhanced = enhanced.map(|(subject, detail)| EnhancedCode::new(2, subject, detail));
            more.into_iter().fold(Reply::new(code, enhanced, first), Reply::with_line)
        },
    )
}

/// Bytes that look enough like the protocol to get past the first check.
fn protocol_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop_oneof![
            Just("\r\n"), Just("\r"), Just("\n"), Just("."), Just("\r\n.\r\n"), Just(" "),
            Just("MAIL FROM:"), Just("RCPT TO:"), Just("BDAT "), Just("EHLO "), Just("AUTH PLAIN "),
            Just("<"), Just(">"), Just("@"), Just("\""), Just("\\"), Just("a"), Just("x.example"),
            Just("[IPv6:::1]"), Just("ü"), Just(" ORCPT=rfc822;"), Just("+0A"), Just("LAST"),
            Just("250-"), Just("250 "), Just("2.1.0 "), Just("AGEAYg=="), Just("="), Just("\0"),
            Just(" SMTPUTF8"), Just("12"),
        ]
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn commands_print_and_parse_back(command in command()) {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        let line = out.strip_suffix(b"\r\n").expect("a line");
        prop_assert_eq!(Command::parse(line, Dialect { smtputf8: true }), Ok(command));
    }

    #[test]
    fn addresses_print_and_parse_back(address in address()) {
        prop_assert_eq!(Address::parse(&address.to_string(), true), Ok(address));
    }

    #[test]
    fn replies_print_and_read_back(replies in proptest::collection::vec(reply(), 1..4)) {
        let mut wire = BytesMut::new();
        for reply in &replies {
            reply.encode(&mut wire);
        }
        let mut reader = ReplyReader::new();
        for reply in replies {
            prop_assert_eq!(reader.next_reply(&mut wire), Ok(Some(reply)));
        }
        prop_assert!(wire.is_empty());
    }

    #[test]
    fn fuzz_functions_hold_on_random_bytes(data in protocol_bytes()) {
        fuzzing::command(&data);
        fuzzing::data_stream(&data);
        fuzzing::chunks(&data);
        fuzzing::reply(&data);
        fuzzing::address(&data);
        fuzzing::sasl(&data);
    }

    #[test]
    fn fuzz_data_stream_with_long_runs(
        runs in proptest::collection::vec((0usize..400, "[.\r\n]{0,4}"), 0..12),
        step in any::<u8>(),
    ) {
        let mut data = vec![step];
        for (length, end) in runs {
            data.extend(std::iter::repeat_n(b'x', length));
            data.extend_from_slice(end.as_bytes());
        }
        fuzzing::data_stream(&data);
        fuzzing::chunks(&data);
    }
}
