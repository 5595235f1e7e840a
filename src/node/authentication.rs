//! `[authentication]`: what follows from what other domains say of mail that bears their names.

use super::NodeConfig;
use base::env::Env;
use contract_transport::reports::dmarc::DmarcMessages;
use contract_transport::setting::{CHECK_LOOPBACK, DMARC, OrganisationSettings, SPF};
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
    /// Whoever checks mail from other servers: as the settings of the organisation say, and as this
    /// file does where they say nothing.
    pub(crate) fn checks(
        &self,
        node: &NodeConfig,
        env: &Env,
        settings: Arc<dyn OrganisationSettings>,
    ) -> Arc<Authentication> {
        self.begin(node, env, settings, None)
    }

    /// As [`checks`](Self::checks), and tells what comes of it.
    pub(crate) fn telling(
        &self,
        node: &NodeConfig,
        env: &Env,
        settings: Arc<dyn OrganisationSettings>,
        counting: Arc<dyn DmarcMessages>,
    ) -> Arc<Authentication> {
        self.begin(node, env, settings, Some(counting))
    }

    fn begin(
        &self,
        node: &NodeConfig,
        env: &Env,
        settings: Arc<dyn OrganisationSettings>,
        counting: Option<Arc<dyn DmarcMessages>>,
    ) -> Arc<Authentication> {
        let config = Config {
            own_names: node.outbound.own_names.clone(),
            dmarc: self.dmarc.into(),
            spf: self.spf.into(),
            trusts_loopback: !self.check_loopback,
            ..Config::new(node.node.host_name.clone())
        };
        let env = Env { dns: node.outbound.names(env), ..env.clone() };
        let adjust = move |config: &mut Config| adjust(config, &*settings);
        Arc::new(Authentication::adjusted(config, env, adjust, counting))
    }
}

/// Puts what the organisation has set in place of what the file says.
fn adjust(config: &mut Config, settings: &dyn OrganisationSettings) {
    let action = |name| {
        Some(match settings.setting(name)?.as_str() {
            "enforce" => Action::Enforce,
            "quarantine" => Action::Quarantine,
            "report" => Action::Report,
            _ => return None,
        })
    };
    config.dmarc = action(DMARC).unwrap_or(config.dmarc);
    config.spf = action(SPF).unwrap_or(config.spf);
    if let Some(check) = settings.setting(CHECK_LOOPBACK) {
        config.trusts_loopback = check != "on";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use base::Result;
    use contract_directory::Actor;
    use contract_transport::setting::{KNOWN, Setting};

    /// What the organisation has set.
    struct Fixed(&'static [(&'static str, &'static str)]);

    #[async_trait]
    impl OrganisationSettings for Fixed {
        fn setting(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }

        async fn settings(&self) -> Result<Vec<Setting>> {
            Ok(Vec::new())
        }

        async fn set(&self, _: &Actor, _: Setting) -> Result<()> {
            Ok(())
        }

        async fn reset(&self, _: &Actor, _: &str) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_file_holds_where_the_organisation_says_nothing() {
        let check = |set: &'static [(&str, &str)], expect: (Action, Action, bool)| {
            let file = Config { spf: Action::Quarantine, ..Config::new("h.example") };
            let mut config = file.clone();
            adjust(&mut config, &Fixed(set));
            assert_eq!((config.dmarc, config.spf, config.trusts_loopback), expect, "{set:?}");
        };
        check(&[], (Action::Enforce, Action::Quarantine, true));
        check(&[(DMARC, "report")], (Action::Report, Action::Quarantine, true));
        check(
            &[(SPF, "enforce"), (CHECK_LOOPBACK, "on")],
            (Action::Enforce, Action::Enforce, false),
        );
        check(&[(CHECK_LOOPBACK, "off"), (SPF, "?")], (Action::Enforce, Action::Quarantine, true));
    }

    /// Every word that can be set means something here.
    #[test]
    fn all_words_are_known() {
        let known = KNOWN.iter().find(|known| known.name == DMARC);
        let words = known.map(|known| known.values).unwrap_or_default();
        let action = |word: &&'static str| {
            let mut config = Config::new("h.example");
            let set = Box::leak(Box::new([(DMARC, *word)]));
            adjust(&mut config, &Fixed(set));
            config.dmarc
        };
        let actions: Vec<_> = words.iter().map(action).collect();
        assert_eq!(actions, [Action::Enforce, Action::Quarantine, Action::Report]);
    }
}
