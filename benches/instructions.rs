//! Work that repeats so many times as the argument says, to be counted by callgrind: what a stanza costs is the
//! difference between two counts. Started by `benches/instructions.sh`.

use std::hint::black_box;

use rondel::jid::Jid;
use rondel::xml::{Event, Framer, Limits, Scratch, Stamp};

mod stanzas;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(work), Some(times)) = (arguments.next(), arguments.next().and_then(|times| times.parse().ok())) else {
        println!("nothing to count: give `frame` or `relay`, and how many times");
        return;
    };
    let stanza = stanzas::chat(300);
    let mut scratch = Scratch::default();
    let mut framer = Framer::new(Limits { stanza_bytes: 1 << 18, depth: 64, attributes: 64, children: 4096 });
    assert!(matches!(framer.next(&mut scratch, stanzas::HEADER.as_bytes()).event, Event::Header(_)));
    let mut out = Vec::with_capacity(1024);
    for _ in 0..times {
        match framer.next(&mut scratch, black_box(stanza.as_bytes())).event {
            Event::Frame(frame) if work == "frame" => {
                black_box(frame.kind());
            }
            // What is done to a stanza between two sockets, sockets and tables aside.
            Event::Frame(frame) => {
                let to = frame.to().expect("an addressee").decoded();
                let to = Jid::parse(&to).expect("an address");
                black_box(rondel::home::home(to.bare(), 2));
                out.clear();
                frame.write_stamped(&mut out, &Stamp { from: Some("juliet@example.org/balcony"), ..Stamp::default() });
                black_box(&out);
            }
            other => panic!("{other:?}"),
        }
    }
}
