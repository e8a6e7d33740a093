//! Work that repeats so many times as the argument says, to be counted by callgrind: what a stanza costs is the
//! difference between two counts. Started by `benches/instructions.sh`.

use std::hint::black_box;

use rondel::account::{
    Direction, Facts, MessageType, StanzaKind, Traits, append_stanza_id, archive, carbon, csi, write_carbon,
};
use rondel::firewall::{Outcome, Rules, Sources};
use rondel::jid::Jid;
use rondel::xml::{Event, Framer, Limits, Scratch, Stamp};

mod rules;
mod stanzas;

const LIMITS: Limits = Limits { stanza_bytes: 1 << 20, depth: 64, attributes: 64, children: 1 << 20 };

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match arguments[..] {
        ["frame", times] => each(number(times), |frame, _| {
            black_box(frame.kind());
        }),
        // What is done to a stanza between two sockets, sockets and tables aside.
        ["relay", times] => each(number(times), |frame, out| {
            let to = frame.to().expect("an addressee").decoded();
            let to = Jid::parse(&to).expect("an address");
            black_box(rondel::home::home(to.bare(), 2));
            out.clear();
            frame.write_stamped(out, &Stamp { from: Some("juliet@example.org/balcony"), ..Stamp::default() });
            black_box(out);
        }),
        // What is decided about a message besides its way.
        ["decide", times] => each(number(times), |frame, _| {
            let (kind, direction) = (MessageType::Chat, Direction::Received);
            let facts = Facts { kind, traits: Traits::of(frame), direction, from_full: true, to_full: true };
            black_box((carbon(&facts), archive(&facts)));
            black_box(csi::urgency(StanzaKind::Message(kind), facts.traits, Some(direction)));
        }),
        // A message with its id in the archive, and one copy of it.
        ["copy", times] => {
            let mut copy = Vec::with_capacity(2048);
            each(number(times), |frame, out| {
                out.clear();
                copy.clear();
                frame.write_stamped(out, &Stamp { from: Some("juliet@example.org/balcony"), ..Stamp::default() });
                append_stanza_id(out, 0, "romeo@example.net", "0123456789abcdef");
                let (account, to) = ("romeo@example.net", "romeo@example.net/garden");
                write_carbon(&mut copy, Direction::Received, MessageType::Chat, account, to, out);
                black_box(&copy);
            });
        }
        // What a hundred rules cost a message that passes all of them.
        ["rules", times] => {
            let (read, _) = Rules::load(&[("hundred", rules::SCRIPT)], Sources::default()).expect("rules");
            let mut around = rules::Around::of(&read, 1_000);
            let stanza = stanzas::chat(300);
            for _ in 0..number(times) {
                assert_eq!(around.deliver(&read, black_box(stanza.as_bytes())), Outcome::Pass);
            }
        }
        [kind, bytes, piece] => in_pieces(kind, number(bytes), number(piece)),
        _ => println!(
            "nothing to count: give frame, relay, decide, copy or rules and how many times, or a kind and sizes"
        ),
    }
}

fn opened(scratch: &mut Scratch) -> Framer {
    let mut framer = Framer::new(LIMITS);
    assert!(matches!(framer.next(scratch, stanzas::HEADER.as_bytes()).event, Event::Header(_)));
    framer
}

/// Frames a message of 300 bytes again and again.
fn each(times: usize, mut look: impl FnMut(&rondel::xml::Frame<'_>, &mut Vec<u8>)) {
    let stanza = stanzas::chat(300);
    let mut scratch = Scratch::default();
    let mut framer = opened(&mut scratch);
    let mut out = Vec::with_capacity(1024);
    for _ in 0..times {
        match framer.next(&mut scratch, black_box(stanza.as_bytes())).event {
            Event::Frame(frame) => look(&frame, &mut out),
            other => panic!("{other:?}"),
        }
    }
}

/// Frames one long stanza that comes in pieces. In pieces of nothing it is only written.
fn in_pieces(kind: &str, bytes: usize, piece: usize) {
    let stanza = stanzas::long(kind, bytes).expect("a kind of long stanza");
    if piece == 0 {
        return drop(black_box(stanza));
    }
    let mut scratch = Scratch::default();
    let mut framer = opened(&mut scratch);
    let mut end = 0;
    loop {
        end = (end + piece).min(stanza.len());
        match framer.next(&mut scratch, black_box(&stanza.as_bytes()[..end])).event {
            Event::Frame(frame) => break assert_eq!(frame.bytes().len(), stanza.len()),
            Event::Incomplete => assert!(end < stanza.len()),
            other => panic!("{other:?}"),
        }
    }
}
