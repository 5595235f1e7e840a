//! A session up to the point where MAIL can be said: greeting, EHLO, STARTTLS, AUTH.

use crate::answer::{judged, said};
use crate::auth;
use crate::limits::{COMMAND_TIME, GREETING_TIME, LAST_WORDS_TIME};
use crate::logs::Course;
use crate::offer::Offer;
use crate::told::{Fault, Told, no_starttls};
use crate::verdicts::broken;
use crate::wire::{Trouble, Wire};
use base::env::Stream;
use base::logs::Conversation;
use codec_smtp::{Command, EhloResponse, Reply};
use contract_transport::courier::{Answer, TlsLevel};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// How a session is to be begun.
#[derive(Clone)]
pub(crate) struct Terms {
    /// What is said in EHLO.
    pub(crate) helo: String,
    /// How much encryption.
    pub(crate) tls: TlsLevel,
    /// TLS from the first byte.
    pub(crate) implicit_tls: bool,
    /// Not even where STARTTLS is offered: it was tried.
    pub(crate) in_clear: bool,
    /// The client's side of TLS, for `tls`.
    pub(crate) client: Arc<ClientConfig>,
    /// What the host is called in TLS.
    pub(crate) server_name: ServerName<'static>,
    /// The name under which its TLSA records are, which it is called by then (RFC 7672 §8.1).
    pub(crate) base: Option<ServerName<'static>>,
    /// What asks for so much, where it is not our operator: `DANE`, `MTA-STS`.
    pub(crate) policy: Option<&'static str>,
    /// The host must promise to demand TLS of those behind it, too (RFC 8689 §4.2.1).
    pub(crate) require_tls: bool,
    /// Name and password.
    pub(crate) credentials: Option<Arc<(String, String)>>,
    /// What is told of the session, if anything is.
    pub(crate) told: Option<Arc<Told>>,
    /// What it is a part of, for logs.
    pub(crate) course: Arc<Course>,
}

/// A session in which MAIL can be said.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) offer: Offer,
    pub(crate) is_encrypted: bool,
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) answer: Answer,
    /// What is wrong with its encryption, where it is that.
    pub(crate) fault: Option<Fault>,
}

/// Whose doing it is that there is no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The host did not answer, or not in SMTP.
    Silent,
    /// It said "not now".
    NotNow,
    /// It said "never".
    Never,
    /// It offered STARTTLS and could not do it.
    Handshake,
    /// It could not do what our operator asks for.
    Terms,
    /// It could not do what the sender of a message asks for (REQUIRETLS).
    Unsafe,
}

impl Terms {
    /// Whether the session must be encrypted. A password is never given in clear.
    pub(crate) fn must_encrypt(&self) -> bool {
        self.tls != TlsLevel::Opportunistic
            || self.implicit_tls
            || self.require_tls
            || self.credentials.is_some()
    }
}

impl Session {
    /// Begins a session on a fresh connection.
    ///
    /// # Errors
    /// [`Refusal`]; the connection is closed then.
    pub(crate) async fn begin(
        stream: Box<dyn Stream>,
        (host, log): (&str, Option<Box<Conversation>>),
        terms: &Terms,
    ) -> Result<Self, Refusal> {
        let mut wire = Wire::new(stream, host).with_log(log);
        if terms.implicit_tls {
            wire = encrypt(wire, terms).await?;
        }
        let greeting = wire.reply(GREETING_TIME).await.map_err(|trouble| silent(&trouble, host))?;
        if greeting.code() != 220 {
            return Err(turned_away(wire, &greeting).await);
        }
        let (wire, offer) = introduce(wire, terms).await?;
        let mut session = Self { wire, offer, is_encrypted: terms.implicit_tls };
        if !terms.implicit_tls && !terms.in_clear {
            session = session.with_starttls(terms).await?;
        }
        if terms.require_tls && !session.offer.require_tls {
            let text = format!("{host} does not offer REQUIRETLS");
            let goodbye = session.wire.send_commands([&Command::Quit], LAST_WORDS_TIME);
            let _unimportant = goodbye.await;
            let answer = judged(0, "4.7.0", text);
            return Err(Refusal { reason: Reason::Unsafe, answer, fault: None });
        }
        if let Some(credentials) = &terms.credentials {
            session.sign_in(credentials).await?;
        }
        Ok(session)
    }

