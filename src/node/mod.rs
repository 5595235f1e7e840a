//! One node: configuration in, running services out.

mod audit;
pub(crate) mod authentication;
mod certificate;
pub(crate) mod certificates;
mod check;
mod config;
mod control;
mod data_dir;
mod housekeeping;
mod jobs;
mod logs;
mod membership;
pub(crate) mod outbound;
mod pid;
mod services;
pub(crate) mod store;

pub(crate) use config::{
    ClusterSection, Health, Limits, ListenerSection, NodeConfig, NodeSection, Protocol,
    StoreSection, TlsFiles, WEIGHT,
};
pub(crate) use data_dir::ensure as ensure_data_dir;
pub(crate) use membership::VERSION;
pub(crate) use pid::PidFile;

use access_admin::{Admin, health_router, serve_socket, serve_tcp};
use access_listener::{CancellationToken, Listener};
use base::env::{DiskLock, Env};
use base::telemetry::Metrics;
use base::{Deadline, Error, Result, SessionId};
use certificate::CertificateKeeper;
use contract_directory::DirectoryAdmin;
use control::Control;
use jobs::StoreJobs;
use service_directory::DirectoryService;
use services::Services;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The administration socket in a node's data directory.
pub(crate) const SOCKET: &str = "rialto.sock";

/// How long sessions may take to end when the node stops.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// How long a node that stops may take to hand over what it owns, beside its sessions' end.
const LEAVE_TIME: Duration = Duration::from_secs(15);

/// What becomes of what a node owns when it stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parting {
    /// The others go on: it is handed over to them.
    HandOver,
    /// The others stop, too.
    Drop,
}

/// A running node.
pub(crate) struct Node {
    /// Who is who; `rialto dev` makes its first accounts here.
    pub directory: Arc<DirectoryService>,
    services: Services,
    listeners: Vec<Listener>,
    health: Arc<access_admin::Health>,
    stopping: CancellationToken,
    _pid: Option<PidFile>,
    _lock: Box<dyn DiskLock>,
}

impl Node {
    /// Starts everything; when this returns, every listener accepts.
    ///
    /// # Errors
    /// What could not be started, and why.
    pub(crate) async fn start(config: NodeConfig) -> Result<Self> {
        let env = Env::real();
        config.check(env.clock.now())?;
        tracing::info!(node = config.node.name, data = %config.node.data.display(), "starting");
        data_dir::ensure(&config.node.data)?;
        let lock = store::lock_data(&config.node.data, &env)?;
        let pid =
            config.cluster.is_some().then(|| PidFile::write(&config.node.data)).transpose()?;
        let metrics = Metrics::install()?;
        let services = Services::start(&config, &env).await?;
        let probes = [
            Some(services.store_probe()),
            services.membership.probe(),
            Some(services.scanner_probe()),
            Some(services.pressure_probe()),
        ];
        let probes = probes.into_iter().flatten().collect();
        let health = access_admin::Health::new(probes, move || metrics.render());
        let stopping = CancellationToken::new();
        let keep = |files| CertificateKeeper::open(files, &env);
        let certificate = config.tls.clone().map(keep).transpose()?;
        let jobs = StoreJobs::new(
            env.clone(),
            services.backend.clone(),
            services.gate.clone(),
            config.store_place(),
        );
        let about = control::about(&config);
        let control = Arc::new(Control { about, certificate: certificate.clone(), jobs });
        Self::serve_admin(&config, &env, &services, (&health, control), &stopping).await?;
        // Administration is there before: it says why a cluster does not come together.
        services.membership.begin().await?;
        let listeners = Self::listen(&config, &env, &services, certificate.as_deref()).await?;
        if let Some(certificate) = certificate {
            // A terminal that is closed ends `rialto dev`; a server is told to read anew.
            let is_server = config.file.is_some();
            let hangups = is_server.then(|| signal(SignalKind::hangup())).transpose();
            let hangups = hangups.map_err(Error::internal)?;
            tokio::spawn(certificate.watch(hangups, stopping.clone()));
        }
        housekeeping::start(&env, &services, stopping.clone());
        health.set_serving(true);
        let directory = services.directory.clone();
        Ok(Self { directory, services, listeners, health, stopping, _pid: pid, _lock: lock })
    }

    async fn serve_admin(
        config: &NodeConfig,
        env: &Env,
        services: &Services,
        (health, control): (&Arc<access_admin::Health>, Arc<Control>),
        stopping: &CancellationToken,
    ) -> Result<()> {
        let changes: Arc<dyn DirectoryAdmin> = services.directory.clone();
        services.membership.audit_joins(&changes);
        let admin = Arc::new(Admin {
            directory: services.directory.clone(),
            cluster: services.membership.admin(&changes),
            changes,
            queue: services.transport.clone(),
            tracking: services.transport.clone(),
            connectors: services.transport.clone(),
            rules: services.transport.clone(),
            scanner_settings: services.transport.clone(),
            scanners: Arc::new(services.scanners.clone()),
            signing: services.transport.clone(),
            names: config.outbound.checked_names(env)?,
            policies: config.authentication.checks(config, env, services.transport.clone()),
            own_addresses: config.outbound.own_addresses.clone(),
            receive: services.transport.clone(),
            remote_domains: services.transport.clone(),
            reports: services.transport.clone(),
            mailboxes: services.mailboxes.clone(),
            settings: services.transport.clone(),
            pressure: services.pressure.clone(),
            logs: services.readable_logs(),
            health: health.clone(),
            node: control,
            placement: services.membership.control(),
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

    async fn listen(
        config: &NodeConfig,
        env: &Env,
        services: &Services,
        certificate: Option<&CertificateKeeper>,
    ) -> Result<Vec<Listener>> {
        let tls = certificate.map(CertificateKeeper::settings);
        let sessions = services.sessions(config, env);
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for section in &config.listeners {
            let factory = sessions.at(section);
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
    /// Sessions that do not end by themselves are ended; meanwhile what the node owns goes to
    /// others, if there are any. Takes at most [`DRAIN_TIME`] (in a cluster [`LEAVE_TIME`]) and
    /// what [`Services::stop`] takes.
    ///
    /// # Errors
    /// If the store could not be closed well. Actors that are late are no error: what they have
    /// acknowledged is durable, and what they were doing is done again after the next start.
    pub(crate) async fn stop(self, parting: Parting) -> Result<()> {
        self.health.set_serving(false);
        let deadline = Deadline::after(DRAIN_TIME);
        let drains = self.listeners.into_iter().map(|listener| listener.drain(deadline));
        let leave = async {
            if parting == Parting::HandOver {
                self.services.membership.leave(Deadline::after(LEAVE_TIME)).await;
            }
        };
        let (cut, ()) = tokio::join!(futures::future::join_all(drains), leave);
        let cut: usize = cut.into_iter().sum();
        if cut > 0 {
            tracing::warn!(sessions = cut, "sessions did not end in time and were ended");
        }
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
