//! Random commands, for the round-trip property.

use bytes::Bytes;
use codec_imap::command::{
    AclEntry, AclMode, Append, AppendData, AppendMessage, AppendOptions, Authenticate,
    BinarySection, BodySection, Charset, Compress, Copy, Create, Delete, Enable, Expunge, Fetch,
    FetchItem, FetchModifiers, GetQuota, Id, List, ListReturn, ListSelection, Login, Lsub,
    OfMailbox, Partial, PartialRange, Rename, Resync, Search, SearchKey, SearchReturn, Section,
    SectionText, Select, SetAcl, SetQuota, Sort, SortCriterion, SortKey, StatusCommand, StatusItem,
    Store, StoreMode, Subscribe, Thread, ThreadAlgorithm, Unsubscribe,
};
use codec_imap::{
    Capability, Command, CommandBody, Date, DateTime, Flag, IdRange, IdSet, ListPattern,
    MailboxName, Rights, Secret, SequenceSet, Tag,
};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn command() -> impl Strategy<Value = Command> {
    ("[a-zA-Z0-9.$\\]]{1,8}", body())
        .prop_map(|(tag, body)| Command { tag: Tag::new(tag).expect("a tag"), body })
}

fn body() -> impl Strategy<Value = CommandBody> {
    prop_oneof![
        prop::sample::select(vec![
            CommandBody::Capability,
            CommandBody::Noop,
            CommandBody::Idle,
            CommandBody::Unselect,
            CommandBody::Unauthenticate,
            CommandBody::Expunge(Expunge { uids: None }),
        ]),
        mailbox_commands(),
        session_commands(),
        message_commands(),
        access_commands(),
        ordering_commands(),
    ]
}

/// SORT and THREAD.
fn ordering_commands() -> impl Strategy<Value = CommandBody> {
    let keys = vec![SortKey::Arrival, SortKey::Cc, SortKey::Subject, SortKey::DisplayTo];
    let criterion = (prop::sample::select(keys), any::<bool>())
        .prop_map(|(key, reverse)| SortCriterion { key, reverse });
    let charset = || {
        let other = Charset::Other(Bytes::from_static(b"KOI8-R"));
        prop::sample::select(vec![Charset::UsAscii, Charset::Utf8, other])
    };
    let algorithm = prop_oneof![
        Just(ThreadAlgorithm::OrderedSubject),
        Just(ThreadAlgorithm::References),
        "X[A-Z]{1,6}".prop_map(ThreadAlgorithm::Other),
    ];
    prop_oneof![
        (any::<bool>(), vec(criterion, 1..4), charset(), search_key()).prop_map(
            |(uid, criteria, charset, key)| CommandBody::Sort(Sort { uid, criteria, charset, key })
        ),
        (any::<bool>(), algorithm, charset(), search_key()).prop_map(
            |(uid, algorithm, charset, key)| {
                CommandBody::Thread(Thread { uid, algorithm, charset, key })
            }
        ),
    ]
}

/// COMPRESS, QUOTA and ACL.
fn access_commands() -> impl Strategy<Value = CommandBody> {
    let text = || "[ -~é]{0,12}";
    let limits = vec(("[A-Z-]{1,12}", 0..1u64 << 63), 0..4);
    let rights = || "[a-z0-9]{0,12}".prop_map(|letters| Rights::of(&letters));
    let mode = prop::sample::select(vec![AclMode::Replace, AclMode::Add, AclMode::Remove]);
    let entry = || {
        (mailbox(), "[ -~é]{1,12}")
            .prop_map(|(mailbox, identifier)| AclEntry { mailbox, identifier })
    };
    let of = || mailbox().prop_map(|mailbox| OfMailbox { mailbox });
    prop_oneof![
        "[A-Z0-9-]{1,12}".prop_map(|mechanism| CommandBody::Compress(Compress { mechanism })),
        text().prop_map(|root| CommandBody::GetQuota(GetQuota { root })),
        (text(), limits)
            .prop_map(|(root, limits)| CommandBody::SetQuota(SetQuota { root, limits })),
        of().prop_map(CommandBody::GetQuotaRoot),
        of().prop_map(CommandBody::GetAcl),
        of().prop_map(CommandBody::MyRights),
        entry().prop_map(CommandBody::DeleteAcl),
        entry().prop_map(CommandBody::ListRights),
        (entry(), mode, rights()).prop_map(|(entry, mode, rights)| {
            let AclEntry { mailbox, identifier } = entry;
            CommandBody::SetAcl(SetAcl { mailbox, identifier, mode, rights })
        }),
    ]
}

