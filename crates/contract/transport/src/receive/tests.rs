//! What a connector may be, and which one a client gets.

use super::*;
use base::Kind;
use proptest::prelude::*;

fn range(text: &str) -> AddressRange {
    text.parse().unwrap()
}

fn connector(name: &str, binding: &str, ranges: &[&str]) -> ReceiveConnector {
    let bindings = vec![binding.parse().unwrap()];
    let ranges = ranges.iter().map(|text| range(text)).collect();
    let name = name.to_owned();
    ReceiveConnector { name, bindings, ranges, ..ReceiveConnector::of_role(Role::Server) }
}

fn limit(one: &mut ReceiveConnector, limit: Limit, value: u64) {
    one.limits.insert(limit, value);
}

fn listener(role: Role, address: &str) -> ListenerPlace {
    ListenerPlace { role, address: address.parse().unwrap() }
}

#[test]
fn ranges_are_read_and_written() {
    let check = |text: &str, shown: &str, inside: &[&str], outside: &[&str]| {
        let read = range(text);
        assert_eq!(read.to_string(), shown);
        assert_eq!(range(shown), read);
        for (addresses, expect) in [(inside, true), (outside, false)] {
            for ip in addresses {
                assert_eq!(read.contains(ip.parse().unwrap()), expect, "{ip} in {text}");
            }
        }
    };
    check("10.1.2.3", "10.1.2.3", &["10.1.2.3", "::ffff:10.1.2.3"], &["10.1.2.4", "::1"]);
    check("10.1.2.0/24", "10.1.2.0/24", &["10.1.2.0", "10.1.2.255"], &["10.1.3.0"]);
    check("10.1.2.0-10.1.2.255", "10.1.2.0/24", &[], &[]);
    check("10.1.2.9 - 10.1.2.11", "10.1.2.9-10.1.2.11", &["10.1.2.10"], &["10.1.2.12"]);
    check("0.0.0.0/0", "0.0.0.0/0", &["255.255.255.255"], &["::"]);
    check("::/0", "::/0", &["::", "ffff::"], &["10.0.0.1", "::ffff:10.0.0.1"]);
    check("2001:db8::/33", "2001:db8::/33", &["2001:db8:7fff::"], &["2001:db8:8000::"]);
    check("2001:db8::1-2001:db8::5", "2001:db8::1-2001:db8::5", &["2001:db8::5"], &["2001:db8::6"]);
    check("::ffff:10.1.0.0/112", "10.1.0.0/16", &["10.1.255.255"], &["10.2.0.0"]);
    for (text, expect) in [
        ("", "no address"),
        ("printer.example", "no address"),
        ("10.1.2", "no address"),
        ("10.1.2.0/33", "0 to 32 bits"),
        ("10.1.2.0/", "0 to 32 bits"),
        ("10.1.2.3/24", "begins at 10.1.2.0/24"),
        ("::ffff:0:0/95", "begins at"),
        ("::/64-::1", "0 to 128"),
        ("10.1.2.9-10.1.2.3", "ends before"),
        ("10.1.2.9-::1", "ends as IPv6"),
        ("::-::ffff:10.0.0.1", "partly IPv4"),
    ] {
        let error = text.parse::<AddressRange>().unwrap_err();
        assert!(error.text.contains(expect) && error.text.contains("no range"), "{error}");
    }
}

#[test]
fn bindings_permissions_and_limits_have_words() {
    for text in ["server", "submission", "25", "192.0.2.1:25", "[2001:db8::1]:587"] {
        assert_eq!(text.parse::<Binding>().unwrap().to_string(), text);
    }
    for text in ["", "0", "70000", "smtp", "192.0.2.1", "192.0.2.1:0", "mail.example:25"] {
        assert!(text.parse::<Binding>().is_err(), "{text}");
    }
    let words = ["anonymous", "users", "partners", "servers", "relay"];
    assert_eq!(Permissions::of_words(words).unwrap().words(), words);
    assert!(Permissions::of_words(["anonymous", "everybody"]).is_err());
    for (place, row) in LIMITS.iter().enumerate() {
        assert_eq!((row.limit as usize, Limit::named(row.name).unwrap()), (place, row.limit));
        assert_eq!(row.limit.row(), row);
    }
    assert!(Limit::named("message_size").unwrap_err().text.contains("message_bytes_max"));
}

