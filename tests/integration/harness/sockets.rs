//! The TCP sockets of a process.

use std::collections::HashSet;
use std::fs;

/// A state of a TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpState {
    Established,
    Listen,
}

impl TcpState {
    /// Returns its number in the tables (Linux, `include/net/tcp_states.h`).
    fn code(self) -> &'static str {
        match self {
            Self::Established => "01",
            Self::Listen => "0A",
        }
    }
}

/// Counts the sockets of a process in this state.
pub(crate) fn tcp_sockets(process: u32, state: TcpState) -> usize {
    let links = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()?.into_os_string().into_string().ok());
    let inodes: HashSet<String> =
        links.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{process}/net/{name}")));
    // Columns of proc_net_tcp(5): 3 is the state, 9 is the inode.
    let rows = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    let rows = rows.map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == state.code() && inodes.contains(row[9])).count()
}
