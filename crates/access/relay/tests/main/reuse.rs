//! Several messages over one conversation, and hosts that close it meanwhile.

use crate::envelope::hello;
use crate::world::{BYE, MX, outgoing, run, verdicts};
use std::time::Duration;

const ONE: &str =
    "C: MAIL *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n! data\nS: 250 ok\n";

#[test]
fn a_session_that_was_closed_while_idle_is_begun_again() {
    for idle_end in ["! wait 300\nS: 421 4.4.2 idle\n! close", "! wait 300\n! close"] {
        let hello = hello(&["PIPELINING"]);
        let first = format!("{hello}{ONE}{idle_end}");
        let second = format!("{hello}{ONE}{BYE}");
        run(async |world| {
            world.host(MX, &[&first, &second]).await;
            let mut conversation = world.open("example.org").await.unwrap();
            for idle_s in [400, 0] {
                let transferred = conversation.transfer(&outgoing("a\r\n", 1)).await.unwrap();
                assert_eq!(verdicts(&transferred), ["relayed 250 2.0.0 ok"]);
                assert!(transferred.may_go_on);
                world.env.clock.sleep(Duration::from_secs(idle_s)).await;
            }
            conversation.quit().await;
        });
    }
}

#[test]
fn a_host_that_is_gone_for_good_is_for_later() {
    let script = format!("{}{ONE}! close", hello(&["PIPELINING"]));
    run(async |world| {
        world.host(MX, &[&script]).await;
        let mut conversation = world.open("example.org").await.unwrap();
        conversation.transfer(&outgoing("a\r\n", 1)).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(10)).await;
        let transferred = conversation.transfer(&outgoing("a\r\n", 1)).await.unwrap();
        assert!(verdicts(&transferred)[0].starts_with("later 0 4.4.1"), "{transferred:?}");
        assert!(!transferred.may_go_on);
    });
}

#[test]
fn a_transfer_that_was_given_up_ends_its_session() {
    let hello = hello(&["PIPELINING"]);
    let first = format!("{hello}C: MAIL *\nC: RCPT *\nC: DATA\nS: 250 ok\n! silence");
    let second = format!("{hello}{ONE}{BYE}");
    run(async |world| {
        world.host(MX, &[&first, &second]).await;
        let mut conversation = world.open("example.org").await.unwrap();
        let message = outgoing("a\r\n", 1);
        let given_up =
            tokio::time::timeout(Duration::from_secs(5), conversation.transfer(&message)).await;
        assert!(given_up.is_err());
        let transferred = conversation.transfer(&message).await.unwrap();
        assert_eq!(verdicts(&transferred), ["relayed 250 2.0.0 ok"]);
        conversation.quit().await;
    });
}
