//! What a shard counts of XMPP, beside what the runtime counts of bytes ([`rondel_shards::Metrics`]).

rondel_shards::counters! {
    /// The counters of one shard, which alone adds to them.
    Counts;
    /// What [`Counts`] said at one moment.
    CountsSnapshot;
    /// Stanzas that clients have sent after login.
    stanzas,
    /// Connections and stanzas that limits have refused.
    refused_by_limits,
    /// Sessions that have begun: a resource was bound.
    logins,
    /// Tries to log in that have failed because of the password.
    failed_logins,
    /// Messages that were put into archives, each once for every account that keeps it.
    archived,
    /// Messages that were put aside for accounts of which nobody was online.
    offline,
}
