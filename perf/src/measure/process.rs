//! What a server's processes use: CPU time to the nanosecond, resident memory, and the kernel's memory for sockets.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, bail};
use nix::sys::time::TimeValLike;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The processes of a server: those given and all that descend from them.
#[derive(Clone, Debug)]
pub struct Processes {
    roots: Vec<i32>,
}

/// What they have used at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time of all threads since the start, those that ended included.
    pub cpu_ns: u64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Of the whole host: slab and socket buffers.
    pub kernel_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl Processes {
    /// The processes with these numbers.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn new(roots: Vec<i32>) -> anyhow::Result<Self> {
        for &root in &roots {
            if root <= 0 || fs::metadata(format!("/proc/{root}")).is_err() {
                bail!("--server-pid {root}: there is no such process");
            }
        }
        Ok(Self { roots })
    }

    /// What they have used until now.
    ///
    /// # Errors
    /// One of the given processes has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let mut usage = Usage { kernel_bytes: kernel_bytes(), ..Usage::default() };
        for process in family(&self.roots) {
            match of(process) {
                Some((cpu_ns, resident_bytes, threads)) => {
                    usage.cpu_ns += cpu_ns;
                    usage.resident_bytes += resident_bytes;
                    usage.threads += threads;
                }
                None if self.roots.contains(&process) => bail!("the server's process {process} has ended"),
                None => {}
            }
        }
        Ok(usage)
    }
}

/// The processes and their descendants.
fn family(roots: &[i32]) -> BTreeSet<i32> {
    let mut family: BTreeSet<i32> = roots.iter().copied().collect();
    let mut waiting: Vec<i32> = roots.to_vec();
    while let Some(process) = waiting.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in children.split_ascii_whitespace().filter_map(|child| child.parse().ok()) {
                if family.insert(child) {
                    waiting.push(child);
                }
            }
        }
    }
    family
}

fn cpu_ns(process: i32) -> Option<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(process)).ok()?;
    u64::try_from(clock_gettime(clock).ok()?.num_nanoseconds()).ok()
}

/// CPU time, resident bytes, threads.
fn of(process: i32) -> Option<(u64, u64, u64)> {
    let cpu_ns = cpu_ns(process)?;
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Some((cpu_ns, value("VmRSS:").unwrap_or(0) << 10, value("Threads:").unwrap_or(0)))
}

/// The host's slab, where sockets live, and the pages that their buffers hold.
fn kernel_bytes() -> u64 {
    let slab_kib = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| text.lines().find(|line| line.starts_with("Slab:")).map(str::to_owned))
        .and_then(|line| line.split_ascii_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()));
    let pages = fs::read_to_string("/proc/net/sockstat").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("TCP:"))?.to_owned();
        line.split_ascii_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse::<u64>().ok()
    });
    (slab_kib.unwrap_or(0) << 10) + pages.unwrap_or(0) * 4096
}

/// Parses the argument of `--server-pid`: one number.
///
/// # Errors
/// It is none.
pub fn parse_pid(text: &str) -> Result<i32, String> {
    text.trim().parse().context("not the number of a process").map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn cpu_time_of_children_counts() {
        let mut shell = Command::new("sh")
            .args(["-c", "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 5) & wait"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let processes = Processes::new(vec![shell.id() as i32]).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        // The shell itself only waits: whatever it is beyond its own start is the child's.
        while processes.usage().unwrap().cpu_ns < 30_000_000 {
            assert!(Instant::now() < until, "the child's CPU time does not show");
            std::thread::sleep(Duration::from_millis(20));
        }
        let usage = processes.usage().unwrap();
        assert!(usage.resident_bytes > 100_000 && usage.threads >= 2, "{usage:?}");
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert!(processes.usage().unwrap_err().to_string().contains("has ended"));
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        assert!(Processes::new(vec![i32::MAX]).is_err());
        assert!(parse_pid("12x").is_err());
    }
}
