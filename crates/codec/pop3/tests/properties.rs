//! Round trips, and the fuzz functions over random bytes.

use bytes::{Bytes, BytesMut};
use codec_pop3::{Command, Secret, fuzzing};
use proptest::prelude::*;

fn secret() -> impl Strategy<Value = Secret> {
    "[!-~]{1,200}".prop_map(|text| Secret::new(Bytes::from(text)))
}

fn command() -> impl Strategy<Value = Command> {
    let number = any::<u32>();
    prop_oneof![
        "[!-~äöü]([ -~äöü]{0,40}[!-~])?".prop_map(|name| Command::User { name }),
        "[ -~]{1,100}".prop_map(|text| Command::Pass { password: Secret::new(Bytes::from(text)) }),
        proptest::option::of(("[A-Z0-9_-]{1,20}", proptest::option::of(secret()))).prop_map(
            |auth| {
                let (mechanism, initial) = auth.map_or((None, None), |(name, it)| (Some(name), it));
                Command::Auth { mechanism, initial }
            }
        ),
        proptest::option::of("[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})?|\\*")
            .prop_map(|tag| Command::Lang { tag }),
        proptest::option::of(number).prop_map(|number| Command::List { number }),
        proptest::option::of(number).prop_map(|number| Command::Uidl { number }),
        number.prop_map(|number| Command::Retr { number }),
        number.prop_map(|number| Command::Dele { number }),
        (number, any::<u64>()).prop_map(|(number, lines)| Command::Top { number, lines }),
        proptest::sample::select(vec![
            Command::Apop,
            Command::Stls,
            Command::Capa,
            Command::Utf8,
            Command::Stat,
            Command::Rset,
            Command::Noop,
            Command::Quit,
        ]),
    ]
}

/// Bytes that are likely to mean something at the beginning of lines.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let byte = proptest::sample::select(b".\r\n\r\n.. a:\0\xff[".to_vec());
    proptest::collection::vec(byte, 0..300)
}

proptest! {
    #[test]
    fn commands_survive_printing(command in command()) {
        let mut wire = BytesMut::new();
        command.encode(&mut wire);
        let line = wire.strip_suffix(b"\r\n").unwrap();
        prop_assert_eq!(Command::parse(line), Ok(command));
    }

    #[test]
    fn messages_survive_the_wire(message in nasty()) {
        fuzzing::message(&message);
    }

    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzzing::command(&data);
        fuzzing::reply(&data);
        fuzzing::message(&data);
    }

    #[test]
    fn lines_that_are_nearly_commands(
        line in "(user|pass|auth|list|uidl|retr|top|dele|lang|stat|quit)[ 0-9a-zA-Z=*-]{0,30}"
    ) {
        fuzzing::command(line.as_bytes());
        fuzzing::reply(line.as_bytes());
    }
}
