//! The routes of `/api/v1/`, one file per noun, and what they share.

mod attributes;
mod cluster;
mod connectors;
mod contacts;
mod dkim;
mod dns;
mod doctor;
mod domains;
mod groups;
mod logs;
mod mailboxes;
mod member;
mod node;
mod nodes;
mod queue;
mod receive;
mod remote_domains;
mod reporting;
mod restrictions;
mod rules;
mod scanners;
mod settings;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod tracking;

use crate::control::NodeControl;
use crate::health::Health;
use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use base::env::Dns;
use base::{AccountId, Address, Error, Kind, SessionId};
use contract_control::{ClusterAdmin, Control};
use contract_directory::{Account, Directory, DirectoryAdmin, Group, Resolved};
use contract_mailbox::Mailboxes;
use contract_transport::QueueAdmin;
use contract_transport::authentication::SenderPolicies;
use contract_transport::connector::SendConnectors;
use contract_transport::pressure::Pressure;
use contract_transport::receive::ReceiveConnectors;
use contract_transport::remote::RemoteDomains;
use contract_transport::reports::ReportAdmin;
use contract_transport::rule::TransportRules;
use contract_transport::scanner::ScannerSettings;
use contract_transport::scanner::scanning::Scanners;
use contract_transport::setting::OrganisationSettings;
use contract_transport::signing::SigningAdmin;
use contract_transport::tracking::MessageTracking;
pub use logs::NodeLogs;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// What the API administers.
pub struct Admin {
    /// Looking people up.
    pub directory: Arc<dyn Directory>,
    /// Changing the directory.
    pub changes: Arc<dyn DirectoryAdmin>,
    /// The queues.
    pub queue: Arc<dyn QueueAdmin>,
    /// What happened to messages.
    pub tracking: Arc<dyn MessageTracking>,
    /// The ways out of the organisation.
    pub connectors: Arc<dyn SendConnectors>,
    /// The ways in.
    pub receive: Arc<dyn ReceiveConnectors>,
    /// What Rialto sends by itself to domains that are not ours.
    pub remote_domains: Arc<dyn RemoteDomains>,
    /// Reports about authentication and TLS.
    pub reports: Arc<dyn ReportAdmin>,
    /// What is done to mail on its way.
    pub rules: Arc<dyn TransportRules>,
    /// Programs that look at mail before it is accepted.
    pub scanner_settings: Arc<dyn ScannerSettings>,
    /// Whoever speaks with them.
    pub scanners: Arc<dyn Scanners>,
    /// The keys that sign mail of our domains.
    pub signing: Arc<dyn SigningAdmin>,
    /// What domains say of the hosts that send their mail.
    pub policies: Arc<dyn SenderPolicies>,
    /// Who answers questions for names.
    pub names: Arc<dyn Dns>,
    /// Addresses of this installation, as the world sees it.
    pub own_addresses: Vec<IpAddr>,
    /// Mailboxes, for their sizes.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Settings that are one word each.
    pub settings: Arc<dyn OrganisationSettings>,
    /// What this node is short of.
    pub pressure: Arc<dyn Pressure>,
    /// What it tells in files.
    pub logs: NodeLogs,
    /// How this node is.
    pub health: Arc<Health>,
    /// What it can do itself.
    pub node: Arc<dyn NodeControl>,
    /// Which node serves which mailbox.
    pub placement: Arc<dyn Control>,
    /// The cluster that it is in; `None` where it is alone.
    pub cluster: Option<Arc<dyn ClusterAdmin>>,
    /// Names this service's reads.
    pub session: SessionId,
}

