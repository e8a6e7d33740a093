//! The admin socket's protocol: after a greeting from the server, requests and answers, one JSON object per line each.
//!
//! A request is `{"id":1,"do":"add-user","jid":"juliet@example.org","keys":[…]}`; its answer is `{"id":1,"done":…}` or
//! `{"id":1,"failed":{"kind":"exists","text":"…"}}`. Answers come in the order of the requests.

use std::io::{BufRead, ErrorKind, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::applicants::PendingPage;
use super::backend::{Backend, Failure, FailureKind, ListUsers, Status, UserDetails, UserPage};
use super::invites::{MadeInvite, NewInvite, OpenInvite};
use super::keys::{self, WrittenKeys};
use super::log::{ListLog, LogPage};
use crate::jid::Jid;
use crate::shard::Traced;

/// Changes with every change that an older end would not understand.
pub(super) const VERSION: u32 = 2;

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

/// What is asked.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    Status,
    AddUser {
        jid: String,
        keys: Vec<WrittenKeys>,
    },
    SetKeys {
        jid: String,
        keys: Vec<WrittenKeys>,
    },
    RemoveUser {
        jid: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_s: Option<u64>,
    },
    DisableUser {
        jid: String,
        reason: String,
    },
    EnableUser {
        jid: String,
    },
    ListUsers(ListUsers),
    ShowUser {
        jid: String,
    },
    ListPending {
        after: Option<String>,
    },
    Approve {
        jid: String,
    },
    Reject {
        jid: String,
    },
    CreateInvite(NewInvite),
    ListInvites,
    RevokeInvite {
        invite: String,
    },
    ListLog(ListLog),
    Announce {
        words: String,
        domain: Option<String>,
        everybody: bool,
    },
    LogLevels,
    ChangeLogLevels {
        changes: String,
    },
    /// Answered again and again, until the client closes the connection.
    Trace {
        jid: String,
    },
}

impl Request {
    /// Its name, as it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Status => "status",
            Request::AddUser { .. } => "add-user",
            Request::SetKeys { .. } => "set-keys",
            Request::RemoveUser { .. } => "remove-user",
            Request::DisableUser { .. } => "disable-user",
            Request::EnableUser { .. } => "enable-user",
            Request::ListUsers(_) => "list-users",
            Request::ShowUser { .. } => "show-user",
            Request::ListPending { .. } => "list-pending",
            Request::Approve { .. } => "approve",
            Request::Reject { .. } => "reject",
            Request::CreateInvite(_) => "create-invite",
            Request::ListInvites => "list-invites",
            Request::RevokeInvite { .. } => "revoke-invite",
            Request::ListLog(_) => "list-log",
            Request::Announce { .. } => "announce",
            Request::LogLevels => "log-levels",
            Request::ChangeLogLevels { .. } => "change-log-levels",
            Request::Trace { .. } => "trace",
        }
    }
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

/// What comes of a request that was carried out.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    Nothing,
    Status(Status),
    Users(UserPage),
    User(UserDetails),
    Log(LogPage),
    Pending(PendingPage),
    Invite(MadeInvite),
    Invites(Vec<OpenInvite>),
    Levels(String),
    Traced(Traced),
}

/// Has a request carried out. What comes of it on the way is handed to `tell`, which answers whether anybody listens.
pub(super) fn carry_out(
    backend: &dyn Backend,
    request: Request,
    tell: &mut dyn FnMut(Done) -> bool,
) -> Result<Done, Failure> {
    match request {
        Request::Status => backend.status().map(Done::Status),
        Request::AddUser { jid, keys } => backend.add_user(&account(&jid)?, keys::read(&keys)?).map(|()| Done::Nothing),
        Request::SetKeys { jid, keys } => backend.set_keys(&account(&jid)?, keys::read(&keys)?).map(|()| Done::Nothing),
        Request::RemoveUser { jid, made_s } => backend.remove_user(&account(&jid)?, made_s).map(|()| Done::Nothing),
        Request::DisableUser { jid, reason } => backend.disable_user(&account(&jid)?, &reason).map(|()| Done::Nothing),
        Request::EnableUser { jid } => backend.enable_user(&account(&jid)?).map(|()| Done::Nothing),
        Request::ListUsers(list) => backend.list_users(&list).map(Done::Users),
        Request::ShowUser { jid } => backend.show_user(&account(&jid)?).map(Done::User),
        Request::ListPending { after } => backend.list_pending(after.as_deref()).map(Done::Pending),
        Request::Approve { jid } => backend.approve(&account(&jid)?).map(|()| Done::Nothing),
        Request::Reject { jid } => backend.reject(&account(&jid)?).map(|()| Done::Nothing),
        Request::CreateInvite(new) => backend.create_invite(&new).map(Done::Invite),
        Request::ListInvites => backend.list_invites().map(Done::Invites),
        Request::RevokeInvite { invite } => backend.revoke_invite(&invite).map(|()| Done::Nothing),
        Request::ListLog(list) => backend.list_log(&list).map(Done::Log),
        Request::Announce { words, domain, everybody } => {
            backend.announce(&words, domain.as_deref(), everybody).map(|()| Done::Nothing)
        }
        Request::LogLevels => backend.log_levels().map(Done::Levels),
        Request::ChangeLogLevels { changes } => backend.change_log_levels(&changes).map(Done::Levels),
        Request::Trace { jid } => {
            let account = account(&jid)?;
            let mut each = |traced: Option<Traced>| tell(traced.map_or(Done::Nothing, Done::Traced));
            backend.trace(&account, &mut each).map(|()| Done::Nothing)
        }
    }
}

/// The address of an account.
fn account(jid: &str) -> Result<Jid<'_>, Failure> {
    let account = Jid::parse(jid).ok().filter(|jid| jid.local().is_some() && !jid.is_full());
    account.ok_or_else(|| Failure::new(FailureKind::Invalid, format!("{jid:?} is not the address of an account")))
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
    use super::*;

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
