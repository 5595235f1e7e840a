//! Modified UTF-7, mailbox names, patterns, dates, sets, flags, tags.

use codec_imap::mutf7::{self, Utf7Error};
use codec_imap::{
    Capability, Date, DateTime, Flag, IdRange, IdSet, ListPattern, MailboxName, NameError,
    SequenceSet, Tag,
};

#[test]
fn modified_utf7_both_ways() {
    for (name, wire) in [
        ("", ""),
        ("INBOX", "INBOX"),
        ("Tom & Jerry", "Tom &- Jerry"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"),
        ("日本語", "&ZeVnLIqe-"),
        ("é&è", "&AOk-&-&AOg-"),
        ("😀", "&2D3eAA-"),
        ("a\u{7f}b", "a&AH8-b"),
    ] {
        assert_eq!(mutf7::encode(name), wire);
        assert_eq!(mutf7::decode(wire.as_bytes()).as_deref(), Ok(name));
    }
}

#[test]
fn attack_28_bad_modified_utf7() {
    for (wire, error) in [
        (&b"a&"[..], Utf7Error::BadShift),
        (b"&AOk", Utf7Error::BadShift),
        (b"&AO/-", Utf7Error::BadShift),
        (b"&A=-", Utf7Error::BadShift),
        (b"&AOk &", Utf7Error::BadShift),
        (b"&2D0-", Utf7Error::BadSurrogate),
        (b"&3gA-", Utf7Error::BadSurrogate),
        (b"&AGE-", Utf7Error::NotCanonical), // "a" has no need of a shift
        (b"&ACY-", Utf7Error::NotCanonical), // nor has "&"
        (b"&AC8-", Utf7Error::NotCanonical), // nor the delimiter
        (b"&AOl-", Utf7Error::NotCanonical), // padding bits
        (b"&AOkA-", Utf7Error::NotCanonical),
        (b"&A-", Utf7Error::NotCanonical),
        (b"&AOk-&AOg-", Utf7Error::NotCanonical), // null shift
        (b"caf\xc3\xa9", Utf7Error::NotPrintable),
        (b"a\0b", Utf7Error::NotPrintable),
        (b"a\r\nb", Utf7Error::NotPrintable),
    ] {
        assert_eq!(mutf7::decode(wire), Err(error), "{}", String::from_utf8_lossy(wire));
    }
}

#[test]
fn attack_28_bad_mailbox_names() {
    let long = "x".repeat(10_000);
    for (wire, error) in [
        (&b""[..], NameError::Empty),
        (long.as_bytes(), NameError::TooLong),
        (b"a&AAo-b", NameError::Control),
        (b"a&AAA-b", NameError::Control),
        (b"a&AIU-b", NameError::Control),
        (b"a\0", NameError::Utf7(Utf7Error::NotPrintable)),
    ] {
        assert_eq!(MailboxName::from_wire(wire), Err(error));
    }
    // What the hierarchy makes of it is for the mailbox service; here it is a name like any other.
    assert_eq!(MailboxName::from_wire(b"../../x").map(|n| n.to_string()), Ok("../../x".into()));
}

#[test]
fn inbox_in_any_case() {
    for name in ["inbox", "Inbox", "INBOX"] {
        assert!(MailboxName::new(name).expect("a name").is_inbox());
    }
    assert_eq!(MailboxName::new("inbox/x").expect("a name").as_str(), "inbox/x");
}

#[test]
fn patterns_match() {
    for (reference, pattern, name, matches) in [
        ("", "*", "a/b/c", true),
        ("", "%", "a", true),
        ("", "%", "a/b", false),
        ("", "%/%", "a/b", true),
        ("", "a*c", "a/b/c", true),
        ("", "a%c", "a/b/c", false),
        ("a/", "%", "a/b", true),
        ("a/", "%", "b", false),
        ("", "inbox", "INBOX", true),
        ("", "inbox", "Inbox2", false),
        ("", "sent", "Sent", false),
        ("", "ü*", "über", true),
        ("", "*%*", "", true),
        ("", "", "a", false),
        ("", "*a*a", "aba", true),
        ("", "*a*a", "ab", false),
    ] {
        let found =
            ListPattern::new(pattern).expect("a pattern").matches(reference, name, Some('/'));
        assert_eq!(found, matches, "{reference:?} {pattern:?} {name:?}");
    }
    assert!(ListPattern::new("%").expect("a pattern").matches("", "a/b", None));
}

#[test]
fn attack_28_wildcards() {
    assert_eq!(ListPattern::new(&"%*%*a".repeat(100)), None, "too many runs");
    let many = ListPattern::new(&"*%".repeat(1000)).expect("one run");
    assert!(many.matches("", &"x/".repeat(500), Some('/')));
    let slow = ListPattern::new(&"*a".repeat(32)).expect("at the limit");
    assert!(!slow.matches("", &format!("{}b", "a".repeat(2000)), Some('/')));
}

#[test]
fn dates() {
    for (date, days, text) in [
        (Date::new(1970, 1, 1), 0, "01-Jan-1970"),
        (Date::new(2000, 2, 29), 11_016, "29-Feb-2000"),
        (Date::new(2026, 11, 22), 20_779, "22-Nov-2026"),
        (Date::new(1969, 12, 31), -1, "31-Dec-1969"),
        (Date::new(9999, 12, 31), 2_932_896, "31-Dec-9999"),
        (Date::new(0, 1, 1), -719_528, "01-Jan-0000"),
    ] {
        let date = date.expect("a date");
        assert_eq!((date.to_unix_days(), date.to_string().as_str()), (days, text));
        assert_eq!(Date::from_unix_days(days), date);
    }
    for (year, month, day) in
        [(2026, 2, 29), (1900, 2, 29), (2026, 13, 1), (2026, 0, 1), (1, 4, 31)]
    {
        assert_eq!(Date::new(year, month, day), None);
    }
    assert_eq!(Date::from_unix_days(i64::MAX).to_string(), "31-Dec-9999");
    assert_eq!(Date::from_unix_days(i64::MIN).to_string(), "01-Jan-0000");
}

#[test]
fn date_times() {
    let moment = DateTime::from_unix_seconds(760_168_345, -480);
    assert_eq!(moment.to_string(), "01-Feb-1994 21:52:25 -0800");
    assert_eq!(moment.to_unix_seconds(), 760_168_345);
    assert_eq!(moment.date().to_string(), "01-Feb-1994");
    let _ = DateTime::from_unix_seconds(i64::MIN, i16::MIN).to_string();
}

#[test]
fn id_sets() {
    let range = |first, last| IdRange { first, last };
    let set =
        IdSet::from_ranges([range(9, 7), range(1, 3), range(4, 5), range(0, 0), range(8, 20)]);
    assert_eq!(set.ranges(), [range(1, 5), range(7, 20)]);
    assert_eq!((set.count(), set.max()), (19, Some(20)));
    let all: Vec<u32> = (0..25).filter(|&id| set.contains(id)).collect();
    assert_eq!(all, set.within(0, 24).collect::<Vec<_>>());
    assert_eq!(IdSet::from_ids([5, 6, 7, 1, 2, 7]).ranges(), [range(1, 2), range(5, 7)]);
    let edge = IdSet::from_ids([u32::MAX, u32::MAX - 1, u32::MAX]);
    assert_eq!(edge.ranges(), [range(u32::MAX - 1, u32::MAX)]);
    assert!(IdSet::from_ids([]).is_empty());
}

#[test]
fn stars_resolve_against_the_largest() {
    let set = SequenceSet::from_number_on(10);
    assert_eq!(set.resolve(20).ranges(), [IdRange { first: 10, last: 20 }]);
    assert_eq!(set.resolve(4).ranges(), [IdRange { first: 4, last: 10 }]);
    assert!(set.resolve(0).is_empty());
    let star = SequenceSet::largest();
    assert_eq!(star.resolve(7).ranges(), [IdRange { first: 7, last: 7 }]);
    let both = set.union(star).union(IdSet::from_ids([1]).into());
    assert_eq!(both.resolve(12).within(1, u32::MAX).collect::<Vec<_>>(), [1, 10, 11, 12]);
}

#[test]
fn flags_tags_capabilities() {
    for (name, flag) in [
        ("\\sEEN", Some(Flag::Seen)),
        ("\\Recent", Some(Flag::Recent)),
        ("\\Other", Some(Flag::Extension("\\Other".into()))),
        ("$Forwarded", Some(Flag::Keyword("$Forwarded".into()))),
        ("", None),
        ("\\", None),
        ("a b", None),
        ("a\r\n", None),
        ("a\\b", None),
        ("\\*", None),
    ] {
        assert_eq!(Flag::from_name(name), flag, "{name:?}");
    }
    for tag in ["a1", "A]", ".", "x-$#"] {
        assert_eq!(Tag::new(tag).expect("a tag").to_string(), tag);
    }
    for tag in ["", "+", "a+", "a b", "a\r\n", "*", "a\"", "a{", "\u{e9}"] {
        assert_eq!(Tag::new(tag), None, "{tag:?}");
    }
    assert_eq!(Tag::new("x".repeat(256)), None);
    assert_eq!(Capability::from_name("literal+"), Capability::LiteralPlus);
    assert_eq!(Capability::from_name("auth=plain").to_string(), "AUTH=PLAIN");
    assert_eq!(Capability::from_name("x-frob"), Capability::Other("X-FROB".into()));
}
