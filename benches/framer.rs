//! The framer: a chat message of 300 bytes, with every check on; and the same work in larger and smaller portions.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rondel::xml::{Event, Framer, Limits, Scratch, Stamp};

mod stanzas;

const LIMITS: Limits = Limits { stanza_bytes: 1 << 20, depth: 64, attributes: 64, children: 4096 };

/// A framer behind its stream's header.
fn opened(scratch: &mut Scratch) -> Framer {
    let mut framer = Framer::new(LIMITS);
    assert!(matches!(framer.next(scratch, stanzas::HEADER.as_bytes()).event, Event::Header(_)));
    framer
}

fn message(criterion: &mut Criterion) {
    let stanza = stanzas::chat(300);
    let mut scratch = Scratch::default();
    let mut framer = opened(&mut scratch);
    let mut group = criterion.benchmark_group("message of 300 bytes");
    group.throughput(Throughput::Bytes(stanza.len() as u64));
    group.bench_function("framed", |bencher| {
        bencher.iter(|| match framer.next(&mut scratch, black_box(stanza.as_bytes())).event {
            Event::Frame(frame) => black_box(frame.kind()),
            other => panic!("{other:?}"),
        });
    });
    let mut out = Vec::with_capacity(1024);
    group.bench_function("framed and stamped", |bencher| {
        bencher.iter(|| match framer.next(&mut scratch, black_box(stanza.as_bytes())).event {
            Event::Frame(frame) => {
                out.clear();
                frame.write_stamped(&mut out, &Stamp { from: Some("juliet@example.org/balcony"), ..Stamp::default() });
                black_box(out.len())
            }
            other => panic!("{other:?}"),
        });
    });
    group.finish();
}

/// Linear in the size of a stanza, and however it comes in pieces.
fn sizes(criterion: &mut Criterion) {
    let mut scratch = Scratch::default();
    let mut framer = opened(&mut scratch);
    let mut group = criterion.benchmark_group("bytes per second");
    for size in [300, 3_000, 30_000, 300_000] {
        let stanza = stanzas::chat(size);
        group.throughput(Throughput::Bytes(size as u64));
        for piece in [usize::MAX, 1_448] {
            let name = if piece == usize::MAX { "whole" } else { "in pieces of 1448 bytes" };
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    let mut end = piece.min(stanza.len());
                    loop {
                        match framer.next(&mut scratch, black_box(&stanza.as_bytes()[..end])).event {
                            Event::Frame(frame) => break black_box(frame.kind()),
                            Event::Incomplete => end = (end + piece).min(stanza.len()),
                            other => panic!("{other:?}"),
                        }
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, message, sizes);
criterion_main!(benches);
