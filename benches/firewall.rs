//! The firewall: what a hundred rules cost a chat message of 300 bytes that passes all of them, what a look into a list
//! of a million entries costs, and how long the worst patterns hold up a shard.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rondel::firewall::{Budget, Entries, Outcome, Pattern, Rules, Sources};

mod rules;
mod stanzas;

fn hundred_rules(criterion: &mut Criterion) {
    let (rules, _) = Rules::load(&[("hundred", rules::SCRIPT)], Sources::default()).expect("rules");
    assert_eq!(rules.rules, 100);
    let mut around = rules::Around::of(&rules, 1_000_000);
    let stanza = stanzas::chat(300);
    criterion.bench_function("100 rules", |bencher| {
        bencher.iter(|| {
            // A bucket that has run dry would end the run early.
            let outcome = around.deliver(&rules, black_box(stanza.as_bytes()));
            debug_assert_eq!(outcome, Outcome::Pass);
            outcome
        });
    });
}

fn a_million_entries(criterion: &mut Criterion) {
    let name = |number: usize| format!("listed-{number}.example.org");
    let mut entries = Entries::default();
    (0..1_000_000).for_each(|number| assert!(entries.insert(name(number).as_bytes())));
    entries.shrink();
    println!("a list of a million entries takes {} MiB", entries.memory_bytes() >> 20);
    let asked: Vec<String> = (0..4096).map(|number| name(number * 488)).collect();
    let mut next = 0;
    criterion.bench_function("a look into a million entries", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % asked.len();
            black_box(entries.has(asked[next].as_bytes()))
        });
    });
}

fn the_worst_patterns(criterion: &mut Criterion) {
    let text = "a".repeat(200_000);
    let mut group = criterion.benchmark_group("a pattern that never ends");
    for pattern in ["a-a-a-a-a-b", "a*a*a*a*b", "(.-)(.-)(.-)%1%2%3b", "[^b]-[^b]-[^b]-c", ".*.*.*b"] {
        let read = Pattern::parse(pattern.as_bytes()).expect("a pattern");
        group.bench_function(pattern, |bencher| {
            bencher.iter(|| {
                let mut budget = Budget::default();
                black_box(read.is_in(text.as_bytes(), &mut budget))
            });
        });
    }
}

criterion_group!(benches, hundred_rules, a_million_entries, the_worst_patterns);
criterion_main!(benches);
