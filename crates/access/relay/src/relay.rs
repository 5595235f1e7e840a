//! The courier: tries the hosts of a next hop until one is ready for mail.

use crate::Config;
use crate::answer::judged;
use crate::conversation::Talk;
use crate::dead::{Dead, State};
use crate::exchangers::{Exchanger, Finder, NoAddress, Place};
use crate::limits::CONNECT_TIME;
use crate::logs::{Course, Logs};
use crate::secure::{self, Asked};
use crate::session::{Reason, Refusal, Session, Terms};
use crate::sts::Sts;
use crate::telemetry;
use crate::tls::Tls;
use crate::told::Listener;
use async_trait::async_trait;
use base::env::Env;
use base::{Deadline, Error, Result};
use contract_blob::Blobs;
use contract_transport::courier::{
    Answer, Conversation, Courier, Manner, NextHop, TlsLevel, Unreachable,
};
use contract_transport::reports::tls::TlsSessions;
use contract_transport::sts::StsPolicies;
use futures::future::join_all;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// Speaks SMTP to other servers. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Shared>,
}

/// What all conversations share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) tls: Tls,
    pub(crate) sts: Option<Arc<Sts>>,
    pub(crate) listener: Listener,
    dead: Dead,
    logs: OnceLock<Logs>,
}

/// One address of one host, and how to talk there.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// `mx.example.org [192.0.2.1]`.
    pub(crate) host: String,
    pub(crate) terms: Terms,
}

/// What came of the hosts that were tried.
#[derive(Default)]
struct Tally {
    temporary: Option<Answer>,
    permanent: Option<Answer>,
    /// Those that did not answer: several names may have the same address.
    silent: Vec<SocketAddr>,
    /// The search ended at ourselves.
    ours: bool,
}

impl Relay {
    /// A courier that reads messages from `blobs`. `env.dns` must know mail exchangers
    /// ([`Resolver`](crate::Resolver)).
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for certificate authorities that cannot be read.
    pub fn new(config: Config, env: Env, blobs: Arc<dyn Blobs>) -> Result<Self> {
        Self::begin(config, env, blobs, None)
    }

    /// As [`Relay::new`], and it goes by the policies of MTA-STS (RFC 8461) that other domains
    /// publish; those it learns are kept in `policies`.
    ///
    /// # Errors
    /// As [`Relay::new`].
    pub fn with_policies(
        config: Config,
        env: Env,
        blobs: Arc<dyn Blobs>,
        policies: Arc<dyn StsPolicies>,
    ) -> Result<Self> {
        Self::begin(config, env, blobs, Some(policies))
    }

    fn begin(
        config: Config,
        env: Env,
        blobs: Arc<dyn Blobs>,
        policies: Option<Arc<dyn StsPolicies>>,
    ) -> Result<Self> {
        let tls = Tls::new(&config, &env)?;
        let dead = Dead::new(env.clock.clone());
        let client = tls.client(TlsLevel::Domain, None)?;
        let listener = Listener::default();
        let is_closed_network = config.local_exchangers;
        let sts = policies.map(|kept| {
            let env = env.clone();
            Arc::new(Sts::new(env, client, is_closed_network, (kept, listener.clone())))
        });
        let logs = OnceLock::new();
        Ok(Self { shared: Arc::new(Shared { config, env, blobs, tls, sts, listener, dead, logs }) })
    }

    /// From now on conversations are logged there. What was set first stays.
    pub fn log_to(&self, logs: Logs) {
        self.shared.logs.get_or_init(|| logs);
    }

    /// Tells from now on how sessions with the exchangers of domains go (RFC 8460); the first to
    /// ask for it is told.
    pub fn tell(&self, sessions: Arc<dyn TlsSessions>) {
        self.shared.listener.begin(sessions);
    }

    /// Fetches policies of MTA-STS again that are kept and run out, and forgets those that have
    /// (RFC 8461 §10.2): one node now and then is enough.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_policies(&self) -> Result<()> {
        match &self.shared.sts {
            Some(sts) => sts.refresh().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Courier for Relay {
    async fn open(
        &self,
        hop: &NextHop,
        manner: &Manner,
        deadline: Deadline,
    ) -> std::result::Result<Box<dyn Conversation>, Unreachable> {
        let way = Way { hop: hop.clone(), manner: manner.clone(), require_tls: false };
        Ok(Box::new(self.shared.open(way, deadline).await?))
    }
}

/// Where a conversation leads, and how safe it has to be.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) hop: NextHop,
    pub(crate) manner: Manner,
    /// For messages whose senders want TLS wherever they go.
    pub(crate) require_tls: bool,
}

impl Shared {
    /// As [`Courier::open`].
    pub(crate) async fn open(
        self: &Arc<Self>,
        way: Way,
        deadline: Deadline,
    ) -> std::result::Result<Talk, Unreachable> {
        let mut tally = Tally::default();
        let course = Course::begin(&way.hop, self.logs.get(), &self.env);
        let search = Box::pin(self.search(&way, &course, &mut tally));
        let opened = match tokio::time::timeout_at(deadline.instant(), search).await {
            Ok(Ok(Some((session, target)))) => Ok(Talk::new(self.clone(), way, session, target)),
            Ok(Ok(None)) => Err(tally.sum(&way.hop)),
            Ok(Err(unreachable)) => Err(unreachable),
            // What the hosts said so far tells more than that the time is over.
            Err(_) => Err(Unreachable::Later(tally.temporary.unwrap_or_else(|| {
                judged(0, "4.4.1", "no host was reached in the time there was")
            }))),
        };
        match &opened {
            Ok(_) => {}
            Err(Unreachable::Later(answer)) => course.note(format_args!("later: {}", answer.text)),
            Err(Unreachable::Never(answer)) => course.note(format_args!("never: {}", answer.text)),
        }
        opened
    }

