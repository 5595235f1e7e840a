//! Trying a scanner: whether it is there, and what it makes of messages that every such program
//! knows.

use crate::ask::{self, Target};
use crate::clamd;
use crate::message::Message;
use crate::outcome::{Answer, Trouble, Verdict};
use crate::rspamd;
use base::QueueId;
use bytes::Bytes;
use contract_blob::{BlobId, Blobs, Place, Staged};
use contract_transport::scanner::Language;
use contract_transport::scanner::scanning::{Facts, Mail, Trial, plain};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The test file of the antivirus makers, in two halves, so that nothing takes this program for it.
const EICAR: [&str; 2] =
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"];

/// The string that spam filters know, likewise.
const GTUBE: [&str; 2] =
    ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-", "ANTI-UBE-TEST-EMAIL*C.34X"];

/// Tries it with everything that it should know.
pub(crate) async fn run(target: Target<'_>, blobs: &Arc<dyn Blobs>) -> Vec<Trial> {
    let mut trials = Vec::new();
    if target.scanner.language == Language::Clamd {
        for word in ["PING", "VERSION"] {
            let asked = async {
                clamd::command(ask::connect(target).await?, word).await.map(|said| plain(&said))
            };
            trials.push(timed(target, word, asked).await);
        }
    }
    if target.scanner.language == Language::Rspamd {
        let ping = async { rspamd::ping(ask::connect(target).await?, target.host()).await };
        trials.push(timed(target, "ping", ping).await);
    }
    for (what, body) in [
        ("a harmless message", "This is a test.".to_owned()),
        ("the EICAR test file", EICAR.concat()),
        ("the GTUBE test string", GTUBE.concat()),
    ] {
        let trial = timed(target, what, async {
            let mail = mail(target, &body);
            let message = Message::new(&mail, mail.header.clone(), blobs);
            ask::ask(target, &message).await.map(|answer| in_words(&answer))
        });
        trials.push(trial.await);
    }
    trials
}

/// One trial, within the scanner's time.
async fn timed(
    target: Target<'_>,
    what: &'static str,
    trial: impl Future<Output = Result<String, Trouble>>,
) -> Trial {
    let limit = Duration::from_millis(target.scanner.deadline_ms);
    let begun = target.env.clock.monotonic();
    let found = tokio::time::timeout(limit, Box::pin(trial)).await;
    let found = found.unwrap_or(Err(Trouble::TimedOut));
    let took = target.env.clock.monotonic().saturating_sub(begun);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let answered = found.is_ok();
    let outcome = found.unwrap_or_else(|trouble| trouble.to_string());
    Trial { what, outcome, answered, took_ms }
}

fn in_words(answer: &Answer) -> String {
    let what = match &answer.verdict {
        Verdict::Clean => "it would be accepted".to_owned(),
        Verdict::Junk => "it would go to Junk Email".to_owned(),
        Verdict::Refused(reply) => {
            let [class, subject, detail] = reply.status;
            format!("it would be refused: {} {class}.{subject}.{detail} {}", reply.code, reply.text)
        }
        Verdict::Discarded => "it would be discarded".to_owned(),
    };
    match answer.text.is_empty() {
        true => what,
        false => format!("{what} ({})", plain(&answer.text)),
    }
}

/// A message of a stranger to a postmaster, with addresses that are set aside for examples.
fn mail(target: Target<'_>, body: &str) -> Mail {
    let now = target.env.clock.now();
    let queue = QueueId::new(now, target.env.random.u128());
    let date = codec_mime::SentAt { unix_seconds: now.unix_s(), offset_minutes: 0 };
    let header = format!(
        "From: Rialto <test@example.org>\r\nTo: postmaster@example.com\r\n\
         Subject: A test of a scanner\r\nDate: {}\r\nMessage-ID: <{queue}@example.org>\r\n\r\n",
        codec_mime::date::print(date)
    );
    let body = Bytes::from(format!("{body}\r\n"));
    let size_bytes = body.len() as u64;
    let address = |text| base::Address::parse_plain(text);
    Mail {
        facts: Facts {
            queue,
            peer: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 25_025)),
            helo: "mail.example.org".to_owned(),
            tls: None,
            user: None,
            is_ours: false,
            sender: address("test@example.org"),
            recipients: address("postmaster@example.com").into_iter().collect(),
            host_name: "rialto.example.com".to_owned(),
        },
        front: Bytes::new(),
        header: header.into(),
        staged: Some(Staged { id: BlobId([0; 32]), size_bytes, place: Place::Inline(body) }),
        body_at: 0,
    }
}