/// The API's routes.
pub fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/api/v1/mailboxes", get(mailboxes::list).post(mailboxes::create))
        .route(
            "/api/v1/mailboxes/{address}",
            get(mailboxes::show).patch(mailboxes::change).delete(mailboxes::remove),
        )
        .route("/api/v1/contacts", get(contacts::list).post(contacts::create))
        .route(
            "/api/v1/contacts/{address}",
            get(contacts::show).patch(contacts::change).delete(contacts::remove),
        )
        .route("/api/v1/groups", get(groups::list).post(groups::create))
        .route(
            "/api/v1/groups/{address}",
            get(groups::show).patch(groups::change).delete(groups::remove),
        )
        .route("/api/v1/groups/{address}/members", get(groups::members))
        .route("/api/v1/connectors/send", get(connectors::list).post(connectors::create))
        .route(
            "/api/v1/connectors/send/{name}",
            get(connectors::show).patch(connectors::change).delete(connectors::remove),
        )
        .route("/api/v1/connectors/receive", get(receive::list).post(receive::create))
        .route(
            "/api/v1/connectors/receive/{name}",
            get(receive::show).patch(receive::change).delete(receive::remove),
        )
        .route("/api/v1/rules", get(rules::list).post(rules::create))
        .route(
            "/api/v1/rules/{name}",
            get(rules::show).put(rules::replace).patch(rules::change).delete(rules::remove),
        )
        .route("/api/v1/rule-documents", get(rules::export))
        .route(
            "/api/v1/rule-trials",
            post(rules::trial).layer(DefaultBodyLimit::max(rules::TRIAL_BYTES_MAX)),
        )
        .route("/api/v1/cluster", get(cluster::status))
        .route("/api/v1/cluster/rebalance", post(cluster::rebalance))
        .route("/api/v1/cluster/feature-level", post(cluster::raise_feature_level))
        .route("/api/v1/nodes", get(nodes::list))
        .route("/api/v1/nodes/invitations", post(nodes::invite))
        .route("/api/v1/nodes/{node}", patch(nodes::change).delete(nodes::remove))
        .route("/api/v1/nodes/{node}/drain", post(nodes::drain))
        .route("/api/v1/nodes/{node}/undrain", post(nodes::undrain))
        .route("/api/v1/nodes/{node}/drill", post(nodes::drill))
        .route("/api/v1/node", get(node::about))
        .route("/api/v1/certificate", get(node::certificate))
        .route("/api/v1/certificate/reload", post(node::reload_certificate))
        .route("/api/v1/store", get(node::store_job))
        .route("/api/v1/store/copy", post(node::copy_store))
        .route("/api/v1/store/verify", post(node::verify_store))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/health", get(health))
        .route("/api/v1/pressure", get(pressure))
        .route("/api/v1/logs", get(logs::read))
        .route("/api/v1/settings", get(settings::list))
        .route("/api/v1/settings/{name}", axum::routing::put(settings::set).delete(settings::reset))
        .merge(of_queue())
        .merge(of_domains())
        .merge(of_scanners())
        .with_state(admin)
}

/// The routes of the queues and of what became of messages.
fn of_queue() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/queue", get(queue::list))
        .route("/api/v1/queue/{id}", get(queue::show).delete(queue::remove))
        .route("/api/v1/queue/{id}/retry", post(queue::retry))
        .route("/api/v1/queue/{id}/suspend", post(queue::suspend))
        .route("/api/v1/queue/{id}/resume", post(queue::resume))
        .route("/api/v1/queue/{id}/resubmit", post(queue::resubmit))
        .route("/api/v1/queue/{id}/message", get(queue::export))
        .route("/api/v1/queue-count", get(queue::count))
        .route("/api/v1/trace", get(tracking::search))
        .route("/api/v1/trace/{id}", get(tracking::explain))
        .route("/api/v1/hops", get(queue::hops))
        .route("/api/v1/hops/{hop}/{verb}", post(queue::steer_hop))
}

/// The routes of scanners.
fn of_scanners() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/scanners", get(scanners::list).post(scanners::create))
        .route(
            "/api/v1/scanners/{name}",
            get(scanners::show).patch(scanners::change).delete(scanners::remove),
        )
        .route("/api/v1/scanners/{name}/test", post(scanners::test))
}

/// The routes of accepted domains and what the world is told of them.
fn of_domains() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/domains", get(domains::list).post(domains::create))
        .route("/api/v1/domains/{name}", axum::routing::delete(domains::remove))
        .route("/api/v1/remote-domains", get(remote_domains::list).post(remote_domains::create))
        .route(
            "/api/v1/remote-domains/{pattern}",
            patch(remote_domains::change).delete(remote_domains::remove),
        )
        .route("/api/v1/reporting", get(reporting::show).patch(reporting::change))
        .route("/api/v1/domains/{name}/reports", get(reporting::received))
        .route("/api/v1/domains/{name}/dns", get(dns::show))
        .route("/api/v1/doctor", get(doctor::all))
        .route("/api/v1/doctor/{domain}", get(doctor::one))
        .route("/api/v1/domains/{name}/dkim", get(dkim::list).post(dkim::create))
        .route("/api/v1/domains/{name}/dkim/{selector}", axum::routing::delete(dkim::remove))
        .route("/api/v1/domains/{name}/dkim/{selector}/{verb}", post(dkim::steer))
}

async fn health(asked: Asked) -> impl IntoResponse {
    Json(asked.admin.health.reports().await)
}

/// Get-ResourceThrottling, as it were: what is short, how long it will last, and who waits.
async fn pressure(asked: Asked) -> impl IntoResponse {
    Json(asked.admin.pressure.standing())
}

