//! RocksDB's own options, made from [`Options`] and the rows of the catalogue.
//!
//! The aim is little memory and few threads at rest: a chat server's data are mostly cold.

use crate::archive::retention::{Expiry, Retention};
use crate::{Family, Options, Size, WritePattern};
use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompactionStyle, DBCompressionType, LogLevel};
use std::path::Path;
use std::sync::Arc;

/// How many times the size of a full generation of archives' tails RocksDB may hold of them: the logs of two, what has
/// come while the writer waits.
const ARCHIVE_BUFFERS: usize = 4;

/// How many files with parts of all archives there may be before they are merged.
const ARCHIVE_RUNS: i32 = 8;

/// Built once per store and kept for as long as it may be reopened, because the cache survives a reopening.
pub(crate) struct Tuning {
    options: Options,
    cache: Cache,
    retention: Arc<Retention>,
}

impl Tuning {
    pub(crate) fn new(options: &Options) -> Tuning {
        // The clock cache takes no lock on a hit, which matters because every shard reads through it.
        // Charge 0: it sizes its table by what is put in.
        let cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        Tuning { options: options.clone(), cache, retention: Arc::new(Retention::new(options)) }
    }

    /// What archives give up, shared with the filters of their compactions.
    pub(crate) fn retention(&self) -> &Retention {
        &self.retention
    }

    /// The store's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.options.path
    }

    /// From how many bytes on the tails of archives become chunks.
    pub(crate) fn archive_tail_bytes(&self) -> usize {
        self.options.archive_tail_bytes
    }

    pub(crate) fn block_cache_bytes_used(&self) -> u64 {
        self.cache.get_usage() as u64
    }

    /// The options of the database as a whole.
    pub(crate) fn database(&self) -> rocksdb::Options {
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // One flush and one compaction at a time.
        options.set_max_background_jobs(2);
        // What is counted here as well is bounded by the archives' own means, see `archive::tails`.
        let archives = ARCHIVE_BUFFERS * self.options.archive_tail_bytes;
        options.set_db_write_buffer_size(self.options.write_buffers_bytes + archives);
        options.set_max_total_wal_size(self.options.log_bytes_max + archives as u64);
        options.set_recycle_log_file_num(self.options.log_files_recycled);
        options.set_max_open_files(self.options.open_files_max);
        options.set_max_manifest_file_size(4 << 20);
        options.set_bytes_per_sync(1 << 20);
        // RocksDB's own log is for those who debug RocksDB: warnings, two files.
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(1 << 20);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options
    }

    /// All families of the catalogue, and RocksDB's `default`, which it insists on and which stays empty.
    pub(crate) fn families(&self) -> Vec<ColumnFamilyDescriptor> {
        self.families_with(|_| {})
    }

    /// The same, of a database of which nothing is to be changed: nothing is merged or given up.
    pub(crate) fn families_at_rest(&self) -> Vec<ColumnFamilyDescriptor> {
        self.families_with(|options| options.set_disable_auto_compactions(true))
    }

    fn families_with(&self, change: impl Fn(&mut rocksdb::Options)) -> Vec<ColumnFamilyDescriptor> {
        let known = Family::ALL.iter().map(|family| {
            let mut options = self.family(*family);
            change(&mut options);
            ColumnFamilyDescriptor::new(family.name(), options)
        });
        let mut families: Vec<_> = known.collect();
        families.push(ColumnFamilyDescriptor::new("default", rocksdb::Options::default()));
        families
    }

    /// The options of one family.
    pub(crate) fn family(&self, family: Family) -> rocksdb::Options {
        let row = family.descriptor();
        let mut options = rocksdb::Options::default();
        let (buffer, file, block) = match row.size {
            Size::Small => (2 << 20, 8 << 20, 4 << 10),
            Size::Large => (8 << 20, 64 << 20, 16 << 10),
        };
        options.set_write_buffer_size(buffer);
        options.set_max_write_buffer_number(2);
        options.set_target_file_size_base(file);
        options.set_max_bytes_for_level_base(file * 4);
        match family {
            Family::ArchiveLogEven | Family::ArchiveLogOdd => options.set_compression_type(DBCompressionType::None),
            _ => options.set_compression_type(DBCompressionType::Lz4),
        }
        if matches!(family, Family::ArchiveLogEven | Family::ArchiveLogOdd) {
            // They are made into files when a generation is done with, and only then.
            options.set_write_buffer_size(ARCHIVE_BUFFERS * self.options.archive_tail_bytes);
        }
        if family == Family::ArchiveChunks {
            // LZ4 in somewhat of a hurry: a fifth faster, some three percent larger.
            options.set_compression_options(0, -8, 0, 0);
        }
        // Filters are for lookups of single keys.
        let filters = row.pattern == WritePattern::Random && !row.hides_absence;
        options.set_block_based_table_factory(&self.blocks(block, filters));
        if filters {
            options.set_memtable_prefix_bloom_ratio(0.02);
            options.set_memtable_whole_key_filtering(true);
        }
        match family {
            // A key or less per message, of all archives mixed, which are written once and hardly ever read: to be
            // merged rarely matters more than to be found in few files.
            Family::ArchiveWith => {
                options.set_compaction_style(DBCompactionStyle::Universal);
                options.set_level_zero_file_num_compaction_trigger(ARCHIVE_RUNS);
            }
            Family::Archive => options.set_level_zero_file_num_compaction_trigger(ARCHIVE_RUNS),
            _ => {}
        }
        if let Some(expiry) = Expiry::of(family, &self.retention) {
            options.set_compaction_filter_factory(expiry);
            options.set_periodic_compaction_seconds(self.retention.visit_seconds());
        }
        options
    }

    fn blocks(&self, block_bytes: usize, filters: bool) -> BlockBasedOptions {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        blocks.set_block_size(block_bytes);
        if filters {
            blocks.set_bloom_filter(10.0, false);
            blocks.set_optimize_filters_for_memory(true);
        }
        // Indexes and filters count against the cache's bound, so that the bound is the truth.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        blocks
    }
}
