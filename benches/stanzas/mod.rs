//! What the benches read.

#[allow(dead_code, reason = "not all of the benches read streams")]
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams' \
     to='example.org' version='1.0'>";

/// A chat message of three elements and so many bytes.
pub fn chat(bytes: usize) -> String {
    let begin = "<message to='romeo@example.net/orchard' type='chat' id='0123456789ab'><body>";
    let end = "</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>";
    let text = "Wherefore art thou, Romeo? ".chars().cycle();
    let body: String = text.take(bytes - begin.len() - end.len()).collect();
    format!("{begin}{body}{end}")
}

/// A stanza of about so many bytes, nearly all of them in one kind of thing; `None` for a kind that there is not.
#[allow(dead_code, reason = "one of the benches counts with it")]
pub fn long(kind: &str, bytes: usize) -> Option<String> {
    let many = |piece: &str| piece.repeat(bytes / piece.len());
    Some(match kind {
        "text" => format!("<message><body>{}</body></message>", many("Wherefore art thou? ")),
        "umlauts" => format!("<message><body>{}</body></message>", many("ü")),
        "references" => format!("<message><body>{}</body></message>", many("&amp;")),
        "sections" => format!("<message><body><![CDATA[{}]]></body></message>", many("]] ")),
        "value" => format!("<message id='{}'/>", many("a")),
        "space" => format!("<message {}/>", many(" ")),
        "names" => format!("<message><{0}></{0}></message>", "n".repeat(bytes / 2)),
        "elements" => format!("<message>{}</message>", many("<a b='c'>d</a>")),
        _ => return None,
    })
}
