//! Other servers, as a script has them: what they take, what they refuse, how they hang.

use async_trait::async_trait;
use base::{Deadline, Error, Result};
use bytes::Bytes;
use contract_blob::{Content, Segment};
use contract_transport::Notify;
use contract_transport::courier::{
    Answer, Conversation, Courier, Destination, Manner, NextHop, Outgoing, Transferred,
    Unreachable, Verdict,
};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A message as it might have to leave in the place of another one.
pub(crate) const CONVERTED: &[u8] =
    b"From: alice@rialto.test\r\nTo: bob@x.test\r\nSubject: =?UTF-8?B?w7w=?=\r\n\r\n=C3=A0\r\n";

/// How a domain's servers behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Does {
    /// Take everything; `dsn` says whether they report on it.
    Take { dsn: bool },
    /// Judge each recipient by the first letter: `f` fails, `t` is temporary, others are taken.
    Judge,
    /// Break after DATA.
    Break,
    /// Cannot be reached.
    Away,
    /// Are no servers at all.
    Never,
    /// Never answer a connection.
    HangOpen,
    /// Never answer a transfer.
    HangTransfer,
    /// Bring down whoever talks to them.
    Panic,
}

/// What was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) recipients: Vec<String>,
    /// What the sender has called them (ORCPT).
    pub(crate) originals: Vec<Option<String>>,
    pub(crate) needs_smtputf8: bool,
    pub(crate) is_8bit: bool,
    pub(crate) envelope_id: Option<String>,
    /// What stands in front of the message; empty where that is a blob.
    pub(crate) front: String,
    /// What would be put in front of [`CONVERTED`] if that had to leave in its place.
    pub(crate) resigned: String,
    pub(crate) require_tls: bool,
    /// Of the way that it went.
    pub(crate) ignores_policies: bool,
    /// How many segments it consists of.
    pub(crate) segments: usize,
    pub(crate) content: Content,
    /// What of its recipients' fate the sender wants to hear.
    pub(crate) notify: Vec<Notify>,
}

#[derive(Default)]
struct Scene {
    does: BTreeMap<String, Does>,
    taken: Vec<Taken>,
    /// How often somebody tried to connect, by domain.
    opened: BTreeMap<String, u32>,
    open: BTreeMap<String, u32>,
    /// The most connections at once, by domain, and the most messages over one.
    open_max: BTreeMap<String, u32>,
    messages_max: u32,
    manners: Vec<Manner>,
}

/// The world outside; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Outside {
    scene: Arc<Mutex<Scene>>,
    /// How long a transfer takes.
    pace: Duration,
}

impl Outside {
    /// One in which each transfer takes so long.
    pub(crate) fn slow(pace: Duration) -> Self {
        Self { pace, ..Self::default() }
    }

    pub(crate) fn set(&self, domain: &str, does: Does) {
        self.scene.lock().does.insert(domain.to_owned(), does);
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.scene.lock().taken.clone()
    }

    /// How often an address has got something.
    pub(crate) fn copies(&self, address: &str) -> usize {
        let scene = self.scene.lock();
        scene.taken.iter().flat_map(|taken| &taken.recipients).filter(|to| *to == address).count()
    }

    pub(crate) fn opened(&self, domain: &str) -> u32 {
        self.scene.lock().opened.get(domain).copied().unwrap_or_default()
    }

    pub(crate) fn opened_in_all(&self) -> u32 {
        self.scene.lock().opened.values().sum()
    }

    pub(crate) fn open_max(&self, domain: &str) -> u32 {
        self.scene.lock().open_max.get(domain).copied().unwrap_or_default()
    }

    pub(crate) fn messages_max(&self) -> u32 {
        self.scene.lock().messages_max
    }

    pub(crate) fn manners(&self) -> Vec<Manner> {
        self.scene.lock().manners.clone()
    }
}

pub(crate) fn answer(code: u16, domain: &str) -> Answer {
    Answer {
        code,
        status: format!("{}.1.1", code / 100),
        text: format!("the answer\r\nis {code}"),
        host: Some(format!("mx.{domain} [192.0.2.1]")),
    }
}

