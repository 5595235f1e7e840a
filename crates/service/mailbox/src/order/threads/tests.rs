//! Threads by example, and for messages that were made to be difficult.

use super::*;
use std::fmt::Write;

/// A message: when it was sent, its id, what it refers to, its subject.
fn message(uid: u32, sent_s: i64, id: &str, references: &[&str], subject: &str) -> Message {
    let base = subject::base(subject.as_bytes());
    let text = casemap(&base.text);
    Message {
        uid: Uid(uid),
        sent_s,
        id: (!id.is_empty()).then(|| hash(id.as_bytes())),
        references: references.iter().map(|id| hash(id.as_bytes())).collect(),
        subject: (!text.is_empty()).then(|| hash(text.as_bytes())),
        is_reply: base.is_reply_or_forward,
    }
}

/// Each message behind as many dots as it is deep.
fn shown(entries: &[ThreadEntry]) -> String {
    entries.iter().fold(String::new(), |mut text, entry| {
        let depth = ".".repeat(entry.depth as usize);
        let uid = entry.uid.map_or("?".to_owned(), |uid| uid.0.to_string());
        write!(text, "{}{depth}{uid}", if text.is_empty() { "" } else { " " }).unwrap();
        text
    })
}

fn check(messages: &[Message], expect: &str) {
    assert_eq!(shown(&by_references(messages)), expect);
}

#[test]
fn by_subject_all_are_below_the_first() {
    let messages = [
        message(1, 30, "", &[], "Re: b"),
        message(2, 10, "", &[], "a"),
        message(3, 20, "", &[], "B"),
        message(4, 40, "", &[], "Fwd: a"),
        message(5, 40, "", &[], "[x] A (fwd)"),
    ];
    assert_eq!(shown(&super::by_subject(&messages)), "2 .4 .5 3 .1");
    assert_eq!(shown(&super::by_subject(&[])), "");
}

#[test]
fn replies_are_below_what_they_answer() {
    let messages = [
        message(1, 10, "a", &[], "x"),
        message(2, 20, "b", &["a"], "Re: x"),
        message(3, 30, "c", &["a", "b"], "Re: x"),
        message(4, 25, "d", &["a"], "Re: x"),
        message(5, 5, "e", &[], "y"),
    ];
    check(&messages, "5 1 .2 ..3 .4");
    // Whatever order they stand in.
    let messages = [
        message(1, 30, "c", &["a", "b"], "Re: x"),
        message(2, 20, "b", &["a"], "Re: x"),
        message(3, 10, "a", &[], "x"),
    ];
    check(&messages, "3 .2 ..1");
}

#[test]
fn what_is_missing_keeps_its_replies_together() {
    let two = [message(1, 10, "b", &["a"], "Re: x"), message(2, 20, "c", &["a"], "Re: x")];
    check(&two, "? .1 .2");
    // With one reply only that is left, and in the middle of a thread nothing.
    check(&two[..1], "1");
    let middle = [
        message(1, 10, "a", &[], "x"),
        message(2, 20, "c", &["a", "b"], "Re: x"),
        message(3, 30, "d", &["a", "b"], "Re: x"),
    ];
    check(&middle, "1 .2 .3");
    // Two of them that have the same subject are one.
    let four = [
        message(1, 10, "b", &["a"], "Re: x"),
        message(2, 20, "c", &["a"], "Re: x"),
        message(3, 30, "e", &["d"], "Re: x"),
        message(4, 40, "f", &["d"], "Re: x"),
    ];
    check(&four, "? .1 .2 .3 .4");
}

