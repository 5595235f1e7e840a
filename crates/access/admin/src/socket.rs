//! Serving HTTP: on the local socket, and on the health port.

use axum::Router;
use base::{Error, Result};
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};

/// Serves the API on a socket file until `stop` resolves. The file of an earlier life is replaced;
/// only the owner of the process may open it.
///
/// # Errors
/// [`base::Kind::Unavailable`] if the socket cannot be made.
pub fn serve_socket(
    path: &Path,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<tokio::task::JoinHandle<()>> {
    let wrong = |error: std::io::Error| {
        Error::unavailable(format!("the socket {}: {error}", path.display()))
    };
    if path.exists() {
        std::fs::remove_file(path).map_err(wrong)?;
    }
    let listener = UnixListener::bind(path).map_err(wrong)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
    Ok(tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
        if let Err(error) = served {
            tracing::error!(%error, "the administration socket has stopped");
        }
    }))
}

/// Serves routes on an address until `stop` resolves; gives the address it really got.
///
/// # Errors
/// [`base::Kind::Unavailable`] if the address cannot be listened on.
pub async fn serve_tcp(
    address: SocketAddr,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let wrong = |error: std::io::Error| Error::unavailable(format!("listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
        if let Err(error) = served {
            tracing::error!(%error, "the health port has stopped");
        }
    });
    Ok((bound, task))
}
