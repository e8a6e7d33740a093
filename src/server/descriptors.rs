//! Limits of the process: file descriptors, locked memory.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not sessions: the database's files, sockets, executors.
const RESERVED: u64 = 1_000;

/// Bytes of locked memory that one shard's executor needs.
const LOCKED_PER_SHARD: u64 = 512 << 10;

/// Raises the limit of open files as far as it goes, warns where limits are too low for `sessions_max`, and returns how
/// many connections there may be.
pub fn prepare(sessions_max: Option<usize>, shards: usize) -> usize {
    let files = raise_files();
    let room = files.map_or(usize::MAX, |files| files.saturating_sub(RESERVED).max(files / 2) as usize);
    if let Some(wanted) = sessions_max.filter(|&wanted| wanted > room) {
        let needed = wanted as u64 + RESERVED;
        tracing::warn!(
            target: "server",
            "--max-sessions {wanted} needs {needed} open files, {} are allowed; raise it with LimitNOFILE={needed} in \
             the \
             systemd unit, or ulimit -n {needed}",
            files.unwrap_or_default()
        );
    }
    let needed = LOCKED_PER_SHARD * shards as u64;
    let locked = getrlimit(Resource::Memlock).current;
    if let Some(locked) = locked.filter(|&locked| locked < needed) {
        tracing::warn!(
            target: "server",
            "{shards} shards need {needed} bytes of locked memory, {locked} are allowed; raise it with \
             LimitMEMLOCK={needed} in the systemd unit, or ulimit -l {}",
            needed / 1024
        );
    }
    sessions_max.unwrap_or(room).min(room)
}

/// The limit of open files once it is raised; `None` for no limit.
fn raise_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}
