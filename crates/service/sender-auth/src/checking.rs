//! A message from its first byte to the verdict, behind the transport contract.

use crate::config::Config;
use crate::dkim::{BodyHash, Canonical, Signature};
use crate::findings::{Findings, Hashes};
use crate::lookups::{self, Claims, ClaimsFound, ClientFound, ascii};
use crate::spf::{self, SpfResult};
use crate::strip;
use async_trait::async_trait;
use base::Deadline;
use base::env::Env;
use bytes::Bytes;
use contract_transport::authentication::{
    Checked, Client, SenderAuthentication, SenderCheck, SenderPolicies,
};
use contract_transport::reports::dmarc::DmarcMessages;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the DNS may take: for the client from the beginning of the message, for the rest from
/// the end of its header. So a name server that hangs holds a session no longer than this.
const LOOKUP_TIME: Duration = Duration::from_secs(10);

/// How many ways of counting one body are followed: an honest message has one or two.
const HASHES_MAX: usize = 4;

/// Checks messages of other servers; cheap to clone.
#[derive(Clone)]
pub struct Authentication {
    shared: Arc<Shared>,
}

/// Makes of the settings at the node's start those that hold for a message.
type Adjust = Box<dyn Fn(&mut Config) + Send + Sync>;

struct Shared {
    config: Config,
    adjust: Option<Adjust>,
    /// Under which nobody else may write results, in lower case.
    own_names: Vec<String>,
    env: Env,
    /// Who counts what comes of messages.
    counting: Option<Arc<dyn DmarcMessages>>,
}

impl Authentication {
    /// Checks with these settings, asking `env.dns`.
    pub fn new(config: Config, env: Env) -> Self {
        Self::begin_with(config, env, None, None)
    }

    /// As [`Authentication::new`], and tells what comes of messages whose author's domain wants
    /// reports (RFC 9990).
    pub fn telling(config: Config, env: Env, counting: Arc<dyn DmarcMessages>) -> Self {
        Self::begin_with(config, env, None, Some(counting))
    }

    /// As [`Authentication::new`], or as [`Authentication::telling`] with `counting`; with each
    /// message `adjust` may change what follows from failures and whether the machine itself is
    /// trusted.
    pub fn adjusted(
        config: Config,
        env: Env,
        adjust: impl Fn(&mut Config) + Send + Sync + 'static,
        counting: Option<Arc<dyn DmarcMessages>>,
    ) -> Self {
        Self::begin_with(config, env, Some(Box::new(adjust)), counting)
    }

    fn begin_with(
        config: Config,
        env: Env,
        adjust: Option<Adjust>,
        counting: Option<Arc<dyn DmarcMessages>>,
    ) -> Self {
        let names = config.own_names.iter().chain([&config.host_name]);
        let own_names = names.map(|name| name.to_ascii_lowercase()).collect();
        Self { shared: Arc::new(Shared { config, adjust, own_names, env, counting }) }
    }
}

impl Shared {
    /// What holds for a message that begins now.
    fn config(&self) -> Config {
        let mut config = self.config.clone();
        if let Some(adjust) = &self.adjust {
            adjust(&mut config);
        }
        config
    }
}

impl SenderAuthentication for Authentication {
    fn begin(&self, client: Client) -> Box<dyn SenderCheck> {
        let shared = self.shared.clone();
        let config = shared.config();
        let wanted = !client.is_trusted && !config.trusts(client.ip);
        let client = Arc::new(client);
        let asking = wanted.then(|| {
            let (shared, client) = (shared.clone(), client.clone());
            let until = Deadline::after(LOOKUP_TIME).instant();
            Task::spawn(async move {
                let now_s = shared.env.clock.now().unix_s();
                let receiver = (shared.config.host_name.as_str(), now_s);
                lookups::client(&*shared.env.dns, &client, receiver, until).await
            })
        });
        Box::new(Check { shared, config, client, asking, read: None, hashes: Vec::new() })
    }
}

