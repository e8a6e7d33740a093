//! A name server of a test's own (RFC 1035).

use std::net::{SocketAddr, UdpSocket};

/// The kinds of records that are asked for.
pub const ADDRESS: u16 = 1;
pub const SERVICE: u16 = 33;

/// What is said of a name.
pub enum Said {
    /// Nothing: there is no answer.
    Nothing,
    /// That there is no such name.
    Unknown,
    /// The data of the records there are.
    Records(Vec<Vec<u8>>),
}

/// Starts one that answers what it is asked of a name, in lower case, and a kind of record.
pub fn start(say: impl Fn(&str, u16) -> Said + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length], &say) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    address
}

/// The answer to a message with one question (RFC 1035 §4.1).
fn answer(asked: &[u8], say: impl Fn(&str, u16) -> Said) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while asked[at] != 0 {
        let length = usize::from(asked[at]);
        labels.push(String::from_utf8_lossy(&asked[at + 1..][..length]).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([asked[at + 1], asked[at + 2]]);
    let (is_known, records) = match say(&labels.join("."), kind) {
        Said::Nothing => return None,
        Said::Unknown => (false, Vec::new()),
        Said::Records(records) => (true, records),
    };
    // The same id; a response, recursion available; no error, or no such name.
    let mut answer = vec![asked[0], asked[1], 0x81, if is_known { 0x80 } else { 0x83 }];
    answer.extend_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    answer.extend_from_slice(&asked[12..at + 5]);
    for data in records {
        // The name of the question, for a minute.
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&kind.to_be_bytes());
        answer.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        answer.extend_from_slice(&(data.len() as u16).to_be_bytes());
        answer.extend_from_slice(&data);
    }
    Some(answer)
}