#[test]
fn threads_of_one_subject_are_merged() {
    // A reply whose References were lost is below what it answers.
    let lost = [message(1, 10, "a", &[], "x"), message(2, 20, "b", &[], "Re: x")];
    check(&lost, "1 .2");
    let earlier = [message(1, 10, "b", &[], "Re: x"), message(2, 20, "a", &[], "x")];
    check(&earlier, "2 .1");
    // Two that answer nothing stand side by side, and so do two replies.
    let same = [message(1, 10, "a", &[], "x"), message(2, 20, "b", &[], "X")];
    check(&same, "? .1 .2");
    let replies = [
        message(1, 10, "a", &[], "Re: x"),
        message(2, 20, "b", &[], "Re: x"),
        message(3, 30, "c", &[], "Re: x"),
    ];
    check(&replies, "? .1 .2 .3");
    // The missing one is preferred as the first.
    let with_missing = [
        message(1, 10, "z", &[], "x"),
        message(2, 20, "b", &["a"], "x"),
        message(3, 30, "c", &["a"], "x"),
    ];
    check(&with_missing, "? .1 .2 .3");
    // Behind a missing one whose replies say so comes what they answer.
    let found = [
        message(1, 10, "b", &["a"], "Re: x"),
        message(2, 20, "c", &["a"], "Re: x"),
        message(3, 30, "z", &[], "x"),
    ];
    check(&found, "? .1 .2 .3");
    // No subject is no subject in common.
    check(&[message(1, 10, "a", &[], ""), message(2, 20, "b", &[], "Re: ")], "1 2");
}

#[test]
fn strange_ids_do_no_harm() {
    // In a circle, to itself, twice the same id, none at all.
    let circle = [
        message(1, 10, "a", &["b"], "x"),
        message(2, 20, "b", &["a"], "y"),
        message(3, 30, "c", &["c"], "z"),
    ];
    check(&circle, "2 .1 3");
    let twice = [
        message(1, 10, "a", &[], "x"),
        message(2, 20, "a", &[], "y"),
        message(3, 30, "", &["a"], "z"),
    ];
    check(&twice, "1 .3 2");
    // Its own last reference counts more than what others said.
    let truncated = [
        message(1, 10, "a", &[], "x"),
        message(2, 20, "b", &[], "y"),
        message(3, 40, "d", &["a", "c"], "z"),
        message(4, 30, "c", &["b"], "z"),
    ];
    check(&truncated, "1 2 .4 ..3");
}

#[test]
fn attack_24_deep_threads_are_only_long() {
    const COUNT: u32 = 60_000;
    let name = |number: u32| format!("id{number}");
    for forwards in [true, false] {
        let chain: Vec<Message> = (0..COUNT)
            .map(|number| {
                let above = if forwards { number.wrapping_sub(1) } else { number + 1 };
                message(number + 1, i64::from(number), &name(number), &[&name(above)], "")
            })
            .collect();
        let entries = by_references(&chain);
        assert_eq!(entries.len(), COUNT as usize);
        assert_eq!(entries.last().unwrap().depth, COUNT - 1);
    }
    // Each would be above a long chain: looking for loops ends some time.
    let mut messages: Vec<Message> = (0..COUNT / 2)
        .map(|number| message(number + 1, 0, &name(number), &[&name(number.wrapping_sub(1))], ""))
        .collect();
    messages.extend((COUNT / 2..COUNT).map(|number| {
        let (leaf, end) = (format!("leaf{number}"), name(COUNT / 2 - 1));
        message(number + 1, 0, &leaf, &[&end, &name(number), &leaf], "")
    }));
    assert_eq!(by_references(&messages).iter().filter(|e| e.uid.is_some()).count(), 60_000);
}

/// Everything is there once, and hangs together, whatever the messages say.
#[test]
fn nothing_is_lost() {
    let mut state = 3_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for _ in 0..3_000 {
        let count = draw(12) as u32;
        let messages: Vec<Message> = (1..=count)
            .map(|uid| {
                let mut id = || ["a", "b", "c", "d", "e", "f", "g"][draw(7) as usize];
                let references = [id(), id(), id()];
                let own = id();
                let subject = ["x", "Re: x", "", "y", "Fwd: y"][draw(5) as usize];
                let (sent_s, used) = (draw(5) as i64, draw(4) as usize);
                message(uid, sent_s, own, &references[..used], subject)
            })
            .collect();
        for entries in [by_references(&messages), super::by_subject(&messages)] {
            let mut uids: Vec<u32> = entries.iter().filter_map(|e| Some(e.uid?.0)).collect();
            uids.sort_unstable();
            assert_eq!(uids, (1..=count).collect::<Vec<_>>());
            let mut before = None;
            for entry in &entries {
                assert!(entry.depth <= before.map_or(0, |depth: u32| depth + 1));
                assert!(entry.uid.is_some() || entry.depth == 0, "{}", shown(&entries));
                before = Some(entry.depth);
            }
        }
    }
}