    /// Encrypts where the terms ask for it, or where it is offered.
    async fn with_starttls(mut self, terms: &Terms) -> Result<Self, Refusal> {
        let host = self.wire.host().to_owned();
        let must = terms.must_encrypt();
        if !self.offer.starttls {
            return if must {
                Err(unencrypted(&host, terms, "it does not offer STARTTLS"))
            } else {
                Ok(self)
            };
        }
        let reply = self.wire.command(&Command::StartTls, COMMAND_TIME).await;
        let reply = reply.map_err(|trouble| silent(&trouble, &host))?;
        if reply.code() != 220 {
            // "Not now" to STARTTLS leaves the session as it was (RFC 3207 §4).
            return if must {
                let text = format!("it answered STARTTLS with {reply}");
                // It may do better another time.
                Err(Refusal { reason: Reason::Terms, ..unencrypted(&host, terms, &text) })
            } else if reply.code() == 421 {
                Err(turned_away(self.wire, &reply).await)
            } else {
                Ok(self)
            };
        }
        let wire = encrypt(self.wire, terms).await?;
        // What was offered in clear counts for nothing any more (RFC 3207 §4.2).
        let (wire, offer) = introduce(wire, terms).await?;
        Ok(Self { wire, offer, is_encrypted: true })
    }

    async fn sign_in(&mut self, credentials: &(String, String)) -> Result<(), Refusal> {
        let host = self.wire.host().to_owned();
        // Whatever is wrong with the password is for our operator to mend, not for senders to hear.
        let terms = |answer| Refusal { reason: Reason::Terms, answer, fault: None };
        match auth::sign_in(&mut self.wire, self.offer, credentials).await {
            Ok(None) => Ok(()),
            Ok(Some(reply)) => Err(terms(said(&reply, &host))),
            Err(auth::Failure::NoMechanism) => {
                let text = format!("{host} offers no way to sign in that we know");
                Err(terms(judged(0, "4.7.0", text)))
            }
            Err(auth::Failure::Trouble(trouble)) => Err(silent(&trouble, &host)),
        }
    }
}

/// EHLO, or HELO for hosts that do not know it (RFC 5321 §3.2).
async fn introduce(mut wire: Wire, terms: &Terms) -> Result<(Wire, Offer), Refusal> {
    let host = wire.host().to_owned();
    let ehlo = Command::Ehlo { name: terms.helo.clone() };
    let reply = wire.command(&ehlo, COMMAND_TIME).await.map_err(|t| silent(&t, &host))?;
    if let Some(response) = EhloResponse::parse(&reply) {
        return Ok((wire, Offer::new(&response)));
    }
    if !reply.is_permanent() {
        return Err(turned_away(wire, &reply).await);
    }
    let helo = Command::Helo { name: terms.helo.clone() };
    let reply = wire.command(&helo, COMMAND_TIME).await.map_err(|t| silent(&t, &host))?;
    if reply.is_positive() {
        return Ok((wire, Offer::default()));
    }
    Err(turned_away(wire, &reply).await)
}

async fn encrypt(wire: Wire, terms: &Terms) -> Result<Wire, Refusal> {
    let host = wire.host().to_owned();
    let encrypted = wire.encrypted(terms.client.clone(), terms.server_name.clone()).await;
    encrypted.map_err(|trouble| match trouble {
        Trouble::Handshake { ref why, fault, is_verdict } => {
            crate::telemetry::handshake_failed();
            let answer = match terms.policy {
                Some(policy) => judged(0, trouble.status(), format!("{host}: {policy}: {why}")),
                None => broken(&trouble, &host),
            };
            let reason = match terms.require_tls && is_verdict {
                true => Reason::Unsafe,
                false => Reason::Handshake,
            };
            Refusal { reason, answer, fault: Some((fault, why.clone())) }
        }
        _ => silent(&trouble, &host),
    })
}

fn silent(trouble: &Trouble, host: &str) -> Refusal {
    Refusal { reason: Reason::Silent, answer: broken(trouble, host), fault: None }
}

fn unencrypted(host: &str, terms: &Terms, why: &str) -> Refusal {
    let policy = terms.policy.map_or(String::new(), |policy| format!("{policy}: "));
    let text = format!("{host}: {policy}encryption is required, but {why}");
    let reason = if terms.require_tls { Reason::Unsafe } else { Reason::Terms };
    Refusal { reason, answer: judged(0, "4.7.4", text), fault: Some(no_starttls()) }
}

/// The host does not want us, now or ever. A goodbye is due (RFC 5321 §3.1), its answer is not.
async fn turned_away(mut wire: Wire, reply: &Reply) -> Refusal {
    let reason = match reply.code() / 100 {
        4 => Reason::NotNow,
        5 => Reason::Never,
        _ => return silent(&Trouble::Unexpected(reply.code()), wire.host()),
    };
    let answer = said(reply, wire.host());
    let goodbye = wire.send_commands([&Command::Quit], LAST_WORDS_TIME);
    let _unimportant = goodbye.await;
    Refusal { reason, answer, fault: None }
}