fn session_commands() -> impl Strategy<Value = CommandBody> {
    let id = vec((text(10), prop::option::of(text(40))), 0..4);
    prop_oneof![
        ("[ -~é]{0,12}", text(20)).prop_map(|(user, password)| {
            CommandBody::Login(Login { user, password: Secret::new(password) })
        }),
        ("[A-Z0-9-]{1,12}", prop::option::of(vec(any::<u8>(), 0..40))).prop_map(
            |(mechanism, initial)| {
                let initial = initial.map(Secret::new);
                CommandBody::Authenticate(Authenticate { mechanism, initial })
            }
        ),
        id.prop_map(|params| CommandBody::Id(Id { params })),
        vec("[A-Z]{1,8}(=[A-Z]{1,3})?", 1..4).prop_map(|names| {
            let capabilities = names.iter().map(|name| Capability::from_name(name)).collect();
            CommandBody::Enable(Enable { capabilities })
        }),
    ]
}

fn mailbox_commands() -> impl Strategy<Value = CommandBody> {
    prop_oneof![
        select(),
        mailbox().prop_map(|mailbox| CommandBody::Create(Create { mailbox })),
        mailbox().prop_map(|mailbox| CommandBody::Delete(Delete { mailbox })),
        mailbox().prop_map(|mailbox| CommandBody::Subscribe(Subscribe { mailbox })),
        mailbox().prop_map(|mailbox| CommandBody::Unsubscribe(Unsubscribe { mailbox })),
        (mailbox(), mailbox()).prop_map(|(from, to)| CommandBody::Rename(Rename { from, to })),
        (mailbox(), status_items(1))
            .prop_map(|(mailbox, items)| CommandBody::Status(StatusCommand { mailbox, items })),
        list(),
        (name(0), pattern())
            .prop_map(|(reference, pattern)| CommandBody::Lsub(Lsub { reference, pattern })),
        (mailbox(), vec(message(), 1..4))
            .prop_map(|(mailbox, messages)| CommandBody::Append(Append { mailbox, messages })),
    ]
}

fn list() -> impl Strategy<Value = CommandBody> {
    let options = (any::<[bool; 4]>(), any::<[bool; 4]>(), status_items(0));
    (options, name(0), vec(pattern(), 1..4)).prop_map(
        |((selection, returns, status), reference, patterns)| {
            let [subscribed, remote, recursive, special_use] = selection;
            let recursive_match = recursive && (subscribed || special_use);
            let selection = ListSelection { subscribed, remote, recursive_match, special_use };
            let [subscribed, children, special_use, my_rights] = returns;
            let returns = ListReturn { subscribed, children, special_use, my_rights };
            CommandBody::List(List { selection, reference, patterns, returns, status })
        },
    )
}

fn message() -> impl Strategy<Value = AppendMessage> {
    let options = (vec(flag(), 0..3), prop::option::of(date_time()), any::<bool>());
    (options, vec(any::<u8>(), 0..200), any::<bool>()).prop_map(
        |((flags, date, utf8), message, binary)| {
            let binary = binary || utf8 || message.contains(&0);
            let data = AppendData::Buffered(message.into());
            AppendMessage { options: AppendOptions { flags, date, utf8 }, data, binary }
        },
    )
}

fn status_items(least: usize) -> impl Strategy<Value = Vec<StatusItem>> {
    let items = vec![
        StatusItem::Unseen,
        StatusItem::Messages,
        StatusItem::UidValidity,
        StatusItem::Size,
        StatusItem::HighestModSeq,
        StatusItem::Deleted,
        StatusItem::DeletedStorage,
        StatusItem::AppendLimit,
    ];
    prop::sample::subsequence(items, least..=4)
}