#[async_trait]
impl SenderPolicies for Authentication {
    async fn spf(&self, ip: IpAddr, helo: &str, domain: &str) -> &'static str {
        let Shared { config, env, .. } = &*self.shared;
        let unix_s = env.clock.now().unix_s();
        let client = spf::Client { ip, helo, receiver: &config.host_name, unix_s };
        let until = Deadline::after(LOOKUP_TIME).instant();
        let domain = ascii(domain);
        let check = spf::check_host(&*env.dns, &client, "postmaster", &domain);
        let found = tokio::time::timeout_at(until, check).await;
        found.map_or(SpfResult::TempError, |spf| spf.result).word()
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// What came of it; `None` where it broke down.
    async fn result(mut self) -> Option<T> {
        (&mut self.0).await.inspect_err(|error| tracing::warn!(%error, "sender checks")).ok()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One message.
struct Check {
    shared: Arc<Shared>,
    config: Config,
    client: Arc<Client>,
    /// `None` where the client is trusted.
    asking: Option<Task<ClientFound>>,
    read: Option<(Arc<Claims>, Task<ClaimsFound>)>,
    hashes: Vec<((Canonical, Option<u64>), BodyHash)>,
}

impl Check {
    /// Begins the hashes that signatures ask for.
    fn begin_hashes<'a>(&mut self, signatures: impl Iterator<Item = &'a Signature>) {
        for signature in signatures {
            let way = (signature.body_canonical, signature.body_bytes);
            let is_new = !self.hashes.iter().any(|(known, _)| *known == way);
            if is_new && self.hashes.len() < HASHES_MAX {
                self.hashes.push((way, BodyHash::new(way.0, way.1)));
            }
        }
    }

    /// Asks for what the claims need.
    fn ask(&self, claims: Arc<Claims>) -> Task<ClaimsFound> {
        let (shared, client) = (self.shared.clone(), self.client.clone());
        let until = Deadline::after(LOOKUP_TIME).instant();
        Task::spawn(async move {
            let domain = client.sender.as_ref().map_or(&client.helo, |sender| &sender.domain);
            lookups::claims(&*shared.env.dns, &claims, &ascii(domain), until).await
        })
    }
}

#[async_trait]
impl SenderCheck for Check {
    fn header(&mut self, header: Bytes) -> Bytes {
        if self.asking.is_some() {
            let claims = Arc::new(Claims::read(header.clone()));
            let chain = claims.chain.iter().filter_map(|chain| chain.message_signature());
            self.begin_hashes(chain.chain(claims.signatures.iter().flatten()));
            let asking = self.ask(claims.clone());
            self.read = Some((claims, asking));
        }
        strip::strip(header, &self.shared.own_names)
    }

    fn body(&mut self, piece: &[u8]) {
        for (_, hash) in &mut self.hashes {
            hash.push(piece);
        }
    }

    async fn finish(self: Box<Self>) -> Checked {
        let Self { shared, config, client, asking, read, hashes } = *self;
        let (Some(asking), Some((claims, asked))) = (asking, read) else {
            return Checked::default();
        };
        let hashes: Hashes = hashes.into_iter().map(|(way, hash)| (way, hash.finish())).collect();
        let client_found = asking.result().await.unwrap_or_else(|| ClientFound::unknown(&client));
        let claims_found = asked.result().await.unwrap_or_else(|| ClaimsFound::unknown(&claims));
        let findings = Findings {
            config: &config,
            client: &client,
            client_found,
            claims: &claims,
            claims_found,
            hashes,
            now_s: shared.env.clock.now().unix_s(),
            draw: shared.env.random.below(100) as u8,
        };
        let (checked, told) = findings.conclude();
        if let (Some(counting), Some(told)) = (&shared.counting, told) {
            counting.note(told);
        }
        checked
    }
}