    async fn search(
        &self,
        way: &Way,
        course: &Arc<Course>,
        tally: &mut Tally,
    ) -> std::result::Result<Option<(Session, Target)>, Unreachable> {
        let Way { hop, manner, require_tls } = way;
        let finder = Finder::new(&self.config, &self.env, &hop.destination);
        let terms = self.terms(manner, course).map_err(|error| {
            Unreachable::Later(judged(0, "4.3.5", format!("the connector cannot be used: {error}")))
        })?;
        let terms = Terms { require_tls: *require_tls, ..terms };
        let exchangers = finder.exchangers(&hop.destination, manner.port).await?;
        let names = exchangers.groups.iter().flatten().map(|host| host.name.as_str());
        course.note(names.collect::<Vec<_>>().join(" "));
        let asked = Asked::new(hop, &exchangers);
        for group in exchangers.groups {
            let found = join_all(group.iter().map(|host| finder.addresses(host))).await;
            // Hosts as good as we are, and worse ones, would only send it back.
            if found.contains(&Err(NoAddress::Ours)) {
                tally.ours = true;
                break;
            }
            for (exchanger, place) in group.iter().zip(found) {
                let place = match place {
                    Ok(place) => self.by_health(place, exchanger, finder.is_domain, tally),
                    Err(NoAddress::Nowhere(answer)) if finder.is_domain => {
                        tally.permanent = Some(answer);
                        continue;
                    }
                    Err(NoAddress::Nowhere(answer) | NoAddress::Unknown(answer)) => {
                        tally.temporary = Some(answer);
                        continue;
                    }
                    Err(NoAddress::Ours) => continue,
                };
                if let Some(reached) =
                    Box::pin(self.host(exchanger, &place, &terms, &asked, tally)).await
                {
                    return Ok(Some(reached));
                }
            }
        }
        Ok(None)
    }

    /// The addresses of one host, as what it publishes asks for.
    async fn host(
        &self,
        exchanger: &Exchanger,
        place: &Place,
        terms: &Terms,
        asked: &Asked<'_>,
        tally: &mut Tally,
    ) -> Option<(Session, Target)> {
        if place.addresses.is_empty() {
            return None;
        }
        let terms = match self.secured(exchanger, place, terms, asked).await {
            Ok(terms) => terms,
            Err(answer) => {
                tracing::info!(host = exchanger.name, why = answer.text, "a host is left out");
                terms.course.note(format_args!("left out: {}", answer.text));
                match answer.code {
                    500.. => tally.permanent = Some(answer),
                    _ => tally.temporary = Some(answer),
                }
                return None;
            }
        };
        for address in &place.addresses {
            if tally.silent.contains(address) {
                continue;
            }
            match self.attempt(Target::new(exchanger, *address, &terms)).await {
                Ok(reached) => return Some(reached),
                // A smart host that wants us no more is for our operator to mend.
                Err(Refusal { reason: Reason::Never, answer, .. }) if asked.domain.is_some() => {
                    tally.permanent = Some(answer);
                }
                Err(Refusal { reason: Reason::Unsafe, answer, .. }) => {
                    tally.permanent = Some(secure::unsafe_here(&answer.text));
                }
                Err(refusal) => {
                    if refusal.reason == Reason::Silent {
                        tally.silent.push(*address);
                    }
                    tally.temporary = Some(refusal.answer);
                }
            }
        }
        None
    }

    /// Good addresses first; dead ones are left out, but for those of smart hosts: a domain's
    /// exchanger may be waited for by a thousand domains, a smart host by its connector alone, and
    /// who mends it says so at once.
    fn by_health(
        &self,
        Place { addresses, bases }: Place,
        exchanger: &Exchanger,
        is_domain: bool,
        tally: &mut Tally,
    ) -> Place {
        let mut rated: Vec<(State, SocketAddr)> = Vec::with_capacity(addresses.len());
        for address in addresses {
            match self.dead.state(address) {
                State::Dead if is_domain => {
                    let name = &exchanger.name;
                    let text = format!("{name} [{}] did not answer a moment ago", address.ip());
                    tally.temporary.get_or_insert_with(|| judged(0, "4.4.1", text));
                }
                state => rated.push((state, address)),
            }
        }
        rated.sort_by_key(|(state, _)| *state);
        Place { addresses: rated.into_iter().map(|(_, address)| address).collect(), bases }
    }