fn select() -> impl Strategy<Value = CommandBody> {
    let ids = |count: usize| vec(1u32.., count).prop_map(IdSet::from_ids);
    // Numbers that stand apart by as much as their UIDs are as many.
    let seq_match =
        (1u32..1_000_000, 1u32..1_000_000, 1u32..500).prop_map(|(first, uid, count)| {
            let run = |first: u32| IdSet::from_ranges([IdRange { first, last: first + count }]);
            (run(first), run(uid))
        });
    let resync = (1u32.., 1u64..1 << 63, prop::option::of(ids(3)), prop::option::of(seq_match))
        .prop_map(|(uid_validity, mod_seq, known_uids, seq_match)| Resync {
            uid_validity,
            mod_seq,
            known_uids,
            seq_match,
        });
    (mailbox(), any::<bool>(), prop::option::of(resync)).prop_map(|(mailbox, condstore, resync)| {
        CommandBody::Select(Select { mailbox, condstore, resync })
    })
}

fn partial_range() -> impl Strategy<Value = PartialRange> {
    (1u32.., 1u32.., any::<bool>()).prop_map(|(one, other, from_end)| PartialRange {
        first: one.min(other),
        last: one.max(other),
        from_end,
    })
}

fn search_return() -> impl Strategy<Value = SearchReturn> {
    (any::<[bool; 5]>(), prop::option::of(partial_range())).prop_map(|(chosen, partial)| {
        let [min, max, all, count, save] = chosen;
        SearchReturn { min, max, all: all && partial.is_none(), count, save, partial }
    })
}

fn mod_seq() -> impl Strategy<Value = u64> {
    0..1u64 << 63
}

fn fetch() -> impl Strategy<Value = CommandBody> {
    let modifiers = (prop::option::of(mod_seq()), any::<bool>(), prop::option::of(partial_range()));
    (any::<bool>(), set(), vec(fetch_item(), 1..6), modifiers).prop_map(
        |(uid, set, items, (changed_since, vanished, partial))| {
            let vanished = vanished && uid && changed_since.is_some();
            let modifiers = FetchModifiers { changed_since, vanished, partial };
            CommandBody::Fetch(Fetch { uid, set, items, modifiers })
        },
    )
}

fn message_commands() -> impl Strategy<Value = CommandBody> {
    let modes = prop::sample::select(vec![StoreMode::Replace, StoreMode::Add, StoreMode::Remove]);
    let charset = prop_oneof![
        Just(Charset::Utf8),
        Just(Charset::UsAscii),
        "[A-Z]{1,4} ?[0-9]".prop_map(|name| Charset::Other(name.into())),
    ];
    let copy = || {
        (any::<bool>(), set(), mailbox()).prop_map(|(uid, set, mailbox)| Copy { uid, set, mailbox })
    };
    prop_oneof![
        copy().prop_map(CommandBody::Copy),
        copy().prop_map(CommandBody::Move),
        set().prop_map(|uids| CommandBody::Expunge(Expunge { uids: Some(uids) })),
        (any::<[bool; 2]>(), set(), modes, prop::option::of(mod_seq()), vec(flag(), 0..4))
            .prop_map(|([uid, silent], set, mode, unchanged_since, flags)| {
                CommandBody::Store(Store { uid, set, unchanged_since, mode, silent, flags })
            }),
        fetch(),
        (any::<bool>(), prop::option::of(search_return()), prop::option::of(charset), search_key())
            .prop_map(|(uid, returns, charset, key)| {
                CommandBody::Search(Search { uid, returns, charset, key })
            }),
    ]
}

