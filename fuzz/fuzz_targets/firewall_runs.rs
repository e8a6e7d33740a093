//! Whatever rules there are and whatever they are run on, they come to an end, and what they make of a stanza is one.
//!
//! The input is a script, a zero byte, and a stanza.
#![no_main]

#[path = "../../src/firewall/mod.rs"]
#[allow(dead_code, unused_imports)]
mod firewall;
#[path = "../../src/jid.rs"]
#[allow(dead_code, unused_imports)]
mod jid;
#[path = "../../src/xml/mod.rs"]
#[allow(dead_code, unused_imports)]
mod xml;

use std::sync::Arc;

use firewall::{Hook, Loaded, Rules, Running, Sources, Surroundings, Trial, WallClock};
use libfuzzer_sys::fuzz_target;
use xml::{Content, Limits, Scratch};

/// What a client may send.
const SENT: Limits = Limits { stanza_bytes: 10_000, depth: 16, attributes: 64, children: 64 };

/// What rules may make of it: they are the operator's.
const MADE: Limits = Limits { stanza_bytes: 10_000_000, depth: 1_000, attributes: 10_000, children: 100_000 };

fuzz_target!(|input: &str| {
    let Some((script, stanza)) = input.split_once('\0') else { return };
    // Rules see what the framer has let pass.
    let mut scratch = Scratch::default();
    if !is_stanza(stanza, SENT) || scratch.finished(stanza.as_bytes(), Content::Client).is_none() {
        return;
    }
    let Ok((rules, _)) = Rules::load(&[("script", script)], Sources { groups: true, countries: true }) else { return };
    let sources = rules.lists.iter().map(|_| Arc::default()).collect();
    let running = Running::new(Loaded { rules, sources, ..Loaded::default() }, 1, None);
    let surroundings = Surroundings { domains: vec!["local.example".into()], ..Surroundings::default() };
    let clock = WallClock { weekday: 3, minute: 600 };
    let mut trial = Trial::new(running, surroundings, clock, 1_000_000);
    for hook in [Hook::Preroute, Hook::Deliver, Hook::DeliverRemote] {
        let tried = trial.try_stanza(hook, stanza, Some("a@local.example/x"), Some("u@local.example"));
        if let Some(changed) = tried.ok().and_then(|tried| tried.changed) {
            let mut scratch = Scratch::default();
            let is_finished = scratch.finished(changed.as_bytes(), Content::Client).is_some();
            assert!(is_stanza(&changed, MADE) && is_finished, "{changed}");
        }
    }
});

/// Whether a text is one well-formed element that the framer would hand on.
fn is_stanza(text: &str, limits: Limits) -> bool {
    use xml::{Event, Framer};
    const HEADER: &str =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    let (mut framer, mut scratch) = (Framer::new(limits), Scratch::default());
    let header = framer.next(&mut scratch, HEADER.as_bytes()).consumed;
    let stream = [&HEADER.as_bytes()[header..], text.as_bytes()].concat();
    let progress = framer.next(&mut scratch, &stream);
    match progress.event {
        Event::Frame(frame) => frame.bytes() == text.as_bytes(),
        _ => false,
    }
}
