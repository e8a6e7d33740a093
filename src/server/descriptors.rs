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
    let locked = getrlimit(Resource::Memlock).current;
    let warnings = [too_few_files(files, sessions_max), too_little_locked(locked, shards)];
    warnings.into_iter().flatten().for_each(|warning| tracing::warn!(target: "server", "{warning}"));
    let room = room(files);
    sessions_max.unwrap_or(room).min(room)
}

/// What is wrong with limits, as far as this process may raise them: of open files, of locked memory.
pub fn warnings(sessions_max: Option<usize>, shards: usize) -> [Option<String>; 2] {
    let files = getrlimit(Resource::Nofile).maximum;
    [too_few_files(files, sessions_max), too_little_locked(getrlimit(Resource::Memlock).current, shards)]
}

/// How many connections so many open files are enough for; `None` for no limit.
fn room(files: Option<u64>) -> usize {
    files.map_or(usize::MAX, |files| files.saturating_sub(RESERVED).max(files / 2) as usize)
}

fn too_few_files(files: Option<u64>, sessions_max: Option<usize>) -> Option<String> {
    let wanted = sessions_max.filter(|&wanted| wanted > room(files))?;
    let needed = wanted as u64 + RESERVED;
    Some(format!(
        "--max-sessions {wanted} needs {needed} open files, {} are allowed; raise it with LimitNOFILE={needed} in the \
         systemd unit, or ulimit -n {needed}",
        files.unwrap_or_default()
    ))
}

fn too_little_locked(locked: Option<u64>, shards: usize) -> Option<String> {
    let needed = LOCKED_PER_SHARD * shards as u64;
    let locked = locked.filter(|&locked| locked < needed)?;
    Some(format!(
        "{shards} shards need {needed} bytes of locked memory, {locked} are allowed; raise it with \
         LimitMEMLOCK={needed} in the systemd unit, or ulimit -l {}",
        needed / 1024
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_too_low_are_named_with_what_would_do() {
        assert_eq!(too_few_files(Some(6_000), Some(5_000)), None);
        assert_eq!(too_few_files(Some(1_024), None), None, "nobody has asked for more");
        assert_eq!(too_few_files(None, Some(1 << 40)), None, "there is no limit");
        let warning = too_few_files(Some(1_024), Some(5_000)).unwrap();
        assert!(warning.starts_with("--max-sessions 5000 needs 6000 open files, 1024 are allowed"), "{warning}");
        assert!(warning.contains("LimitNOFILE=6000") && warning.ends_with("ulimit -n 6000"), "{warning}");
        assert_eq!(too_little_locked(Some(8 << 20), 2), None);
        let warning = too_little_locked(Some(64 << 10), 2).unwrap();
        assert!(warning.contains("LimitMEMLOCK=1048576") && warning.ends_with("ulimit -l 1024"), "{warning}");
    }

    #[test]
    fn files_that_are_not_sessions_have_room() {
        assert_eq!((room(Some(1_024)), room(Some(11_000)), room(None)), (512, 10_000, usize::MAX));
    }
}
