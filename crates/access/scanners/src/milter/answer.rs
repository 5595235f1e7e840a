//! What a milter's packets mean.

use super::rejected;
use super::wire::Packet;
use crate::edits::EDITS_MAX;
use crate::outcome::{Answer, Edit, Trouble, Verdict};
use contract_transport::scanner::scanning::{Reply, plain};

/// What a milter says to a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Continue,
    /// The message passes, and it wants to see no more of it.
    Accept,
    Reject,
    TempFail,
    Discard,
    /// No more of the body.
    Skip,
    /// A refusal in its own words.
    Reply(Reply),
    /// It is still at work.
    Progress,
}

/// Reads an answer.
pub(super) fn read(packet: &Packet) -> Result<Said, Trouble> {
    Ok(match packet.command {
        b'c' => Said::Continue,
        b'a' => Said::Accept,
        b'r' => Said::Reject,
        b't' => Said::TempFail,
        b'd' => Said::Discard,
        b's' => Said::Skip,
        b'p' => Said::Progress,
        b'y' => Said::Reply(reply(&packet.data)?),
        // "Shut the session down" is for the server to decide; the message is put off.
        b'4' => Said::TempFail,
        b'f' => return Err(Trouble::Failed("it refuses to work".to_owned())),
        other => {
            let shown = other.escape_ascii();
            return Err(Trouble::Nonsense(format!("\"{shown}\" is no answer here")));
        }
    })
}

/// What it means at the end of a conversation.
pub(super) fn verdict(said: Said) -> Result<Verdict, Trouble> {
    Ok(match said {
        Said::Continue | Said::Accept => Verdict::Clean,
        Said::Reject => Verdict::Refused(rejected()),
        Said::TempFail => Verdict::Refused(Reply::later("try again later")),
        Said::Discard => Verdict::Discarded,
        Said::Reply(reply) => Verdict::Refused(reply),
        Said::Skip | Said::Progress => {
            return Err(Trouble::Nonsense("it skips what is no body".to_owned()));
        }
    })
}

/// Takes a change of the header, or a quarantine; whether it was one.
pub(super) fn change(packet: &Packet, answer: &mut Answer) -> Result<bool, Trouble> {
    let wrong = || Trouble::Nonsense("a change that cannot be read".to_owned());
    let data = &packet.data[..];
    let (number, rest) = match packet.command {
        b'i' | b'm' => {
            let (number, rest) = data.split_at_checked(4).ok_or_else(wrong)?;
            let number = number.try_into().map(u32::from_be_bytes).map_err(|_| wrong())?;
            (number as usize, rest)
        }
        b'h' => (0, data),
        b'q' => {
            let reason = String::from_utf8_lossy(data.strip_suffix(b"\0").unwrap_or(data));
            (answer.verdict, answer.text) = (Verdict::Junk, plain(&reason));
            return Ok(true);
        }
        _ => return Ok(false),
    };
    let mut texts = rest.split(|byte| *byte == 0);
    let mut text = || texts.next().map(|text| String::from_utf8_lossy(text).into_owned());
    let (Some(name), Some(value)) = (text(), text()) else { return Err(wrong()) };
    if answer.edits.len() >= EDITS_MAX {
        return Err(Trouble::Nonsense(format!("more than {EDITS_MAX} changes")));
    }
    answer.edits.push(match packet.command {
        b'm' if value.is_empty() => Edit::Remove { name, number: number.max(1) },
        b'm' => Edit::Change { name, number: number.max(1), value },
        // Whatever place it is for: it stands in front.
        b'i' => Edit::Insert { name, value },
        _ => Edit::Add { name, value },
    });
    Ok(true)
}

