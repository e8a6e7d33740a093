//! What the benches read.

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
