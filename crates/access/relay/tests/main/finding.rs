//! Which hosts are tried, in which order, and what it means when none will.

use crate::world::{BYE, HELLO, World, ip, outcome, run};
use base::env::sim::Simulation;
use std::time::Duration;

fn ready() -> String {
    format!("{HELLO}{BYE}")
}

/// A host with several addresses or names in a zone.
fn zone(sim: &Simulation, records: &[(u16, &str, &[&str])]) {
    let exchangers: Vec<(u16, &str)> =
        records.iter().map(|(preference, host, _)| (*preference, *host)).collect();
    sim.dns.set_exchangers("example.org", &exchangers);
    for (_, host, addresses) in records {
        let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
        if !addresses.is_empty() {
            sim.dns.set(host, &addresses);
        }
    }
}

#[test]
fn the_best_exchanger_is_tried_first() {
    run(async |world| {
        zone(
            &world.sim,
            &[(20, "b.example.org", &["192.0.2.2"]), (10, "a.example.org", &["192.0.2.1"])],
        );
        world.host("192.0.2.1", &[&ready()]).await;
        world.host("192.0.2.2", &[]).await;
        assert_eq!(world.opened("example.org").await, "ready a.example.org [192.0.2.1]");
    });
}

#[test]
fn hosts_that_do_not_want_or_answer_are_passed_over() {
    for bad in [
        "S: 421 4.3.2 busy\nC: QUIT",
        "S: 554 5.3.2 never\nC: QUIT",
        "S: 220 hi\nC: EHLO *\nS: 421 no\nC: QUIT",
        "S: 220 hi\nC: EHLO *\nS: 550 no\nC: HELO *\nS: 550 no\nC: QUIT",
        "S: HTTP/1.1 400 Bad Request\n! closed",
        "! close",
        "! silence",
    ] {
        run(async |world| {
            zone(
                &world.sim,
                &[(10, "a.example.org", &["192.0.2.1"]), (20, "b.example.org", &["192.0.2.2"])],
            );
            world.host("192.0.2.1", &[bad]).await;
            world.host("192.0.2.2", &[&ready()]).await;
            assert_eq!(world.opened("example.org").await, "ready b.example.org [192.0.2.2]");
        });
    }
}

#[test]
fn both_families_and_all_addresses_are_tried() {
    run(async |world| {
        zone(&world.sim, &[(10, "a.example.org", &["192.0.2.1", "2001:db8::1", "192.0.2.2"])]);
        // IPv6 is tried first, and refuses.
        world.host("192.0.2.1", &["S: 421 a\nC: QUIT"]).await;
        world.host("192.0.2.2", &["S: 421 b\nC: QUIT"]).await;
        let opened = world.opened("example.org").await;
        assert!(opened.starts_with("later 421 4.0.0 "), "{opened}");
    });
    run(async |world| {
        zone(&world.sim, &[(10, "a.example.org", &["192.0.2.1", "2001:db8::1"])]);
        world.host("2001:db8::1", &[&ready()]).await;
        assert_eq!(world.opened("example.org").await, "ready a.example.org [2001:db8::1]");
    });
}

#[test]
fn equals_share_the_load() {
    run(async |world| {
        zone(
            &world.sim,
            &[(10, "a.example.org", &["192.0.2.1"]), (10, "b.example.org", &["192.0.2.2"])],
        );
        let greeting = "S: 220 a\nC: EHLO *\nS: 250 a\nC: QUIT\nS: 221 bye";
        // More than enough for each; what is not played is not asked for.
        let mut firsts = [0, 0];
        for address in ["192.0.2.1", "192.0.2.2"] {
            world.forever(address, greeting).await;
        }
        for _ in 0..40 {
            let opened = world.opened("example.org").await;
            firsts[usize::from(opened.contains("192.0.2.2"))] += 1;
        }
        assert!(firsts.iter().all(|count| *count > 5), "{firsts:?}");
    });
}

#[test]
fn a_domain_without_exchangers_is_its_own() {
    run(async |world| {
        world.sim.dns.set("bare.example", &[ip("192.0.2.7")]);
        world.host("192.0.2.7", &[&ready()]).await;
        assert_eq!(world.opened("bare.example").await, "ready bare.example [192.0.2.7]");
    });
}

