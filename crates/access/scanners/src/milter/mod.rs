//! Milters: one conversation for each message, by the protocol of libmilter, version 6.
//!
//! ```text
//! > OPTNEG      < OPTNEG            what it wants to see, and to which of it it will answer
//! > CONNECT HELO MAIL RCPT… DATA    < continue, or its verdict
//! > HEADER… EOH BODY…               < continue, or its verdict; skip: no more of the body
//! > end of the body                 < changes of the header…, and its verdict
//! ```
//!
//! The envelope is told when the message has come whole, so a milter cannot refuse a single
//! recipient any more: where it refuses all of them the message is refused, else it is noted. It
//! is offered to change the header and to quarantine; not to change body, sender or recipients.

mod answer;
mod wire;

use crate::message::{Message, own};
use crate::outcome::{Answer, Trouble, Verdict};
use answer::{Said, verdict};
use base::env::Stream;
use bytes::Bytes;
use codec_mime::header;
use contract_transport::scanner::scanning::{Facts, Reply, plain};
use futures::TryStreamExt;
use std::net::IpAddr;
use wire::{Packet, Wire};

/// The protocol's version.
const VERSION: u32 = 6;

/// What it may do: add fields, change and remove them, quarantine.
const ACTIONS: u32 = 0x01 | 0x10 | 0x20;

/// What it may leave out, or not answer to; that it may stop the body; blanks before values.
const OFFER: u32 = 0x001f_f7ff;

/// Steps that a milter does not want to see.
const NO_CONNECT: u32 = 0x01;
const NO_HELO: u32 = 0x02;
const NO_MAIL: u32 = 0x04;
const NO_RCPT: u32 = 0x08;
const NO_BODY: u32 = 0x10;
const NO_HEADERS: u32 = 0x20;
const NO_EOH: u32 = 0x40;
const NO_DATA: u32 = 0x200;

/// Steps that it does not answer.
const SILENT_HEADERS: u32 = 0x80;
const SILENT_CONNECT: u32 = 0x1000;
const SILENT_HELO: u32 = 0x2000;
const SILENT_MAIL: u32 = 0x4000;
const SILENT_RCPT: u32 = 0x8000;
const SILENT_DATA: u32 = 0x1_0000;
const SILENT_EOH: u32 = 0x4_0000;
const SILENT_BODY: u32 = 0x8_0000;

/// Values of fields come with the blank behind the colon.
const LEADING_BLANKS: u32 = 0x10_0000;

/// Shows it a message.
pub(crate) async fn scan(
    stream: Box<dyn Stream>,
    message: &Message<'_>,
) -> Result<Answer, Trouble> {
    let mut talk = Talk { wire: Wire::new(stream), flags: 0 };
    talk.negotiate().await?;
    let answer = match talk.show(message).await {
        Ok(answer) => answer,
        Err(Stop::Decided(verdict)) => Answer { verdict, ..Answer::clean() },
        Err(Stop::Trouble(trouble)) => return Err(trouble),
    };
    // It may go on to the next one whether this reaches it or not.
    let _unimportant = talk.wire.send(b'Q', b"").await;
    Ok(Answer { text: in_words(&answer), ..answer })
}

