//! Flags of `rondel serve`: archives of messages.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Sessions, values};
use crate::account::archive::ArchiveLimits;
use crate::account::archive_ids::ArchiveIds;
use crate::account::archive_page::PageLimits;
use crate::account::{DefaultPolicy, PreferencesLimits};
use crate::shard::ArchiveSettings;

const DAY: Duration = Duration::from_secs(86_400);

/// What is archived (XEP-0313), for how long, and how it is read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Archive")]
pub struct Archive {
    /// Whether accounts have an archive of their messages, by which clients learn what others have sent and received.
    /// What is archived already stays where it is when it is switched off, until it is too old.
    #[arg(long, env = "RONDEL_ARCHIVE", value_name = "on|off", default_value = "on")]
    #[arg(value_parser = values::switch, action = clap::ArgAction::Set)]
    pub archive: bool,

    /// Whose messages are archived for an account that has not chosen for itself (XEP-0441). Clients count on finding
    /// what they have missed in the archive: roster leaves out who writes for the first time.
    #[arg(long, env = "RONDEL_ARCHIVE_DEFAULT", value_name = "WHOSE", value_enum, default_value = "always")]
    pub archive_default: ArchiveDefault,

    /// How long messages are kept. A week is enough for devices in daily use; a season also serves those that lie in a
    /// drawer and those that are new, and what is older need not be guarded. 0: for ever.
    #[arg(long, env = "RONDEL_ARCHIVE_RETENTION", value_name = "DURATION", default_value = "90d")]
    #[arg(value_parser = values::duration(Duration::ZERO, DAY * 36_500))]
    pub archive_retention: Duration,

    /// What the messages in the archive of one account may add up to, before they are compressed; beyond it the oldest
    /// go. Nobody who only talks comes near it. 0: no limit.
    #[arg(long, env = "RONDEL_ARCHIVE_SIZE", value_name = "SIZE", default_value = "256MiB")]
    #[arg(value_parser = values::size_or_none(1 << 20, 1 << 50))]
    pub archive_size: usize,

    /// Messages in one answer to a client, which asks on from there. An answer has half the bytes of --outbox-limit at
    /// most, and a quarter of what a client may leave unacknowledged.
    #[arg(long, env = "RONDEL_ARCHIVE_PAGE", value_name = "NUMBER", default_value = "250")]
    #[arg(value_parser = values::number(1, 5_000))]
    pub archive_page: usize,

    /// Addresses in the archiving preferences of an account.
    #[arg(long, env = "RONDEL_ARCHIVE_ADDRESSES", value_name = "NUMBER", default_value = "500")]
    #[arg(value_parser = values::number(1, 5_000))]
    pub archive_addresses: usize,
}

/// Whose messages are archived.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ArchiveDefault {
    /// Everybody's.
    Always,
    /// Those of contacts.
    Roster,
    /// Nobody's.
    Never,
}

/// Messages in one answer to a client that does not say how many it wants.
const PAGE_DEFAULT: usize = 50;

/// Bytes of the name that a client gives to its query.
const QUERY_ID_BYTES_MAX: usize = 256;

/// Messages that are looked at for one answer, where that has to be done one by one.
const LOOKED_AT_MAX: usize = 20_000;

impl Archive {
    /// What archives are like, with these ids, an outbox of so many bytes, and these bounds of what a client has not
    /// acknowledged, into which a few answers fit.
    pub fn settings(&self, ids: ArchiveIds, outbox_limit: usize, sessions: &Sessions) -> Option<ArchiveSettings> {
        let page_max = self.archive_page.min((sessions.unacknowledged_stanzas / 4).max(1));
        let bytes_max = (outbox_limit / 2).min(sessions.unacknowledged_size / 4);
        self.archive.then(|| ArchiveSettings {
            ids,
            limits: ArchiveLimits {
                page_default: PAGE_DEFAULT.min(page_max),
                page_max,
                ids_max: page_max,
                query_id_bytes_max: QUERY_ID_BYTES_MAX,
            },
            page: PageLimits { bytes_max, looked_at_max: LOOKED_AT_MAX },
            preferences: PreferencesLimits { addresses_max: self.archive_addresses },
            default: match self.archive_default {
                ArchiveDefault::Always => DefaultPolicy::Always,
                ArchiveDefault::Roster => DefaultPolicy::Roster,
                ArchiveDefault::Never => DefaultPolicy::Never,
            },
        })
    }

    /// Tells the storage what to keep.
    pub fn keep(&self, storage: &mut rondel_storage::Options) {
        storage.archive_retention = (!self.archive_retention.is_zero()).then_some(self.archive_retention);
        storage.archive_bytes_max_per_account = (self.archive_size > 0).then_some(self.archive_size as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ServeOptions;
    use crate::cli::tests::{serve, usage};

    fn settings(options: &ServeOptions) -> Option<ArchiveSettings> {
        options.archive.settings(ArchiveIds::new([7; 16]), options.outbox_limit, &options.sessions)
    }

    #[test]
    fn archives_are_there_and_in_bounds_unless_told_otherwise() {
        let options = serve("--dev");
        let settings = settings(&options).unwrap();
        assert_eq!((settings.limits.page_default, settings.limits.page_max, settings.limits.ids_max), (50, 250, 250));
        assert_eq!((settings.default, settings.page.bytes_max), (DefaultPolicy::Always, 512 << 10));
        let mut storage = rondel_storage::Options::new("/");
        options.archive.keep(&mut storage);
        assert_eq!(storage.archive_retention, Some(DAY * 90));
        assert_eq!(storage.archive_bytes_max_per_account, Some(256 << 20));
    }

    #[test]
    fn bounds_can_be_taken_away_and_so_can_archives() {
        let options = serve("--dev --archive-retention 0 --archive-size 0 --archive-page 20 --archive-default roster");
        let mut storage = rondel_storage::Options::new("/");
        storage.archive_retention = Some(DAY);
        options.archive.keep(&mut storage);
        assert_eq!((storage.archive_retention, storage.archive_bytes_max_per_account), (None, None));
        let settings = settings(&options).unwrap();
        assert_eq!((settings.limits.page_default, settings.default), (20, DefaultPolicy::Roster));
        assert!(self::settings(&serve("--dev --archive off")).is_none());
        let small = "--dev --unacknowledged-stanzas 100 --unacknowledged-size 100kB";
        let settings = self::settings(&serve(small)).unwrap();
        assert_eq!((settings.limits.page_max, settings.page.bytes_max), (25, 25_000));
        assert!(usage("serve --dev --archive-size 10kB").contains("0, or a size from 1MiB"));
        assert!(usage("serve --dev --archive-default sometimes").contains("roster"));
    }
}
