//! What a negotiation asks of its environment, and what is answered.

use super::error::StreamError;
use super::fast::TokenChange;
use super::inline::BindRequests;
use super::management::Resume;
#[cfg(doc)]
use super::negotiation::Negotiation;
use crate::jid::Jid;
use crate::sasl::{Failure, ScramKeys};
use crate::xml::Element;

/// What is stored of a user.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Keys by hash function.
    pub keys: Vec<ScramKeys>,
    /// Nobody may log in.
    pub disabled: Option<Failure>,
}

/// Why a resource was not bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BindRefusal {
    /// It is taken.
    Conflict,
    /// The account has too many.
    TooMany,
}

/// What the environment has to do. After an action that asks for an answer, nothing more of the client's bytes may be
/// handed in until the answer is: see [`Negotiation::is_waiting`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Begin TLS behind what was sent so far, then call [`Negotiation::on_tls`].
    StartTls,
    /// The next thing that the client sends is a stream header.
    ExpectHeader,
    /// Look the user up, then call [`Negotiation::on_credentials`].
    LookUp(Jid<'static>),
    /// Look the user up and verify the password on a side thread, then call [`Negotiation::on_password`].
    Verify {
        /// Whose.
        account: Jid<'static>,
        /// As it was sent.
        password: String,
    },
    /// Look up the tokens of one client of a user (XEP-0484), then call [`Negotiation::on_tokens`]. Whether there is
    /// such a user must not show.
    LookUpTokens {
        /// Whose.
        account: Jid<'static>,
        /// The client's installation.
        client: String,
    },
    /// The user has proved who it is: bring the stream to the account's home, then call [`Negotiation::on_home`].
    Authenticated(Jid<'static>),
    /// Apply the change to the tokens of a client, at the account's home, then call [`Negotiation::on_tokens_changed`]:
    /// not before the outcome is synced to disk. Refuse it if the account has changed since it was looked up.
    ChangeTokens {
        /// Whose.
        account: Jid<'static>,
        /// The client's installation.
        client: String,
        /// What changes.
        change: TokenChange,
    },
    /// Find the stream that is to be resumed, one of this account, then call [`Negotiation::on_resumed`]. The account
    /// has to be what it was when it was looked up.
    Resume {
        /// Whose.
        account: Jid<'static>,
        /// Which one.
        resume: Resume<'static>,
    },
    /// The stream has taken over a session, and the client has been told; what it has missed is next.
    Resumed,
    /// Bind this resource, then call [`Negotiation::on_bound`].
    Bind {
        /// The full JID.
        jid: Jid<'static>,
        /// The client's installation, if it says which (XEP-0388 §2.3): an earlier session of it ends. Never shown.
        agent: Option<String>,
        /// What the session is to have from its beginning.
        requests: BindRequests,
    },
    /// Answer what a client asks about registration (XEP-0077) before it has logged in, then call
    /// [`Negotiation::on_registration`].
    Register {
        /// On which domain.
        domain: String,
        /// The IQ.
        iq: Element,
        /// The token of an invitation that the client has shown before.
        token: Option<String>,
    },
    /// A login has failed: count it against the address.
    LoginFailed(Failure),
    /// A session is established; what is left of the negotiation is to say so.
    Established(Jid<'static>),
    /// End the stream with this error; the header has been sent.
    Close(StreamError),
    /// End the stream without one.
    End,
}