/// Why a conversation ends before its end.
enum Stop {
    Decided(Verdict),
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

fn in_words(answer: &Answer) -> String {
    let said = match &answer.verdict {
        Verdict::Clean => "",
        Verdict::Junk => "quarantine",
        Verdict::Refused(reply) => &format!("{} {}", reply.code, reply.text),
        Verdict::Discarded => "discard",
    };
    let text = [said, answer.text.as_str()].map(str::trim);
    plain(text.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ").as_str())
}

struct Talk {
    wire: Wire,
    /// What it wants, of what it was offered.
    flags: u32,
}

impl Talk {
    async fn negotiate(&mut self) -> Result<(), Trouble> {
        let offer = [VERSION, ACTIONS, OFFER].map(u32::to_be_bytes).concat();
        self.wire.send(b'O', &offer).await?;
        let Packet { command, data } = self.wire.receive().await?;
        let number = |at: usize| {
            let bytes = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_be_bytes)
        };
        let (Some(version), Some(actions), Some(flags)) = (number(0), number(4), number(8)) else {
            return Err(Trouble::Nonsense("it negotiates nothing".to_owned()));
        };
        if command != b'O' || !(2..=VERSION).contains(&version) {
            return Err(Trouble::Nonsense(format!("version {version} of the protocol")));
        }
        if actions & !ACTIONS != 0 {
            let what = "it wants to change bodies, senders or recipients, which it cannot here";
            return Err(Trouble::Failed(what.to_owned()));
        }
        if flags & !OFFER != 0 {
            return Err(Trouble::Nonsense(format!("{flags:#x} was not offered")));
        }
        self.flags = flags;
        Ok(())
    }

    /// Says something of the envelope or the message, and hears what it thinks of it.
    async fn step(
        &mut self,
        (command, data): (u8, &[u8]),
        (unwanted, silent): (u32, u32),
    ) -> Result<Said, Stop> {
        if self.flags & unwanted != 0 {
            return Ok(Said::Continue);
        }
        self.wire.send(command, data).await?;
        if self.flags & silent != 0 {
            return Ok(Said::Continue);
        }
        loop {
            let packet = self.wire.receive().await?;
            match answer::read(&packet)? {
                Said::Progress => {}
                said => return Ok(said),
            }
        }
    }

    /// The same where everything but going on is a decision.
    async fn must(&mut self, what: (u8, &[u8]), flags: (u32, u32)) -> Result<(), Stop> {
        match self.step(what, flags).await? {
            Said::Continue => Ok(()),
            said => Err(decided(said)),
        }
    }

    async fn show(&mut self, message: &Message<'_>) -> Result<Answer, Stop> {
        let facts = message.facts();
        let note = self.envelope(facts).await?;
        self.must((b'T', b""), (NO_DATA, SILENT_DATA)).await?;
        for field in header::fields(message.header()) {
            if !field.name.is_empty() {
                let told = told(&field, self.flags & LEADING_BLANKS != 0);
                self.must((b'L', &told), (NO_HEADERS, SILENT_HEADERS)).await?;
            }
        }
        self.must((b'N', b""), (NO_EOH, SILENT_EOH)).await?;
        self.body(message).await?;
        let mut answer = self.conclude(facts).await?;
        if answer.text.is_empty() {
            answer.text = note;
        }
        Ok(answer)
    }

    /// What is noted of it.
    async fn envelope(&mut self, facts: &Facts) -> Result<String, Stop> {
        let ip = facts.peer.ip().to_canonical();
        let (address, host) = (ip.to_string(), facts.host_name.as_str());
        let macros = [("j", host), ("{daemon_name}", "rialto"), ("{client_addr}", &address)];
        self.macros(b'C', &macros).await?;
        self.must((b'C', &client(ip, facts.peer.port())), (NO_CONNECT, SILENT_CONNECT)).await?;
        if let Some((version, cipher)) = &facts.tls {
            self.macros(b'H', &[("{tls_version}", version), ("{cipher}", cipher)]).await?;
        }
        self.must((b'H', &text(&facts.helo)), (NO_HELO, SILENT_HELO)).await?;
        let (queue, sender) = (facts.queue.to_string(), path(facts.sender.as_ref()));
        let bare = sender.trim_matches(['<', '>']);
        let mut macros = vec![("i", queue.as_str()), ("{mail_addr}", bare)];
        if let Some(user) = &facts.user {
            macros.extend([("{auth_type}", "PLAIN"), ("{auth_authen}", user.as_str())]);
        }
        self.macros(b'M', &macros).await?;
        self.must((b'M', &text(&sender)), (NO_MAIL, SILENT_MAIL)).await?;
        let (mut refused, mut last) = (Vec::new(), None);
        for recipient in &facts.recipients {
            let name = recipient.to_string();
            self.macros(b'R', &[("{rcpt_addr}", &name)]).await?;
            let to = text(&path(Some(recipient)));
            match self.step((b'R', &to), (NO_RCPT, SILENT_RCPT)).await? {
                Said::Continue => {}
                said @ (Said::Reject | Said::TempFail | Said::Reply(_)) => {
                    refused.push(name);
                    last = Some(said);
                }
                said => return Err(decided(said)),
            }
        }
        match last {
            Some(said) if refused.len() == facts.recipients.len() => Err(decided(said)),
            Some(_) => Ok(format!("it would not have taken {}", refused.join(", "))),
            None => Ok(String::new()),
        }
    }

    async fn body(&mut self, message: &Message<'_>) -> Result<(), Stop> {
        if self.flags & NO_BODY != 0 {
            return Ok(());
        }
        let mut pieces = message.body();
        // The blank line belongs to neither.
        let mut lead = header::length(message.header(), 0).is_none();
        while let Some(piece) = pieces.try_next().await.map_err(fault)? {
            let piece = match std::mem::take(&mut lead) && piece.starts_with(b"\r\n") {
                true => piece.slice(2..),
                false => piece,
            };
            if piece.is_empty() {
                continue;
            }
            match self.step((b'B', &piece), (0, SILENT_BODY)).await? {
                Said::Continue => {}
                Said::Skip => return Ok(()),
                said => return Err(decided(said)),
            }
        }
        Ok(())
    }

    /// The end: changes, and the verdict.
    async fn conclude(&mut self, facts: &Facts) -> Result<Answer, Stop> {
        self.macros(b'E', &[("i", &facts.queue.to_string())]).await?;
        self.wire.send(b'E', b"").await?;
        let mut answer = Answer::clean();
        loop {
            let packet = self.wire.receive().await?;
            if answer::change(&packet, &mut answer)? {
                continue;
            }
            match answer::read(&packet)? {
                Said::Progress => {}
                Said::Continue | Said::Accept => return Ok(answer),
                said => {
                    answer.verdict = verdict(said)?;
                    return Ok(answer);
                }
            }
        }
    }

    async fn macros(&mut self, of: u8, all: &[(&str, &str)]) -> Result<(), Trouble> {
        let mut data = vec![of];
        for (name, value) in all {
            data.extend(text(name));
            data.extend(text(value));
        }
        self.wire.send(b'D', &data).await
    }
}

fn decided(said: Said) -> Stop {
    match verdict(said) {
        Ok(verdict) => Stop::Decided(verdict),
        Err(trouble) => Stop::Trouble(trouble),
    }
}

fn fault(error: base::Error) -> Stop {
    Stop::Trouble(own(Err::<Bytes, _>(error)).err().unwrap_or(Trouble::Ended))
}

/// Text up to its NUL, which it must not have inside.
fn text(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| *byte != 0).chain([0]).collect()
}