fn fetch_item() -> impl Strategy<Value = FetchItem> {
    let fields = || vec("[!-9;-~]{1,10}".prop_map(Bytes::from), 1..4);
    let text = prop::option::of(prop_oneof![
        Just(SectionText::Header),
        Just(SectionText::Text),
        fields().prop_map(SectionText::HeaderFields),
        fields().prop_map(SectionText::HeaderFieldsNot),
    ]);
    let partial = || {
        (0..1u64 << 63, 1..1u64 << 63)
            .prop_map(|(offset_bytes, len_bytes)| Partial { offset_bytes, len_bytes })
    };
    let section = (vec(1u32.., 0..4), text).prop_map(|(parts, text)| Section { parts, text });
    prop_oneof![
        prop::sample::select(vec![
            FetchItem::Envelope,
            FetchItem::Flags,
            FetchItem::Rfc822,
            FetchItem::Body,
            FetchItem::BodyStructure,
            FetchItem::Uid,
            FetchItem::ModSeq,
        ]),
        vec(1u32.., 0..4).prop_map(FetchItem::BinarySize),
        (any::<bool>(), vec(1u32.., 0..4), prop::option::of(partial())).prop_map(
            |(peek, parts, partial)| FetchItem::Binary(BinarySection { peek, parts, partial })
        ),
        (any::<bool>(), section, prop::option::of(partial())).prop_map(
            |(peek, section, partial)| {
                FetchItem::Section(BodySection { peek, section, partial })
            }
        ),
    ]
}

fn search_key() -> impl Strategy<Value = SearchKey> {
    let leaf = prop_oneof![
        prop::sample::select(vec![SearchKey::All, SearchKey::Seen, SearchKey::Undraft]),
        "[a-z$]{1,8}".prop_map(SearchKey::Keyword),
        text(20).prop_map(SearchKey::Subject),
        (text(8), text(8)).prop_map(|(field, text)| SearchKey::Header(field, text)),
        date().prop_map(SearchKey::SentSince),
        date().prop_map(SearchKey::On),
        (0..1u64 << 63).prop_map(SearchKey::Larger),
        (1u32..).prop_map(SearchKey::Older),
        (1u32..).prop_map(SearchKey::Younger),
        mod_seq().prop_map(SearchKey::ModSeq),
        set().prop_map(SearchKey::Sequence),
        set().prop_map(SearchKey::Uid),
    ];
    leaf.prop_recursive(4, 24, 3, |key| {
        prop_oneof![
            key.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
            (key.clone(), key.clone()).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
            vec(key, 2..4).prop_map(SearchKey::And),
        ]
    })
}

pub(crate) fn set() -> impl Strategy<Value = SequenceSet> {
    prop_oneof![12 => numbers(), 1 => Just(SequenceSet::saved())]
}

/// Sets that a printed number says all of.
pub(crate) fn numbers() -> impl Strategy<Value = SequenceSet> {
    let ranges = vec((1u32.., 1u32..), 0..4).prop_map(|pairs| {
        IdSet::from_ranges(pairs.into_iter().map(|(first, last)| IdRange { first, last }))
    });
    (ranges, vec(prop::option::of(1u32..), 0..3)).prop_map(|(fixed, stars)| {
        let empty = fixed.is_empty() && stars.is_empty();
        let start = if empty { SequenceSet::largest() } else { fixed.into() };
        stars.into_iter().fold(start, |set, star| {
            set.union(star.map_or_else(SequenceSet::largest, SequenceSet::from_number_on))
        })
    })
}

fn name(min_chars: usize) -> impl Strategy<Value = String> {
    vec(prop_oneof![4 => prop::char::range(' ', '~'), 1 => any::<char>()], min_chars..12)
        .prop_map(|chars| chars.into_iter().filter(|c| !c.is_control()).collect())
}

fn mailbox() -> impl Strategy<Value = MailboxName> {
    name(1).prop_filter_map("empty", |name| MailboxName::new(&name).ok())
}

fn pattern() -> impl Strategy<Value = ListPattern> {
    name(0).prop_filter_map("too wild", |name| ListPattern::new(&name))
}

fn text(max_bytes: usize) -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![4 => 32u8..127, 1 => 1u8..];
    vec(byte, 0..=max_bytes).prop_map(Bytes::from)
}

fn flag() -> impl Strategy<Value = Flag> {
    "\\\\?[A-Za-z$][A-Za-z0-9]{1,6}".prop_filter_map("\\Recent", |name| {
        Flag::from_name(&name).filter(|flag| *flag != Flag::Recent)
    })
}

fn date() -> impl Strategy<Value = Date> {
    (-719_528i64..=2_932_896).prop_map(Date::from_unix_days)
}

fn date_time() -> impl Strategy<Value = DateTime> {
    (0i64..4_000_000_000, -1439i16..=1439)
        .prop_map(|(seconds, zone)| DateTime::from_unix_seconds(seconds, zone))
}
