//! Whether anything listens where a simulator should: asked without being anybody there.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};

/// A header and half a message number: no simulator answers that, and none minds it.
const NOTHING: [u8; 7] = [0, 0, 0, 0, 0, 0, 0xFF];

/// Between two datagrams: the system tells of a closed port by the answer to the first.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether a TCP connection to `host:port` is accepted; why not, if not.
///
/// # Errors
/// Why it is not, in words.
pub async fn accepts(authority: &str, within: Duration) -> Result<(), String> {
    match tokio::time::timeout(within, TcpStream::connect(authority)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {within:?}")),
    }
}

/// Whether the system says that nobody listens on a UDP port. A port that is silent is not told
/// from an open one.
pub async fn is_closed(port: SocketAddr) -> bool {
    let own: SocketAddr = match port.ip().is_loopback() {
        true => ([127, 0, 0, 1], 0).into(),
        false => ([0, 0, 0, 0], 0).into(),
    };
    let Ok(socket) = UdpSocket::bind(own).await else { return false };
    if socket.connect(port).await.is_err() {
        return false;
    }
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    for _ in 0..2 {
        if socket.send(&NOTHING).await.is_err_and(refused) {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_was_given_up_is_closed() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap();
        assert!(!is_closed(port).await);
        drop(socket);
        assert!(is_closed(port).await);
    }

    #[tokio::test]
    async fn nobody_accepts_on_a_port_that_was_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let within = Duration::from_secs(5);
        assert_eq!(accepts(&authority, within).await, Ok(()));
        drop(listener);
        assert!(accepts(&authority, within).await.unwrap_err().contains("refused"));
    }
}