/// An address in angle brackets.
fn path(address: Option<&base::Address>) -> String {
    address.map_or("<>".to_owned(), |address| format!("<{address}>"))
}

/// The client: what it is called, its family, port and address.
fn client(ip: IpAddr, port: u16) -> Vec<u8> {
    let mut data = text(&format!("[{ip}]"));
    let (family, address) = match ip {
        IpAddr::V4(ip) => (b'4', ip.to_string()),
        IpAddr::V6(ip) => (b'6', format!("IPv6:{ip}")),
    };
    data.push(family);
    data.extend(port.to_be_bytes());
    data.extend(text(&address));
    data
}

/// A field: its name and its value, whose lines end with LF alone.
fn told(field: &header::Field<'_>, with_blank: bool) -> Vec<u8> {
    let is_kept = |byte: &u8| !matches!(*byte, 0 | b'\r');
    let value = field.value.strip_suffix(b"\n").unwrap_or(field.value);
    let value = match value.strip_prefix(b" ") {
        Some(rest) if !with_blank => rest,
        _ => value,
    };
    let mut data: Vec<u8> = field.name.iter().copied().filter(is_kept).collect();
    data.push(0);
    data.extend(value.iter().copied().filter(is_kept));
    data.push(0);
    data
}

/// What a client is told where a milter gives no words.
fn rejected() -> Reply {
    Reply::refused("the message is refused")
}