#[test]
fn what_can_never_work_and_open_relays_are_refused() {
    let check = |change: &dyn Fn(&mut ReceiveConnector), expect: &str| {
        let mut one = connector("one", "25", &["10.1.2.0/24"]);
        change(&mut one);
        match one.check() {
            Ok(()) => assert_eq!(expect, "", "{one:?}"),
            Err(error) => {
                let is_told = !expect.is_empty() && error.text.contains(expect);
                assert!(is_told, "{error} {one:?}");
            }
        }
    };
    check(&|_| {}, "");
    check(&|one| *one = ReceiveConnector::of_role(Role::Server), "");
    check(&|one| *one = ReceiveConnector::of_role(Role::Submission), "");
    check(&|one| one.name = "One Two".into(), "name");
    check(&|one| one.bindings.clear(), "bindings");
    check(&|one| one.ranges.clear(), "ranges");
    check(&|one| one.ranges = vec![range("10.0.0.1"); 201], "ranges");
    check(&|one| one.helo = Some("mx.example.org".into()), "");
    check(&|one| one.helo = Some("mx example".into()), "no host name");
    check(&|one| one.banner = Some("ESMTP, no advertising please".into()), "");
    check(&|one| one.banner = Some("two\r\n250 lines".into()), "banner");
    check(&|one| one.banner = Some(String::new()), "banner");
    check(&|one| one.banner = Some("x".repeat(201)), "banner");
    check(&|one| one.permissions = Permissions::NONE, "no permission group");
    check(&|one| one.permissions.users = true, "mechanism");
    check(&|one| one.auth = vec![Mechanism::Plain], "without \"users\"");
    let signed = |one: &mut ReceiveConnector| {
        one.permissions.users = true;
        one.auth = vec![Mechanism::Plain];
    };
    check(&signed, "");
    let clear = |one: &mut ReceiveConnector| {
        signed(one);
        one.tls = TlsDemand::None;
    };
    check(&clear, "under TLS");
    check(&|one| one.tls = TlsDemand::None, "");
    check(&|one| one.permissions.relay = true, "");
    for wide in ["0.0.0.0/0", "128.0.0.0/1", "10.0.0.0-11.255.255.255", "::/0", "2000::/3"] {
        let open = |group: fn(&mut Permissions)| {
            move |one: &mut ReceiveConnector| {
                one.ranges.push(range(wide));
                group(&mut one.permissions);
            }
        };
        check(&open(|all| all.relay = true), "open relay");
        check(&open(|all| all.servers = true), "open relay");
        check(&open(|all| all.partners = true), "");
    }
    for own in ["10.0.0.0/8", "fc00::/7"] {
        let trusted = |one: &mut ReceiveConnector| {
            one.ranges = vec![range(own)];
            one.permissions.servers = true;
        };
        check(&trusted, "");
    }
    check(&|one| limit(one, Limit::TarpitMs, 0), "");
    check(&|one| limit(one, Limit::Recipients, 0), "recipients_max is 1 to 1000");
    check(&|one| limit(one, Limit::Recipients, 1_001), "recipients_max");
}

#[test]
fn two_connectors_for_the_same_client_are_refused() {
    let table = ReceiveTable::new([connector("printers", "25", &["10.1.2.0/24", "10.2.0.1"])]);
    let check = |name: &str, binding: &str, ranges: &[&str], expect: &str| {
        let result = table.check_beside(&connector(name, binding, ranges));
        match result {
            Ok(()) => assert_eq!(expect, "", "{name} {binding} {ranges:?}"),
            Err(error) => {
                assert_eq!(error.kind, Kind::Conflict);
                assert!(!expect.is_empty() && error.text.contains(expect), "{error}");
            }
        }
    };
    check("other", "25", &["10.1.2.0/24"], "10.1.2.0/24 on 25 is the connector printers's already");
    check("other", "25", &["10.9.0.0/16", "10.2.0.1"], "10.2.0.1 on 25");
    check("other", "25", &["10.1.2.1-10.1.3.0"], "overlaps 10.1.2.0/24");
    check("other", "25", &["10.1.2.0/25"], "");
    check("other", "587", &["10.1.2.0/24"], "");
    check("other", "server", &["10.1.2.0/24"], "");
    check("printers", "25", &["10.1.2.0/24"], "");
    check("other", "server", &["0.0.0.0/0"], "on server is the connector server's already");
    check("server", "25", &["0.0.0.0/0"], "");
    let off = connector("other", "25", &["10.1.2.0/24"]);
    assert!(table.check_beside(&ReceiveConnector { enabled: false, ..off }).is_ok());
}