#[test]
fn what_the_names_say() {
    run(async |world| {
        let dns = world.sim.dns.clone();
        dns.set_exchangers("null.example", &[(0, ".")]);
        dns.set_exchangers("dangling.example", &[(10, "gone.example"), (20, "gone2.example")]);
        dns.set_exchangers("empty.example", &[]);
        dns.break_host("broken.example");
        dns.set_exchangers("half.example", &[(10, "gone.example"), (20, "broken.example")]);
        dns.set_alias("loop.example", "loop.example");
        dns.set_alias("alias.example", "example.org");
        for (domain, expected) in [
            ("nobody.example", "never 550 5.1.2 the domain nobody.example does not exist"),
            ("null.example", "never 556 5.1.10 the domain null.example takes no mail"),
            ("dangling.example", "never 550 5.4.4 the host gone2.example has no address"),
            ("empty.example", "never 550 5.4.4 the host empty.example has no address"),
            ("broken.example", "later 0 4.4.3 the exchangers of broken.example could not"),
            ("half.example", "later 0 4.4.3 the address of broken.example could not"),
            ("loop.example", "later 0 4.4.3 the exchangers of loop.example could not"),
            ("alias.example", "later 0 4.4.1 mx.example.org [192.0.2.1] could not be reached"),
        ] {
            let opened = world.opened(domain).await;
            assert!(opened.starts_with(expected), "{domain}: {opened}");
        }
    });
}

#[test]
fn attack_15_mail_never_leads_back_to_us() {
    let circles = "never 550 5.4.6";
    let check = async |world: &mut World, expected: &str| {
        let opened = world.opened("example.org").await;
        assert!(opened.starts_with(expected), "{opened}");
    };
    run(async |world| {
        zone(&world.sim, &[(10, "OUT.rialto.test.", &["192.0.2.9"])]);
        check(world, circles).await;
    });
    run(async |world| {
        world.config.own_names = vec!["In.Rialto.test".to_owned()];
        zone(&world.sim, &[(10, "in.rialto.test", &["192.0.2.9"]), (10, "a.test", &["192.0.2.1"])]);
        world.host("192.0.2.1", &[]).await;
        check(world, circles).await;
    });
    run(async |world| {
        world.config.own_addresses = vec![ip("192.0.2.9")];
        zone(&world.sim, &[(10, "a.test", &["192.0.2.8", "192.0.2.9"])]);
        check(world, circles).await;
    });
    run(async |world| {
        world.config.own_addresses = vec![ip("192.0.2.9")];
        zone(
            &world.sim,
            &[
                (5, "a.test", &["192.0.2.1"]),
                (10, "us.test", &["::ffff:192.0.2.9"]),
                (20, "b.test", &["192.0.2.2"]),
            ],
        );
        // We are the second: only better hosts are tried.
        world.host("192.0.2.1", &["S: 450 4.2.1 soon\nC: QUIT", &ready()]).await;
        world.host("192.0.2.2", &[]).await;
        check(world, "later 450 4.2.1 soon").await;
        check(world, "ready a.test [192.0.2.1]").await;
    });
    run(async |world| {
        world.config.own_addresses = vec![ip("192.0.2.9")];
        let opened = world.opened("[192.0.2.9]").await;
        assert!(opened.starts_with(circles), "{opened}");
    });
}

#[test]
fn attack_19_exchangers_inside_our_own_network_are_not_tried() {
    for (address, expected) in [
        ("127.0.0.1", "never 550 5.4.6"),
        ("::1", "never 550 5.4.6"),
        ("0.0.0.0", "never 550 5.4.6"),
        ("10.0.0.5", "never 550 5.4.4"),
        ("169.254.169.254", "never 550 5.4.4"),
        ("::ffff:192.168.1.1", "never 550 5.4.4"),
    ] {
        run(async |world| {
            zone(&world.sim, &[(10, "a.test", &[address])]);
            let opened = world.opened("example.org").await;
            assert!(opened.starts_with(expected), "{address}: {opened}");
        });
    }
    run(async |world| {
        world.config.local_exchangers = true;
        zone(&world.sim, &[(10, "a.test", &["10.0.0.5"])]);
        world.host("10.0.0.5", &[&ready()]).await;
        assert_eq!(world.opened("example.org").await, "ready a.test [10.0.0.5]");
    });
}

#[test]
fn address_literals() {
    run(async |world| {
        world.host("192.0.2.1", &[&ready()]).await;
        world.host("2001:db8::2", &[&ready()]).await;
        assert_eq!(world.opened("[192.0.2.1]").await, "ready [192.0.2.1]");
        assert_eq!(world.opened("[IPv6:2001:db8::2]").await, "ready [2001:db8::2]");
    });
}

