//! The catalogue.

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It is counted from the start of the server on.
    Counter,
    /// It is there at this moment.
    Gauge,
}

/// In what a figure is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// In pieces.
    Pieces,
    /// In bytes.
    Bytes,
    /// In microseconds; OpenMetrics has seconds.
    Microseconds,
    /// In seconds since 1970.
    Timestamp,
}

/// One of the figures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metric {
    /// As [`Counted::name`](crate::admin::Counted::name) has it.
    pub counted: &'static str,
    /// As OpenMetrics has it, without the prefix `rondel_`, the unit and `_total`.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// In what it is measured.
    pub unit: Unit,
    /// Whether each shard has its own; the label is `shard`.
    pub is_by_shard: bool,
    /// The label that tells several apart, beside `shard`.
    pub label: Option<&'static str>,
    /// What it is.
    pub help: &'static str,
}

impl Metric {
    /// The whole name in OpenMetrics of what is scraped.
    pub fn full_name(&self) -> String {
        let unit = match self.unit {
            Unit::Pieces => "",
            Unit::Bytes => "_bytes",
            Unit::Microseconds | Unit::Timestamp => "_seconds",
        };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("rondel_{}{unit}{total}", self.name)
    }
}

const fn counter(counted: &'static str, name: &'static str, help: &'static str) -> Metric {
    Metric { counted, name, kind: Kind::Counter, unit: Unit::Pieces, is_by_shard: true, label: None, help }
}

const fn gauge(counted: &'static str, name: &'static str, help: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(counted, name, help) }
}

impl Metric {
    const fn in_unit(self, unit: Unit) -> Metric {
        Metric { unit, ..self }
    }

    /// All shards share it.
    const fn shared(self) -> Metric {
        Metric { is_by_shard: false, ..self }
    }

    const fn by(self, label: &'static str) -> Metric {
        Metric { label: Some(label), ..self }
    }
}

use Unit::{Bytes, Microseconds, Timestamp};

/// Everything that an alert can be about.
pub const ALERTS: [&str; 7] = ["storage", "fault", "slow-storage", "disk", "certificate", "limits", "backups"];

