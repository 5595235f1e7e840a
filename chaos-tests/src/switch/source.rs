//! Who dials: all nodes of a world come from 127.0.0.1, but the kernel knows which process a socket
//! belongs to (proc(5), `/proc/net/tcp` and `/proc/PID/fd`).

use super::rules::Party;
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// The processes of a world as they are now; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Processes(Arc<Mutex<BTreeMap<Party, u32>>>);

impl Processes {
    /// Sets or forgets a party's process.
    pub fn set(&self, party: Party, pid: Option<u32>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => all.insert(party, pid),
            None => all.remove(&party),
        };
    }

    /// A party's process.
    #[must_use]
    pub fn get(&self, party: Party) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&party).copied()
    }

    fn all(&self) -> BTreeMap<Party, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whose socket is at the other end of a connection from `peer` to a port of ours. `None` where it
/// is nobody's of the world, or gone already.
#[must_use]
pub fn of(processes: &Processes, peer: SocketAddr, port: u16) -> Option<Party> {
    let inode = inode_of(&fs::read_to_string("/proc/net/tcp").ok()?, peer, port)?;
    let name = format!("socket:[{inode}]");
    let owns = |pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| link.as_os_str() == name.as_str())
    };
    processes.all().into_iter().find(|(_, pid)| owns(*pid)).map(|(party, _)| party)
}

/// The inode of the socket whose own end is `peer` and whose other end is our port.
fn inode_of(table: &str, peer: SocketAddr, port: u16) -> Option<u64> {
    let IpAddr::V4(address) = peer.ip() else {
        return None;
    };
    // The kernel prints the address as a number of the machine's own byte order.
    let own = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.octets()), peer.port());
    let other = format!(":{port:04X}");
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_it = words.next()? == own && words.next()?.ends_with(&other);
        is_it.then(|| words.nth(6)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode\n   0: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 \
                     00:00000000 00000000     0        0 4711 1 0000000000000000 20 4 30 10 -1\n";
        let peer = |port| SocketAddr::from(([127, 0, 0, 1], port));
        if cfg!(target_endian = "little") {
            assert_eq!(inode_of(table, peer(40_000), 8_080), Some(4_711));
        }
        assert_eq!(inode_of(table, peer(40_001), 8_080), None);
        assert_eq!(inode_of(table, peer(40_000), 8_081), None);
    }

    #[test]
    fn our_own_sockets_are_ours_and_nobody_elses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let peer = stream.local_addr().unwrap();
        let processes = Processes::default();
        assert_eq!(of(&processes, peer, port), None);
        processes.set(Party::Node(2), Some(std::process::id()));
        assert_eq!(of(&processes, peer, port), Some(Party::Node(2)));
        processes.set(Party::Node(2), None);
        assert_eq!(of(&processes, peer, port), None);
    }
}