#[test]
fn smart_hosts_in_their_order_by_name_or_address() {
    run(async |world| {
        world.sim.dns.set("smart.rialto.test", &[ip("10.0.0.2")]);
        world.host_at("10.0.0.1:2525".parse().unwrap(), &["S: 554 5.7.1 no\nC: QUIT"]).await;
        world.host_at("10.0.0.2:26".parse().unwrap(), &[&ready()]).await;
        let hosts = [("10.0.0.1", 2525), ("smart.rialto.test", 26)];
        let opened = world.open_hosts(&hosts).await;
        assert_eq!(outcome(opened).await, "ready smart.rialto.test [10.0.0.2]");
    });
    // What is wrong with a smart host is ours to mend: nothing is returned for it.
    run(async |world| {
        world.host("10.0.0.1", &["S: 554 5.7.1 no\nC: QUIT"]).await;
        for (name, expected) in
            [("10.0.0.1", "later 554 5.7.1 no"), ("gone.test", "later 550 5.4.4")]
        {
            let opened = world.open_hosts(&[(name, 25)]).await;
            let opened = outcome(opened).await;
            assert!(opened.starts_with(expected), "{opened}");
        }
        let opened = world.open_hosts(&[]).await;
        assert!(outcome(opened).await.starts_with("later 0 4.4.4"));
    });
}

#[test]
fn never_is_said_only_if_every_host_says_so() {
    let no = "S: 554 5.3.2 no mail here\nC: QUIT";
    run(async |world| {
        zone(&world.sim, &[(10, "a.test", &["192.0.2.1"]), (20, "b.test", &["192.0.2.2"])]);
        world.host("192.0.2.1", &[no, no]).await;
        world.host("192.0.2.2", &[no, "S: 450 4.2.1 soon\nC: QUIT"]).await;
        assert_eq!(world.opened("example.org").await, "never 554 5.3.2 no mail here");
        assert_eq!(world.opened("example.org").await, "later 450 4.2.1 soon");
    });
}

#[test]
fn a_dead_host_is_not_asked_again_at_once() {
    run(async |world| {
        zone(&world.sim, &[(10, "a.test", &["192.0.2.1"])]);
        let opened = world.opened("example.org").await;
        assert!(opened.starts_with("later 0 4.4.1 a.test [192.0.2.1] could not be"), "{opened}");
        world.host("192.0.2.1", &[&ready()]).await;
        let opened = world.opened("example.org").await;
        assert!(opened.ends_with("did not answer a moment ago"), "{opened}");
        world.env.clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(world.opened("example.org").await, "ready a.test [192.0.2.1]");
    });
}

#[test]
fn a_smart_host_is_asked_again_whenever_it_is_wanted() {
    run(async |world| {
        let opened = outcome(world.open_hosts(&[("192.0.2.1", 25)]).await).await;
        assert!(opened.contains("could not be reached"), "{opened}");
        world.host("192.0.2.1", &[&ready()]).await;
        let opened = outcome(world.open_hosts(&[("192.0.2.1", 25)]).await).await;
        assert!(opened.starts_with("ready"), "{opened}");
    });
}

#[test]
fn the_search_ends_with_its_deadline() {
    // Nine names, of eight addresses each, all of them unreachable for half a minute.
    let check = |address: fn(u16, u16) -> String, expected_s: u64| {
        run(async |world| {
            let mut names: Vec<(u16, String)> = Vec::new();
            for n in 1..=9 {
                let addresses: Vec<_> = (1..=8).map(|k| ip(&address(n, k))).collect();
                for address in &addresses {
                    world.sim.network.partition(ip("127.0.0.1"), *address);
                }
                world.sim.dns.set(&format!("m{n}.test"), &addresses);
                names.push((n, format!("m{n}.test")));
            }
            let names: Vec<(u16, &str)> = names.iter().map(|(n, m)| (*n, m.as_str())).collect();
            world.sim.dns.set_exchangers("example.org", &names);
            let begun = world.env.clock.monotonic();
            let opened = world.opened("example.org").await;
            assert!(opened.starts_with("later 0 4.4.1"), "{opened}");
            let took = world.env.clock.monotonic() - begun;
            assert_eq!(took.as_secs(), expected_s);
        });
    };
    check(|n, k| format!("192.0.2.{}", n * 8 + k), 600);
    // No address is asked twice in one search.
    check(|_, k| format!("192.0.2.{k}"), 8 * 30);
}

#[test]
fn helo_for_hosts_of_old() {
    run(async |world| {
        let script = "S: 220 old\nC: EHLO out.rialto.test\nS: 502 what?\nC: HELO out.rialto.test\n\
                      S: 250 hello\nC: MAIL FROM:<alice@rialto.test>\nS: 250 ok\nC: RCPT *\n\
                      S: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";
        let outgoing = crate::world::outgoing("a\r\n", 1);
        let verdicts = world.send(&format!("{script}{BYE}"), &outgoing).await;
        assert_eq!(verdicts, ["relayed 250 2.0.0 ok"]);
    });
    run(async |world| {
        world.manner.helo = Some("named.test".to_owned());
        let script = format!("S: 220 a\nC: EHLO named.test\nS: 250 a{BYE}");
        world.host(crate::world::MX, &[&script]).await;
        assert_eq!(world.opened("example.org").await, "ready mx.example.org [192.0.2.1]");
    });
}
