//! The admin socket's protocol: after a greeting from the server, requests and answers, one JSON object per line each.
//!
//! A request is `{"id":1,"do":"add-user","jid":"juliet@example.org","keys":[…]}`; its answer is `{"id":1,"done":…}` or
//! `{"id":1,"failed":{"kind":"exists","text":"…"}}`. Answers come in the order of the requests.

use std::io::{BufRead, ErrorKind, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::backend::Failure;
use super::request::{Done, Request};

/// Changes with every change that an older end would not understand.
pub(super) const VERSION: u32 = 3;

/// Bytes of a request at most.
pub(super) const REQUEST_BYTES_MAX: u64 = 64 << 10;

/// Bytes of an answer at most: a page of accounts with the longest of addresses.
pub(super) const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The server's first line.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Greeting {
    /// The program's version.
    pub rondel: String,
    /// [`VERSION`].
    pub protocol: u32,
}

/// A request with its number.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Numbered {
    pub id: u64,
    #[serde(flatten)]
    pub request: Request,
}

/// An answer with its request's number.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Answer {
    pub id: u64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How it went.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Done(Done),
    Failed(Failure),
}

/// What came instead of a line.
#[derive(Debug)]
pub(super) enum NoLine {
    /// The other end has closed.
    End,
    /// The line is longer than allowed.
    TooLong,
    /// It is not what it should be.
    Malformed(String),
    /// The socket failed.
    Broken(std::io::Error),
}

/// Reads a line of at most `bytes_max` bytes.
pub(super) fn read<T: DeserializeOwned>(reader: &mut impl BufRead, bytes_max: u64) -> Result<T, NoLine> {
    let mut line = Vec::new();
    let read = std::io::Read::take(reader, bytes_max + 1).read_until(b'\n', &mut line);
    match read {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(NoLine::End),
        Err(error) => Err(NoLine::Broken(error)),
        Ok(0) => Err(NoLine::End),
        Ok(_) if line.last() == Some(&b'\n') => {
            serde_json::from_slice(&line).map_err(|error| NoLine::Malformed(error.to_string()))
        }
        Ok(read) if read as u64 > bytes_max => Err(NoLine::TooLong),
        Ok(_) => Err(NoLine::End),
    }
}

/// Writes a line.
pub(super) fn write(writer: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::super::backend::ListUsers;
    use super::*;
    use crate::jid::Jid;

    #[test]
    fn lines_look_as_documented() {
        let request =
            Numbered { id: 1, request: Request::RemoveUser { jid: "juliet@example.org".into(), made_s: None } };
        let line = r#"{"id":1,"do":"remove-user","jid":"juliet@example.org"}"#;
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
        let request: Numbered = serde_json::from_str(r#"{"id":2,"do":"list-users","limit":5}"#).unwrap();
        assert_eq!(request.request, Request::ListUsers(ListUsers { limit: 5, ..ListUsers::default() }));
        let answer = Answer { id: 1, outcome: Outcome::Failed(Failure::exists(&Jid::parse("a@b").unwrap())) };
        let line = r#"{"id":1,"failed":{"kind":"exists","text":"a@b exists already"}}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), line);
        let answer = Answer { id: 3, outcome: Outcome::Done(Done::Nothing) };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"id":3,"done":"nothing"}"#);
    }

    #[test]
    fn lines_are_bounded() {
        let mut input: &[u8] = b"\"12345\"\n\"1234567\"\n";
        assert_eq!(read::<String>(&mut input, 8).unwrap(), "12345");
        assert!(matches!(read::<String>(&mut input, 8), Err(NoLine::TooLong)));
        let mut cut: &[u8] = b"\"123";
        assert!(matches!(read::<String>(&mut cut, 8), Err(NoLine::End)));
    }
}
