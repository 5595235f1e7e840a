//! Messages for hosts that take less than they need: what such a host gets, and who vouches for it.

use crate::envelope::hello;
use crate::signed::{results, signatures};
use crate::world::{BYE, outgoing, run};
use async_trait::async_trait;
use base::env::sim::SimDns;
use bytes::Bytes;
use codec_mime::generate::{Shape, to_vec};
use contract_blob::ByteStream;
use contract_transport::courier::{Outgoing, Resign, Signer};
use futures::TryStreamExt;
use std::sync::Arc;

const DATA: &str = "S: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";
const CHUNKED: &str = "S: 250 ok\nC: RCPT *\nS: 250 ok\n! bdat\nS: 250 ok";

/// What a host with this offer gets of a message, and how MAIL is said.
fn check(offer: &[&str], mail: &str, message: &Outgoing, expect: &str) {
    for (more, transfer) in [(None, DATA), (Some("CHUNKING"), CHUNKED)] {
        let offer: Vec<&str> = offer.iter().copied().chain(more).collect();
        let script = format!("{}C: {mail}\n{transfer}{BYE}", hello(&offer));
        run(async |world| {
            assert_eq!(world.send(&script, message).await, ["relayed 250 2.0.0 ok"]);
            let got = String::from_utf8_lossy(&world.messages.lock()[0]).into_owned();
            assert_eq!(got, expect, "{offer:?}");
        });
    }
}

fn with_header(text: &str) -> Outgoing {
    Outgoing { needs_smtputf8: true, ..outgoing(text, 1) }
}

#[test]
fn a_host_gets_what_it_takes() {
    let text = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                Content-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n";
    let quoted = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                  Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n";
    let (mail, size) = ("MAIL FROM:<alice@rialto.test>", quoted.len());
    check(&[], mail, &outgoing(text, 1), quoted);
    check(&["SIZE"], &format!("{mail} SIZE={size}"), &outgoing(text, 1), quoted);
    check(&["8BITMIME"], &format!("{mail} BODY=8BITMIME"), &outgoing(text, 1), text);
}

#[test]
fn a_header_beyond_ascii_is_encoded_where_smtputf8_is_not_offered() {
    let text = "Subject: \u{fc}\r\n\r\n\u{e0}\r\n";
    let header = "Subject: =?UTF-8?B?w7w=?=\r\n\r\n\u{e0}\r\n";
    let both = "Subject: =?UTF-8?B?w7w=?=\r\nMIME-Version: 1.0\r\n\
                Content-Type: text/plain; charset=unknown-8bit\r\n\
                Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A0\r\n";
    let mail = "MAIL FROM:<alice@rialto.test>";
    check(&["8BITMIME"], &format!("{mail} BODY=8BITMIME"), &with_header(text), header);
    check(&[], mail, &with_header(text), both);
    let as_it_is = format!("{mail} BODY=8BITMIME SMTPUTF8");
    check(&["8BITMIME", "SMTPUTF8"], &as_it_is, &with_header(text), text);
}

#[test]
fn large_messages_are_converted_piece_by_piece() {
    let mut text = String::from_utf8(to_vec(3, Shape::Attachments { count: 2, bytes: 100_000 }));
    let text = text.as_mut().unwrap();
    *text = text.replacen("the", "th\u{e9}", 3);
    let expect = codec_mime::convert::whole(text.as_bytes(), codec_mime::convert::Target::SevenBit);
    let expect = String::from_utf8(expect.unwrap()).unwrap();
    assert!(expect.is_ascii() && expect != *text);
    check(&[], "MAIL FROM:<alice@rialto.test>", &outgoing(text, 1), &expect);
}

/// Signs as the transport does.
struct Dkim(SimDns);

#[async_trait]
impl Resign for Dkim {
    async fn sign(&self, message: ByteStream) -> base::Result<Bytes> {
        let pieces: Vec<Bytes> = message.try_collect().await?;
        let message = String::from_utf8(pieces.concat()).unwrap();
        Ok(signatures(&message, &self.0).into())
    }
}

#[test]
fn signatures_are_of_what_leaves() {
    let body = "Subject: \u{fc}\r\nFrom: a@rialto.test\r\nTo: b@far.test\r\n\r\ngr\u{fc}n\r\n";
    for (offer, transfer) in [(&[][..], DATA), (&["CHUNKING", "SIZE"][..], CHUNKED)] {
        run(async |world| {
            let dns = SimDns::default();
            let before = signatures(body, &dns);
            let message = Outgoing {
                signed_bytes: before.len() as u64,
                signer: Signer(Some(Arc::new(Dkim(dns.clone())))),
                ..with_header(&format!("{before}{body}"))
            };
            let script = format!("{}C: MAIL *\n{transfer}{BYE}", hello(offer));
            assert_eq!(world.send(&script, &message).await, ["relayed 250 2.0.0 ok"]);
            let got = std::mem::take(&mut *world.messages.lock());
            assert!(got[0].is_ascii());
            let found = results(&dns, &got[0]).await;
            assert_eq!(found.matches("dkim=").count(), 2, "{found}");
            assert_eq!(found.matches("dkim=pass").count(), 2, "{found}");
        });
    }
}
