//! A [`Status`] as OpenMetrics, the text format that Prometheus reads.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as OpenUnit};

use super::catalogue::{CATALOGUE, Kind, Metric, Unit};
use crate::admin::{Counted, Status};

/// What kind of text it is, for a header of HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Microseconds in a second.
const MICROSECONDS: f64 = 1e6;

/// A status, for the library that knows the format.
#[derive(Debug)]
struct Scrape(Status);

/// Writes all of it.
pub fn encode(status: Status) -> String {
    let mut registry = Registry::with_prefix("rondel");
    registry.register_collector(Box::new(Scrape(status)));
    let mut text = String::new();
    // Writing to memory does not fail.
    let written = prometheus_client::encoding::text::encode(&mut text, &registry);
    debug_assert!(written.is_ok());
    text
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for metric in CATALOGUE {
            let all = self.0.counters.iter().filter(|counted| counted.name == metric.counted);
            let mut all = all.peekable();
            if all.peek().is_none() {
                continue;
            }
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let unit = unit(metric.unit);
            let mut family = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for counted in all {
                let labels = labels(metric, counted);
                let one = family.encode_family(&labels)?;
                write(one, metric, counted.value)?;
            }
        }
        self.histogram(&mut encoder)?;
        let help = "The version of the program, of how data are stored, and of the operating system.";
        let mut info = encoder.encode_descriptor("build", help, None, MetricType::Info)?;
        let schema = self.0.schema.to_string();
        info.encode_info(&[
            ("version", self.0.version.as_str()),
            ("schema", schema.as_str()),
            ("system", self.0.system.as_str()),
        ])
    }
}

impl Scrape {
    /// Synced writes by how long they took.
    fn histogram(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let of = |name: &str| self.0.counters.iter().find(|counted| counted.name == name).map(|counted| counted.value);
        let (help, unit) = ("Synced writes by duration.", OpenUnit::Seconds);
        let mut histogram =
            encoder.encode_descriptor("storage_sync_duration", help, Some(&unit), MetricType::Histogram)?;
        let all = &self.0.syncs_by_duration;
        let bound = |bucket: usize| match bucket + 1 {
            last if last == all.len() => f64::INFINITY,
            next => (1u64 << next) as f64 / MICROSECONDS,
        };
        let buckets: Vec<(f64, u64)> =
            all.iter().enumerate().map(|(bucket, &number)| (bound(bucket), number)).collect();
        let seconds = of("sync-microseconds").unwrap_or(0) as f64 / MICROSECONDS;
        histogram.encode_histogram::<NoLabelSet>(seconds, all.iter().sum(), &buckets, None)
    }
}

fn unit(unit: Unit) -> Option<OpenUnit> {
    match unit {
        Unit::Pieces => None,
        Unit::Bytes => Some(OpenUnit::Bytes),
        Unit::Microseconds | Unit::Timestamp => Some(OpenUnit::Seconds),
    }
}

fn labels(metric: &Metric, counted: &Counted) -> Vec<(String, String)> {
    let shard = counted.shard.map(|shard| ("shard".to_owned(), shard.to_string()));
    let of = metric.label.zip(counted.of.as_ref()).map(|(label, of)| (label.to_owned(), of.clone()));
    shard.into_iter().chain(of).collect()
}

fn write(mut one: MetricEncoder<'_>, metric: &Metric, value: u64) -> Result<(), Error> {
    match (metric.kind, metric.unit) {
        (Kind::Counter, Unit::Microseconds) => {
            one.encode_counter::<NoLabelSet, f64, f64>(&(value as f64 / MICROSECONDS), None)
        }
        (Kind::Counter, _) => one.encode_counter::<NoLabelSet, u64, f64>(&value, None),
        (Kind::Gauge, Unit::Microseconds) => one.encode_gauge(&(value as f64 / MICROSECONDS)),
        (Kind::Gauge, _) => one.encode_gauge(&value),
    }
}