async fn audit(asked: Asked) -> Answer {
    let records = asked.admin.changes.audit(100).await?;
    let view = |record: &contract_directory::AuditRecord| {
        json!({
            "at_unix_ms": record.at.unix_ms,
            "actor": format!("{:?}", record.actor),
            "action": record.action,
            "target": record.target,
            "parameters": record.parameters,
        })
    };
    Ok(Json(Value::Array(records.iter().map(view).collect())))
}

/// What every list and every change may be asked with.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Options {
    /// List from just after this.
    after: Option<String>,
    /// At most so many; 1,000 where absent.
    limit: Option<usize>,
    /// Check and describe, do nothing.
    #[serde(default)]
    what_if: bool,
    /// Ask a majority, not only what this node knows.
    #[serde(default)]
    fresh: bool,
    /// So many days back.
    days: Option<u32>,
    /// Whether the sender of a removed message is told.
    #[serde(default)]
    tell_sender: bool,
}

impl Options {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(1_000).min(10_000)
    }
}

/// A request: what it is to be done with, and the options it was asked with.
struct Asked {
    admin: Arc<Admin>,
    options: Options,
}

impl Asked {
    fn what_if(&self) -> bool {
        self.options.what_if
    }
}

impl FromRequestParts<Arc<Admin>> for Asked {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        admin: &Arc<Admin>,
    ) -> Result<Self, Self::Rejection> {
        let query = Query::from_request_parts(parts, admin).await;
        let Query(options) = query.map_err(IntoResponse::into_response)?;
        Ok(Self { admin: admin.clone(), options })
    }
}

/// What a handler answers.
type Answer = Result<Json<Value>, Refusal>;

/// A refused request: the error with its HTTP status.
struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = match error.kind {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::AlreadyExists | Kind::Conflict => StatusCode::CONFLICT,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::BadCredentials => StatusCode::UNAUTHORIZED,
            Kind::Invalid | Kind::CannotChange => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Limit => StatusCode::TOO_MANY_REQUESTS,
            Kind::OverQuota | Kind::OutOfSpace => StatusCode::INSUFFICIENT_STORAGE,
            Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable | Kind::Fenced | Kind::Timeout | Kind::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        if status.is_server_error() {
            tracing::warn!(%error, "an administrative request failed");
        }
        let kind = format!("{:?}", error.kind);
        (status, Json(json!({ "error": error.text, "kind": kind }))).into_response()
    }
}

/// What a change would do, for `what_if`.
fn would(what: impl Serialize) -> Answer {
    Ok(Json(json!({ "what_if": true, "would": what })))
}

fn parse_address(text: &str) -> Result<Address, Error> {
    Address::parse_plain(text)
        .ok_or_else(|| Error::invalid(format!("\"{}\" is no address", text.escape_debug())))
}

/// Refuses an address that is taken or in no accepted domain.
async fn check_free(admin: &Admin, address: &Address) -> Result<(), Error> {
    match admin.directory.resolve(address).await? {
        Resolved::Unknown => Ok(()),
        Resolved::Account(_) | Resolved::Group(_) | Resolved::Contact(_) => {
            Err(Error::new(Kind::AlreadyExists, format!("{address} exists already")))
        }
        Resolved::Elsewhere => {
            Err(Error::new(Kind::NotFound, format!("{} is no accepted domain", address.domain)))
        }
    }
}

async fn find_account(admin: &Admin, text: &str) -> Result<Arc<Account>, Error> {
    match admin.directory.resolve(&parse_address(text)?).await? {
        Resolved::Account(account) => Ok(account),
        _ => Err(Error::not_found(format!("The mailbox {text}"))),
    }
}

async fn find_contact(admin: &Admin, text: &str) -> Result<Arc<Account>, Error> {
    match admin.directory.resolve(&parse_address(text)?).await? {
        Resolved::Contact(contact) => Ok(contact),
        _ => Err(Error::not_found(format!("The contact {text}"))),
    }
}

/// Refuses what nodes of an older version could not read.
fn check_level(admin: &Admin, needed: u32) -> Result<(), Error> {
    let level = admin.placement.feature_level();
    if level < needed {
        let text = format!(
            "This needs feature level {needed}, and the cluster is at {level}: raise it, once all \
             nodes are of this version"
        );
        return Err(Error::new(Kind::Conflict, text));
    }
    Ok(())
}

async fn find_group(admin: &Admin, text: &str) -> Result<Arc<Group>, Error> {
    match admin.directory.resolve(&parse_address(text)?).await? {
        Resolved::Group(group) => Ok(group),
        _ => Err(Error::not_found(format!("The group {text}"))),
    }
}

async fn find_accounts(admin: &Admin, texts: &[String]) -> Result<Vec<AccountId>, Error> {
    let mut found = Vec::with_capacity(texts.len());
    for text in texts {
        found.push(find_account(admin, text).await?.id);
    }
    Ok(found)
}