    /// One address; a second time in clear where encryption was only an attempt and went wrong
    /// (RFC 7435 §3).
    async fn attempt(&self, target: Target) -> Result<(Session, Target), Refusal> {
        match self.connect(&target).await {
            Err(Refusal { reason: Reason::Handshake, answer, .. })
                if !target.terms.must_encrypt() =>
            {
                tracing::info!(host = target.host, why = answer.text, "goes on without encryption");
                let terms = Terms { in_clear: true, ..target.terms.clone() };
                let target = Target { terms, ..target };
                self.connect(&target).await.map(|session| (session, target))
            }
            outcome => outcome.map(|session| (session, target)),
        }
    }

    /// Connects and begins a session.
    pub(crate) async fn connect(&self, target: &Target) -> Result<Session, Refusal> {
        let course = &target.terms.course;
        let connecting = self.env.network.connect(target.address);
        let session = match tokio::time::timeout(CONNECT_TIME, connecting).await {
            Ok(Ok(stream)) => {
                let log = course.conversation(target.address);
                Session::begin(stream, (&target.host, log), &target.terms).await
            }
            outcome => {
                let why = match outcome {
                    Ok(Err(error)) => error.to_string(),
                    _ => "no answer".to_owned(),
                };
                let text = format!("{} could not be reached: {why}", target.host);
                Err(Refusal {
                    reason: Reason::Silent,
                    answer: judged(0, "4.4.1", text),
                    fault: None,
                })
            }
        };
        match &session {
            Ok(ready) => {
                let tls =
                    ready.wire.tls().map_or("no TLS".to_owned(), |version| version.to_owned());
                course.note(format_args!("established with {}, {tls}", target.host));
            }
            Err(refusal) => course.note(&refusal.answer.text),
        }
        match session.as_ref().map_err(|refusal| refusal.reason) {
            Err(Reason::Silent) => self.dead.failed(target.address),
            _ => self.dead.answered(target.address),
        }
        let result = match session.as_ref().map_err(|refusal| refusal.reason) {
            Ok(_) => "ready",
            Err(Reason::Silent) => "silent",
            Err(Reason::NotNow | Reason::Never) => "refused",
            Err(Reason::Handshake) => "handshake",
            Err(Reason::Terms | Reason::Unsafe) => "terms",
        };
        telemetry::attempted(course.connector(), result);
        // In clear is a second attempt at what has been told already.
        if let Some(told) = target.terms.told.as_ref().filter(|_| !target.terms.in_clear) {
            self.listener.session(told, target.address.ip(), session.as_ref());
        }
        session
    }

    /// As far as they do not depend on the host.
    fn terms(&self, manner: &Manner, course: &Arc<Course>) -> Result<Terms> {
        let client = self.tls.client(manner.tls, manner.tls_domain.as_deref())?;
        let nobody = ServerName::try_from("localhost").map_err(Error::internal)?;
        Ok(Terms {
            helo: manner.helo.clone().unwrap_or_else(|| self.config.host_name.clone()),
            tls: manner.tls,
            implicit_tls: manner.implicit_tls,
            in_clear: false,
            client,
            server_name: nobody,
            base: None,
            policy: None,
            require_tls: false,
            credentials: manner.credentials.clone().map(Arc::new),
            told: None,
            course: course.clone(),
        })
    }
}

impl Target {
    fn new(exchanger: &Exchanger, address: SocketAddr, terms: &Terms) -> Self {
        let ip = address.ip();
        let host = match exchanger.name.parse::<std::net::IpAddr>() {
            Ok(literal) if ip == literal => format!("[{ip}]"),
            _ => format!("{} [{ip}]", exchanger.name),
        };
        let named = || ServerName::try_from(exchanger.name.clone()).ok();
        let server_name = terms.base.clone().or_else(named);
        let server_name = server_name.unwrap_or(ServerName::IpAddress(ip.into()));
        Self { address, host, terms: Terms { server_name, ..terms.clone() } }
    }
}

impl Tally {
    /// Temporary as soon as anything may be different later.
    fn sum(self, hop: &NextHop) -> Unreachable {
        match (self.temporary, self.permanent) {
            (Some(answer), _) => Unreachable::Later(answer),
            (None, Some(answer)) => Unreachable::Never(answer),
            (None, None) if self.ours => {
                let text = "the best host for this domain is ourselves: mail would go in circles";
                Unreachable::Never(judged(550, "5.4.6", text))
            }
            (None, None) => {
                let text = format!("the connector {} names no host", hop.connector);
                Unreachable::Later(judged(0, "4.4.4", text))
            }
        }
    }
}
