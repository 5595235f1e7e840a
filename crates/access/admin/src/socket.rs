//! Serving HTTP: on the local socket, and on the health port.

use axum::Router;
use base::{Error, Result};
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};

/// The longest path that a socket may have on Linux, in bytes (`sockaddr_un` has 108, the last is
/// a zero).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Refuses a path that the system cannot use for a socket, with words that help.
///
/// # Errors
/// [`base::Kind::Invalid`].
pub fn check_socket_path(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().len();
    if bytes <= SOCKET_PATH_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the path of the administration socket {} has {bytes} bytes, and the system allows \
         {SOCKET_PATH_BYTES_MAX}: use a data directory with a shorter name, or a relative one",
        path.display()
    )))
}

/// Serves the API on a socket file until `stop` resolves. The file of an earlier life is replaced;
/// only the owner of the process may open it.
///
/// # Errors
/// [`base::Kind::Unavailable`] if the socket cannot be made; [`base::Kind::Invalid`] for a path
/// that is too long.
pub fn serve_socket(
    path: &Path,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<tokio::task::JoinHandle<()>> {
    let wrong = |error: std::io::Error| {
        Error::unavailable(format!("the socket {}: {error}", path.display()))
    };
    check_socket_path(path)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The longest path that is allowed works, and the next one would not.
    #[tokio::test]
    async fn the_limit_is_the_systems() {
        let dir = std::env::temp_dir().join(format!("rialto-socket-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let room = SOCKET_PATH_BYTES_MAX - dir.as_os_str().len() - 1;
        for (length, works) in [(room, true), (room + 1, false)] {
            let path = dir.join("s".repeat(length));
            assert_eq!(UnixListener::bind(&path).is_ok(), works);
            assert_eq!(check_socket_path(&path).is_ok(), works);
        }
        let long = dir.join("s".repeat(room + 1));
        let error = serve_socket(&long, Router::new(), std::future::pending()).unwrap_err();
        assert!(error.text.contains("shorter name"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
