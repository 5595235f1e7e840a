//! One message to one scanner: connecting, and the client of what it speaks.

use crate::clamd;
use crate::message::Message;
use crate::milter;
use crate::outcome::{Answer, Trouble};
use crate::rspamd;
use base::env::{Env, Stream};
use contract_transport::scanner::{Language, Scanner, ScannerPlace};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long connecting may take: a scanner is near.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;

/// A scanner, and the world in which it is.
#[derive(Clone, Copy)]
pub(crate) struct Target<'t> {
    pub(crate) env: &'t Env,
    pub(crate) scanner: &'t Scanner,
}

impl Target<'_> {
    /// What it is called where that matters.
    pub(crate) fn host(&self) -> &str {
        match &self.scanner.place {
            ScannerPlace::Tcp { host, .. } => host,
            ScannerPlace::Unix(_) => "localhost",
        }
    }
}

/// Shows it a message.
pub(crate) async fn ask(target: Target<'_>, message: &Message<'_>) -> Result<Answer, Trouble> {
    let stream = connect(target).await?;
    match target.scanner.language {
        Language::Clamd => clamd::scan(stream, message, target.scanner.on_found).await,
        Language::Rspamd => {
            let how = (target.host(), target.scanner.on_found);
            rspamd::scan(stream, message, how).await
        }
        Language::Milter => milter::scan(stream, message).await,
    }
}

/// A connection to it.
pub(crate) async fn connect(target: Target<'_>) -> Result<Box<dyn Stream>, Trouble> {
    let network = &target.env.network;
    let connecting = async {
        match &target.scanner.place {
            ScannerPlace::Unix(path) => {
                network.connect_local(Path::new(path)).await.map_err(|error| not_reached(&error))
            }
            ScannerPlace::Tcp { host, port } => {
                let found = target.env.dns.addresses(host).await;
                let found = found.map_err(|error| Trouble::NotReached(format!("{error:?}")))?;
                let mut last = Trouble::NotReached("its name has no address".to_owned());
                for ip in found.records.into_iter().take(ADDRESSES_MAX) {
                    match network.connect(SocketAddr::new(ip, *port)).await {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = not_reached(&error),
                    }
                }
                Err(last)
            }
        }
    };
    let late = || Err(Trouble::NotReached("nobody answered".to_owned()));
    tokio::time::timeout(CONNECT_TIME, connecting).await.unwrap_or_else(|_| late())
}

fn not_reached(error: &io::Error) -> Trouble {
    Trouble::NotReached(error.kind().to_string())
}