/// `550 5.7.1 text`: code, status and text; per cent signs are doubled in it.
fn reply(data: &[u8]) -> Result<Reply, Trouble> {
    let text = String::from_utf8_lossy(data.strip_suffix(b"\0").unwrap_or(data)).into_owned();
    let wrong = || Trouble::Nonsense(format!("\"{}\" is no reply", plain(&text)));
    let line = text.lines().next().unwrap_or_default();
    let (code, rest) = line.split_at_checked(3).ok_or_else(wrong)?;
    let code: u16 = code.parse().map_err(|_| wrong())?;
    if !(400..600).contains(&code) {
        return Err(wrong());
    }
    let rest = rest.trim_start_matches([' ', '-']);
    let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    let (status, words) = match status(first).filter(|[class, ..]| *class == code / 100) {
        Some(status) => (status, behind),
        None => ([code / 100, 7, 1], rest),
    };
    let words = plain(&words.replace("%%", "%"));
    let words = if words.is_empty() { "the message is refused".to_owned() } else { words };
    Ok(Reply { code, status, text: words })
}

/// `5.7.1`.
fn status(text: &str) -> Option<[u16; 3]> {
    let numbers: Option<Vec<u16>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok().filter(|numbers: &[u16; 3]| numbers.iter().all(|one| *one < 1_000))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn packet(command: u8, data: &[u8]) -> Packet {
        Packet { command, data: Bytes::copy_from_slice(data) }
    }

    #[test]
    fn replies_are_read_in_their_words() {
        let check = |text: &str, expect: Option<(u16, [u16; 3], &str)>| {
            let found = read(&packet(b'y', format!("{text}\0").as_bytes()));
            let expect = expect.map(|(code, status, text)| {
                Said::Reply(Reply { code, status, text: text.to_owned() })
            });
            assert_eq!(found.ok(), expect, "{text:?}");
        };
        check("550 5.7.1 no", Some((550, [5, 7, 1], "no")));
        check("451 4.3.2 later", Some((451, [4, 3, 2], "later")));
        check("554 100%% sure", Some((554, [5, 7, 1], "100% sure")));
        check("550 4.7.1 odd", Some((550, [5, 7, 1], "4.7.1 odd")));
        check("550-5.7.1 a\r\n550 5.7.1 b", Some((550, [5, 7, 1], "a")));
        check("550", Some((550, [5, 7, 1], "the message is refused")));
        for wrong in ["", "5", "250 ok", "999 x", "abc", "5é0 x", "354 go on"] {
            check(wrong, None);
        }
    }

    #[test]
    fn answers_and_changes_are_told_apart() {
        let mut answer = Answer::clean();
        let mut check = |command: u8, data: &[u8], expect: Result<bool, ()>| {
            let found = change(&packet(command, data), &mut answer).map_err(|_| ());
            assert_eq!(found, expect, "{command} {data:?}");
        };
        check(b'h', b"X-A\0 1\0", Ok(true));
        check(b'i', b"\0\0\0\x01X-B\0two\n three\0", Ok(true));
        check(b'm', b"\0\0\0\x02X-C\0v\0", Ok(true));
        check(b'm', b"\0\0\0\0X-D\0\0", Ok(true));
        check(b'q', b"bad\r\n\0", Ok(true));
        check(b'c', b"", Ok(false));
        for short in [&b""[..], b"\0\0", b"\0\0\0\x01X"] {
            check(b'm', short, Err(()));
        }
        check(b'h', b"X", Err(()));
        assert_eq!(
            answer.edits,
            [
                Edit::Add { name: "X-A".into(), value: " 1".into() },
                Edit::Insert { name: "X-B".into(), value: "two\n three".into() },
                Edit::Change { name: "X-C".into(), number: 2, value: "v".into() },
                Edit::Remove { name: "X-D".into(), number: 1 },
            ]
        );
        assert_eq!((answer.verdict, answer.text.as_str()), (Verdict::Junk, "bad"));
        for nonsense in [b'b', b'+', b'-', b'e', b'Z', 0, 255] {
            assert!(read(&packet(nonsense, b"")).is_err(), "{nonsense}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_packet_is_read_or_refused(
            command in any::<u8>(),
            data in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let packet = packet(command, &data);
            if let Ok(Verdict::Refused(reply)) = read(&packet).and_then(verdict) {
                prop_assert!((400..600).contains(&reply.code));
                prop_assert_eq!(reply.status[0], reply.code / 100);
            }
            let _either = change(&packet, &mut Answer::clean());
        }
    }
}
