//! One node: configuration in, running services out.

pub(crate) mod certificates;
mod config;
mod housekeeping;
mod services;

pub(crate) use config::{
    Health, Limits, ListenerSection, NodeConfig, NodeSection, Protocol, StoreSection, TlsFiles,
};

use access_admin::{Admin, health_router, serve_socket, serve_tcp};
use access_listener::{CancellationToken, Listener, SessionFactory, TlsSettings};
use base::env::Env;
use base::telemetry::Metrics;
use base::{Deadline, Error, Result, SessionId};
use service_directory::DirectoryService;
use services::Services;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The administration socket in a node's data directory.
pub(crate) const SOCKET: &str = "rialto.sock";

/// How long sessions may take to end when the node stops.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A running node.
pub(crate) struct Node {
    /// Who is who; `rialto dev` makes its first accounts here.
    pub directory: Arc<DirectoryService>,
    services: Services,
    listeners: Vec<Listener>,
    health: Arc<access_admin::Health>,
    stopping: CancellationToken,
}

impl Node {
    /// Starts everything; when this returns, every listener accepts.
    ///
    /// # Errors
    /// What could not be started, and why.
    pub(crate) async fn start(config: NodeConfig) -> Result<Self> {
        config.check()?;
        tracing::info!(node = config.node.name, data = %config.node.data.display(), "starting");
        let env = Env::real();
        let metrics = Metrics::install()?;
        let services = Services::start(&config, &env).await?;
        let health =
            access_admin::Health::new(vec![services.store_probe()], move || metrics.render());
        let stopping = CancellationToken::new();
        Self::serve_admin(&config, &env, &services, &health, &stopping).await?;
        let listeners = Self::listen(&config, &env, &services).await?;
        housekeeping::start(&env, &services, stopping.clone());
        health.set_serving(true);
        let directory = services.directory.clone();
        Ok(Self { directory, services, listeners, health, stopping })
    }

    async fn serve_admin(
        config: &NodeConfig,
        env: &Env,
        services: &Services,
        health: &Arc<access_admin::Health>,
        stopping: &CancellationToken,
    ) -> Result<()> {
        let admin = Arc::new(Admin {
            directory: services.directory.clone(),
            changes: services.directory.clone(),
            queue: services.transport.clone(),
            mailboxes: services.mailboxes.clone(),
            health: health.clone(),
            session: SessionId(env.random.u128()),
        });
        let socket = config.node.data.join(SOCKET);
        let stop = stopping.clone().cancelled_owned();
        serve_socket(&socket, access_admin::router(admin), stop)?;
        if let Some(section) = &config.health {
            let stop = stopping.clone().cancelled_owned();
            serve_tcp(section.address, health_router(health.clone()), stop).await?;
        }
        Ok(())
    }

    async fn listen(config: &NodeConfig, env: &Env, services: &Services) -> Result<Vec<Listener>> {
        let tls = match &config.tls {
            Some(files) => {
                let (chain, key) = files.read()?;
                Some(TlsSettings::from_pem(&chain, &key)?)
            }
            None => None,
        };
        let mut factories: HashMap<Protocol, Arc<dyn SessionFactory>> = HashMap::new();
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for section in &config.listeners {
            let factory = factories
                .entry(section.protocol)
                .or_insert_with(|| services.sessions(config, env, section.protocol))
                .clone();
            let (name, address) = (section.name.clone(), section.address);
            let listener =
                Listener::start(section.config(&config.limits), env, tls.clone(), factory);
            listeners.push(listener.await.map_err(|error| {
                Error::unavailable("").detail(format!("listener {name} on {address}: {error}"))
            })?);
        }
        Ok(listeners)
    }

    /// Drains and stops: no new work, sessions end, actors write what they must, the store closes.
    ///
    /// # Errors
    /// What did not end well; everything else has.
    pub(crate) async fn stop(self) -> Result<()> {
        self.health.set_serving(false);
        let deadline = Deadline::after(DRAIN_TIME);
        let drains = self.listeners.into_iter().map(|listener| listener.drain(deadline));
        futures::future::join_all(drains).await;
        self.stopping.cancel();
        self.services.stop().await
    }
}

/// The wish of somebody that the process stops (SIGTERM or SIGINT).
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on the signals are noted instead of ending the process at once; to be called
    /// before anything is started that must be stopped well.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if signals cannot be received.
    pub(crate) fn note() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::internal)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::internal)?,
        })
    }

    /// Waits for one.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