/// All figures.
pub const CATALOGUE: &[Metric] = &[
    // Of each shard: clients.
    gauge("connections", "connections", "Connections that are open, of clients and visitors of the web pages."),
    gauge("sessions", "sessions", "Sessions, those that wait for their clients included."),
    gauge("waiting-sessions", "waiting_sessions", "Sessions that wait for their clients to come back (XEP-0198)."),
    gauge("accounts-in-memory", "accounts_in_memory", "Accounts that are in memory, because somebody needs them."),
    counter("logins", "logins", "Sessions that have begun."),
    counter("failed-logins", "failed_logins", "Tries to log in with a wrong password or name."),
    counter("accepted", "connections_accepted", "Connections that were accepted."),
    counter("refused", "connections_refused", "Connections that were closed at once, for whatever reason."),
    counter("refused-by-limits", "refused_by_limits", "Connections, requests and stanzas that limits have refused."),
    counter("handshakes", "tls_handshakes", "TLS handshakes that were completed."),
    // Of each shard: traffic.
    counter("stanzas", "stanzas", "Stanzas that clients have sent."),
    counter("archived", "archived_messages", "Messages put into archives, once for each account that keeps them."),
    counter("offline", "offline_messages", "Messages put aside for accounts of which nobody was online."),
    counter("bytes-read", "received", "Bytes read from sockets.").in_unit(Bytes),
    counter("bytes-sent", "sent", "Bytes that sockets have taken.").in_unit(Bytes),
    counter("reads", "reads", "Reads from sockets that brought something."),
    counter("sends", "sends", "Sends on sockets."),
    counter("blocked-sends", "blocked_sends", "Sends that found the socket full: the client reads too slowly."),
    // Of each shard: how it works.
    counter("cpu-microseconds", "shard_cpu", "Processor time of the shard's thread.").in_unit(Microseconds),
    counter("turns", "turns", "Turns in which something was sent."),
    counter("woken", "woken", "Times the shard was woken by another thread."),
    counter("moved-in", "connections_moved_in", "Connections that have come from other shards."),
    counter("moved-out", "connections_moved_out", "Connections that have gone to other shards."),
    counter("mesh-sent", "mesh_sent", "Messages sent to other shards."),
    counter("mesh-received", "mesh_received", "Messages received from other shards."),
    counter("mesh-wakes", "mesh_wakes", "Times another shard had to be woken."),
    counter("mesh-full", "mesh_full", "Times the way to another shard was full and nothing was read from sockets."),
    counter("panics", "panics", "Faults of the server that cost a connection. Please report them."),
    // Of each shard: what waits.
    gauge("waiting-stanzas", "waiting_stanzas", "Stanzas that wait until an account is loaded or rules are answered."),
    gauge("mesh-bytes", "mesh_queue", "Bytes that wait to be sent to other shards.").in_unit(Bytes),
    gauge("unsent-bytes", "unsent", "Bytes that clients have not taken yet.").in_unit(Bytes),
    gauge("unacknowledged-bytes", "unacknowledged", "Bytes that clients have not acknowledged yet (XEP-0198).")
        .in_unit(Bytes),
    gauge("connection-bytes", "connection_memory", "Bytes of connections and their buffers, without TLS.")
        .in_unit(Bytes),
    // The storage.
    counter("writes", "storage_writes", "Writes that are on disk.").shared(),
    counter("writes-refused", "storage_writes_refused", "Writes that came too late: something else had changed.")
        .shared(),
    counter("writes-failed", "storage_writes_failed", "Writes that have failed.").shared(),
    counter("write-batches", "storage_batches", "Groups of writes that were written together.").shared(),
    counter("written-bytes", "storage_written", "Bytes given to the log of the storage.").in_unit(Bytes).shared(),
    counter("syncs", "storage_syncs", "Synced writes of the log.").shared(),
    counter("sync-microseconds", "storage_sync", "Time spent in synced writes.").in_unit(Microseconds).shared(),
    gauge("sync-microseconds-at-most", "storage_sync_longest", "The longest synced write.")
        .in_unit(Microseconds)
        .shared(),
    gauge("sync-microseconds-now", "storage_sync_now", "How long the synced write has taken that is under way.")
        .in_unit(Microseconds)
        .shared(),
    counter("reads-inline", "storage_reads_in_memory", "Reads that memory could answer at once.").shared(),
    counter("reads-queued", "storage_reads_queued", "Reads that were left to a thread.").shared(),
    counter("storage-busy", "storage_busy", "Requests that were turned away because too much waited.").shared(),
    counter("storage-reopened", "storage_reopened", "Times the database was opened anew after its disk had failed.")
        .shared(),
    counter("storage-panics", "storage_panics", "Faults of the server in threads of the storage. Please report them.")
        .shared(),
    gauge("storage-failing", "storage_failing", "1 if the latest write has failed.").shared(),
    gauge("write-queue", "storage_write_queue", "Writes that wait.").shared(),
    gauge("write-queue-bytes", "storage_write_queue_size", "Bytes of writes that wait.").in_unit(Bytes).shared(),
    gauge("read-queue", "storage_read_queue", "Reads that wait for a thread.").shared(),
    gauge("family-bytes", "storage_family_size", "Bytes of table files, by column family.")
        .in_unit(Bytes)
        .by("family")
        .shared(),
    gauge("family-files", "storage_family_files", "Table files, by column family.").by("family").shared(),
    gauge("family-keys", "storage_family_keys", "Keys, by column family; an estimate.").by("family").shared(),
    gauge("disk-bytes", "disk_size", "Size of the file system with the data.").in_unit(Bytes).shared(),
    gauge("disk-free-bytes", "disk_free", "What of it is free.").in_unit(Bytes).shared(),
    // The whole server.
    gauge("accounts", "accounts", "Accounts that are registered, by domain; counted now and then.")
        .by("domain")
        .shared(),
    gauge("connections-max", "connections_max", "Connections that may be open at once (--max-sessions).").shared(),
    gauge("block-list-entries", "block_list_entries", "Addresses and domains on block lists of others.").shared(),
    gauge("memory-bytes", "memory", "Memory by subsystem; other is what the process has beside these.")
        .in_unit(Bytes)
        .by("subsystem")
        .shared(),
    gauge("resident-bytes", "resident_memory", "Memory that the process takes.").in_unit(Bytes).shared(),
    counter("process-cpu-microseconds", "process_cpu", "Processor time of all threads.").in_unit(Microseconds).shared(),
    gauge("started", "start_timestamp", "When the server has started.").in_unit(Timestamp).shared(),
    gauge("certificate-expires", "certificate_expiry_timestamp", "Until when a certificate holds.")
        .in_unit(Timestamp)
        .by("path")
        .shared(),
    gauge("backup-made", "backup_timestamp", "When the newest backup was made; 0 without one.")
        .in_unit(Timestamp)
        .shared(),
    gauge("backups-kept", "backups_kept", "Backups that there are.").shared(),
    gauge("backup-failed", "backup_failed", "1 if the last try to make a backup has failed.").shared(),
    gauge("alert", "alert", "1 if something is wrong, by what it is about.").by("about").shared(),
];
