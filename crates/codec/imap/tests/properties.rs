//! Properties: both directions agree, and any bytes are survived.

use crate::generate::{command, numbers};
use crate::raw;
use bytes::BytesMut;
use codec_imap::{Command, Date, LiteralForm, fuzzing};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Bytes that look like IMAP more often than chance would have it.
fn protocol_bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "a ",
        "b UID ",
        "FETCH ",
        "SEARCH ",
        "APPEND x ",
        "LOGIN ",
        "STORE 1 ",
        "NOT ",
        "OR ",
        "(",
        ")",
        "\"",
        "\\",
        "{3}\r\n",
        "{4+}\r\n",
        "~{2}\r\n",
        "{99999}\r\n",
        "{9999+}\n",
        "abc",
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "BODY[",
        "]",
        "<0.1>",
        "1:*",
        ",",
        "7",
        "\\Seen",
        "ALL",
        "é",
        "* ",
        "OK ",
        "[",
        "NIL",
        "&AOk-",
        "&",
        "{18446744073709551616+}\r\n",
        "(FLAGS) ",
        "ID ",
        "LIST ",
    ]);
    let piece = prop_oneof![
        8 => token.prop_map(|token| token.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..20),
        1 => (any::<u8>(), 0usize..3000).prop_map(|(byte, count)| vec![byte; count]),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_printed_command_parses_to_itself(command in command()) {
        for form in [LiteralForm::Plain, LiteralForm::NonSync] {
            let mut wire = BytesMut::new();
            command.encode(&mut wire, form);
            let again = Command::parse(&raw(&wire));
            prop_assert_eq!(again.as_ref(), Ok(&command));
        }
    }

    #[test]
    fn the_framer_does_not_care_how_bytes_arrive(data in protocol_bytes()) {
        fuzzing::framer(&data);
    }

    #[test]
    fn commands_framed_in_any_pieces(commands in vec(command(), 1..4)) {
        let mut wire = BytesMut::new();
        commands.iter().for_each(|command| command.encode(&mut wire, LiteralForm::NonSync));
        fuzzing::framer(&wire);
        fuzzing::command(&wire);
    }

    #[test]
    fn any_bytes_as_commands(data in protocol_bytes()) {
        fuzzing::command(&data);
    }

    #[test]
    fn any_bytes_as_responses(data in protocol_bytes()) {
        fuzzing::response(&data);
    }

    #[test]
    fn any_bytes_as_names(data in prop_oneof![
        protocol_bytes(),
        any::<String>().prop_map(String::into_bytes),
        "(&[A-Za-z0-9+,]{0,8}-?|[a-z/&]){0,6}".prop_map(String::into_bytes),
    ]) {
        fuzzing::utf7(&data);
    }

    #[test]
    fn dates_and_days_agree(days in -719_528i64..=2_932_896) {
        let date = Date::from_unix_days(days);
        prop_assert_eq!(date.to_unix_days(), days);
        prop_assert!(days == 2_932_896 || Date::from_unix_days(days + 1) > date);
    }

    #[test]
    fn a_union_holds_what_either_holds(a in numbers(), b in numbers(), largest in 0u32..) {
        let union = a.clone().union(b.clone()).resolve(largest);
        let (a, b) = (a.resolve(largest), b.resolve(largest));
        let edges = [&a, &b, &union].into_iter().flat_map(|set| set.ranges());
        let probes: BTreeSet<u32> = edges
            .flat_map(|r| [r.first - 1, r.first, r.last, r.last.saturating_add(1)])
            .collect();
        for id in probes {
            prop_assert_eq!(union.contains(id), a.contains(id) || b.contains(id), "{}", id);
        }
    }
}
