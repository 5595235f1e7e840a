//! `[authentication]`: what follows from what other domains say of mail that bears their names.

use super::NodeConfig;
use base::env::Env;
use contract_transport::reports::dmarc::DmarcMessages;
use serde::{Deserialize, Serialize};
use service_sender_auth::{Action, Authentication, Config};
use std::sync::Arc;

/// `[authentication]`.
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthenticationSection {
    /// What is done with mail that fails DMARC where its author's domain asks for something.
    pub dmarc: ActionWord,
    /// What is done with mail from hosts that the sender's domain forbids to send it.
    pub spf: ActionWord,
    /// Whether mail from the machine itself is checked as well.
    pub check_loopback: bool,
}

impl Default for AuthenticationSection {
    fn default() -> Self {
        Self { dmarc: ActionWord::Enforce, spf: ActionWord::Report, check_loopback: false }
    }
}

/// [`Action`], as it is written in the file.
#[derive(Deserialize, Serialize, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionWord {
    /// What the domain asks for.
    Enforce,
    /// Junk Email instead of a refusal.
    Quarantine,
    /// Nothing but the trace header.
    Report,
}

impl From<ActionWord> for Action {
    fn from(word: ActionWord) -> Self {
        match word {
            ActionWord::Enforce => Self::Enforce,
            ActionWord::Quarantine => Self::Quarantine,
            ActionWord::Report => Self::Report,
        }
    }
}

impl AuthenticationSection {
    /// Whoever checks mail from other servers.
    pub(crate) fn checks(&self, node: &NodeConfig, env: &Env) -> Arc<Authentication> {
        let (config, env) = self.parts(node, env);
        Arc::new(Authentication::new(config, env))
    }

    /// As [`checks`](Self::checks), and tells what comes of it.
    pub(crate) fn telling(
        &self,
        node: &NodeConfig,
        env: &Env,
        counting: Arc<dyn DmarcMessages>,
    ) -> Arc<Authentication> {
        let (config, env) = self.parts(node, env);
        Arc::new(Authentication::telling(config, env, counting))
    }

    fn parts(&self, node: &NodeConfig, env: &Env) -> (Config, Env) {
        let config = Config {
            own_names: node.outbound.own_names.clone(),
            dmarc: self.dmarc.into(),
            spf: self.spf.into(),
            trusts_loopback: !self.check_loopback,
            ..Config::new(node.node.host_name.clone())
        };
        (config, Env { dns: node.outbound.names(env), ..env.clone() })
    }
}