#[async_trait]
impl Courier for Outside {
    async fn open(
        &self,
        hop: &NextHop,
        manner: &Manner,
        _deadline: Deadline,
    ) -> std::result::Result<Box<dyn Conversation>, Unreachable> {
        let domain = match &hop.destination {
            Destination::Domain(domain) => domain.clone(),
            Destination::SmartHosts(hosts) => hosts[0].name.clone(),
        };
        let does = {
            let mut scene = self.scene.lock();
            *scene.opened.entry(domain.clone()).or_default() += 1;
            scene.manners.push(manner.clone());
            scene.does.get(&domain).copied().unwrap_or(Does::Take { dsn: false })
        };
        let own = |status: &str, text: &str| Answer {
            code: 0,
            status: status.to_owned(),
            text: text.to_owned(),
            host: None,
        };
        match does {
            Does::Away => return Err(Unreachable::Later(own("4.4.1", "Nobody is at home"))),
            Does::Never => return Err(Unreachable::Never(own("5.1.2", "No such domain"))),
            Does::HangOpen => std::future::pending().await,
            _ => {}
        }
        let mut scene = self.scene.lock();
        let open = scene.open.entry(domain.clone()).or_default();
        *open += 1;
        let open = *open;
        let most = scene.open_max.entry(domain.clone()).or_default();
        *most = open.max(*most);
        let (outside, host) = (self.clone(), format!("mx.{domain} [192.0.2.1]"));
        let ignores_policies = hop.ignores_policies;
        Ok(Box::new(Talk { outside, domain, host, messages: 0, ignores_policies }))
    }
}

struct Talk {
    outside: Outside,
    domain: String,
    host: String,
    messages: u32,
    ignores_policies: bool,
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(open) = self.outside.scene.lock().open.get_mut(&self.domain) {
            *open -= 1;
        }
    }
}

#[async_trait]
impl Conversation for Talk {
    async fn transfer(&mut self, outgoing: &Outgoing) -> Result<Transferred> {
        tokio::time::sleep(self.outside.pace).await;
        self.messages += 1;
        let does = {
            let mut scene = self.outside.scene.lock();
            scene.messages_max = scene.messages_max.max(self.messages);
            scene.does.get(&self.domain).copied().unwrap_or(Does::Take { dsn: false })
        };
        let domain = &self.domain;
        let judge = |local: &str| match (does, local.as_bytes().first()) {
            (Does::Break, _) => {
                let text = "The connection broke".to_owned();
                let status = "4.4.2".to_owned();
                Verdict::Later(Answer { code: 0, status, text, host: Some(self.host.clone()) })
            }
            (Does::Judge, Some(b'f')) => Verdict::Failed(answer(550, domain)),
            (Does::Judge, Some(b't')) => Verdict::Later(answer(451, domain)),
            (Does::Take { dsn }, _) => {
                Verdict::Relayed { answer: answer(250, domain), speaks_dsn: dsn }
            }
            _ => Verdict::Relayed { answer: answer(250, domain), speaks_dsn: true },
        };
        match does {
            Does::HangTransfer => std::future::pending().await,
            Does::Panic => panic!("a scripted crash"),
            Does::Away | Does::Never | Does::HangOpen => {
                return Err(Error::unavailable("the script has changed"));
            }
            _ => {}
        }
        let verdicts: Vec<_> =
            outgoing.recipients.iter().map(|to| judge(&to.address.local)).collect();
        let recipients = outgoing.recipients.iter().zip(&verdicts);
        let recipients = recipients.filter(|(_, how)| matches!(how, Verdict::Relayed { .. }));
        let (recipients, originals): (Vec<_>, Vec<_>) =
            recipients.map(|(to, _)| (to.address.to_string(), to.original.clone())).unzip();
        let resigned = match &outgoing.signer.0 {
            Some(signer) => {
                let message = futures::stream::iter([Ok(Bytes::from_static(CONVERTED))]).boxed();
                String::from_utf8_lossy(&signer.sign(message).await?).into_owned()
            }
            None => String::new(),
        };
        if !recipients.is_empty() {
            self.outside.scene.lock().taken.push(Taken {
                recipients,
                originals,
                needs_smtputf8: outgoing.needs_smtputf8,
                is_8bit: outgoing.is_8bit,
                envelope_id: outgoing.envelope_id.clone(),
                resigned,
                require_tls: outgoing.require_tls,
                ignores_policies: self.ignores_policies,
                segments: outgoing.content.segments.len(),
                content: outgoing.content.clone(),
                notify: outgoing.recipients.iter().map(|to| to.notify).collect(),
                front: match outgoing.content.segments.first() {
                    Some(Segment::Inline(front)) => String::from_utf8_lossy(front).into_owned(),
                    _ => String::new(),
                },
            });
        }
        Ok(Transferred { verdicts, may_go_on: does != Does::Break })
    }

    async fn quit(self: Box<Self>) {}

    fn host(&self) -> &str {
        &self.host
    }
}