#[test]
fn the_most_specific_range_wins() {
    let table = ReceiveTable::new([
        connector("office", "server", &["10.0.0.0/8"]),
        connector("printers", "server", &["10.1.2.0/24", "10.9.9.9"]),
        connector("edge", "2525", &["0.0.0.0/0"]),
        connector("one", "192.0.2.1:2525", &["0.0.0.0/0", "10.0.0.0/8"]),
        ReceiveConnector { enabled: false, ..connector("off", "server", &["10.1.2.3"]) },
    ]);
    let check = |at: ListenerPlace, client: &str, expect: Option<&str>| {
        let found = table.choose(at, client.parse().unwrap()).map(|one| one.name.as_str());
        assert_eq!(found, expect, "{client} at {at:?}");
    };
    let server = listener(Role::Server, "0.0.0.0:25");
    check(server, "198.51.100.1", Some("server"));
    check(server, "2001:db8::1", Some("server"));
    check(server, "10.200.0.1", Some("office"));
    check(server, "10.1.2.3", Some("printers"));
    check(server, "::ffff:10.9.9.9", Some("printers"));
    // A closer name of the listener counts among equal ranges only.
    check(listener(Role::Server, "192.0.2.2:2525"), "198.51.100.1", Some("edge"));
    check(listener(Role::Server, "192.0.2.1:2525"), "198.51.100.1", Some("one"));
    check(listener(Role::Server, "192.0.2.1:2525"), "10.3.0.0", Some("one"));
    check(listener(Role::Server, "192.0.2.1:2525"), "10.1.2.3", Some("printers"));
    check(listener(Role::Submission, "0.0.0.0:587"), "10.1.2.3", Some("submission"));
    let off = ReceiveConnector { enabled: false, ..ReceiveConnector::of_role(Role::Server) };
    assert_eq!(ReceiveTable::new([off]).choose(server, "10.1.2.3".parse().unwrap()), None);
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    let mut old = connector("one", "25", &["10.1.2.0/24"]);
    old.limits.insert(Limit::Hops, 7);
    old.banner = Some("hello".into());
    assert_eq!(ReceiveChange::default().applied(&old), old);
    let change = ReceiveChange {
        banner: Some(None),
        limits: [(Limit::Hops, None), (Limit::Recipients, Some(5))].into(),
        ..ReceiveChange::default()
    };
    let new = change.applied(&old);
    assert_eq!((new.banner, new.limits), (None, [(Limit::Recipients, 5)].into()));
}

/// Few addresses, so that ranges meet.
fn any_range() -> impl Strategy<Value = AddressRange> {
    let (first, size) = (0_u32..24, 0_u32..8);
    (first, size, any::<bool>()).prop_map(|(first, size, is_network)| {
        let ip = |n: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        match is_network {
            true => range(&format!("{}/{}", ip(first & !7), 29 + size % 4)),
            false => range(&format!("{}-{}", ip(first), ip(first + size))),
        }
    })
}

fn any_connectors() -> impl Strategy<Value = Vec<ReceiveConnector>> {
    let binding = prop_oneof![
        Just(Binding::Role(Role::Server)),
        Just(Binding::Port(25)),
        Just(Binding::Address("10.0.0.1:25".parse().unwrap())),
    ];
    let one = (
        proptest::collection::vec(binding, 1..3),
        proptest::collection::vec(any_range(), 1..4),
        any::<bool>(),
    );
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        let named = all.into_iter().enumerate().map(|(number, (bindings, ranges, enabled))| {
            let name = format!("c{number}");
            ReceiveConnector {
                name,
                bindings,
                ranges,
                enabled,
                ..connector("x", "25", &["10.0.0.1"])
            }
        });
        named.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn of_connectors_that_were_accepted_exactly_one_is_closest(
        candidates in any_connectors(),
        client in 0_u32..32,
    ) {
        let mut accepted: Vec<ReceiveConnector> = Vec::new();
        for one in candidates {
            if ReceiveTable::new(accepted.clone()).check_beside(&one).is_ok() {
                accepted.push(one);
            }
        }
        let table = ReceiveTable::new(accepted);
        let client = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + client));
        let at = listener(Role::Server, "10.0.0.1:25");
        let chosen = table.choose(at, client).unwrap();
        // Whoever else is for this client has a larger range, or an equal one and is less close.
        let closeness = |one: &ReceiveConnector| {
            let sizes = one.ranges.iter().filter(|range| range.contains(client));
            let size = sizes.map(AddressRange::size).min()?;
            let close = one.bindings.iter().filter_map(|binding| binding.fits(at)).max()?;
            one.enabled.then_some((size, 2 - close))
        };
        for other in table.connectors().filter(|other| other.name != chosen.name) {
            if let Some(theirs) = closeness(other) {
                prop_assert!(closeness(chosen).unwrap() < theirs, "{chosen:?} {other:?}");
            }
        }
    }
}
