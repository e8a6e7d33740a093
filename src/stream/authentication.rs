//! One try to log in: a SASL mechanism's messages, in the wrapping of either profile.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::action::Credentials;
use super::config::Config;
use super::fast::{FastRequest, Tokens, Used};
use super::features;
use crate::jid::{self, Jid};
use crate::random;
use crate::sasl::{Bindings, ClientFirst, Failure, Ht, HtMessage, Mechanism, PlainMessage, Scram};
use crate::xml::namespaces as ns;

/// How SASL is carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Profile {
    /// RFC 6120 §6.
    Legacy,
    /// XEP-0388.
    Sasl2,
}

impl Profile {
    pub fn namespace(self) -> &'static str {
        match self {
            Profile::Legacy => ns::SASL,
            Profile::Sasl2 => ns::SASL2,
        }
    }
}

/// What a client logs in with.
#[derive(Debug)]
pub(super) enum Means {
    Mechanism(Mechanism),
    /// A token of this client (XEP-0484).
    Token {
        mechanism: Ht,
        client: String,
        request: FastRequest,
    },
}

/// What a client has proved, and how.
#[derive(Debug)]
pub(super) struct Proved {
    pub profile: Profile,
    /// The mechanism's last words, in base64.
    pub additional_data: Option<String>,
    /// The token, if it was one.
    pub used: Option<Used>,
}

/// What a message leads to.
pub(super) enum Step {
    /// In base64.
    Challenge(Box<Attempt>, String),
    LookUp(Box<Attempt>, Jid<'static>),
    Verify(Box<Attempt>, Jid<'static>, String),
    /// The client's name behind the account.
    LookUpTokens(Box<Attempt>, Jid<'static>, String),
    Success(Jid<'static>, Proved),
    Failure(Profile, Failure),
}

impl Step {
    fn success(profile: Profile, account: Jid<'static>, additional_data: Option<String>) -> Step {
        Step::Success(account, Proved { profile, additional_data, used: None })
    }
}

#[derive(Debug)]
pub(super) struct Attempt {
    profile: Profile,
    means: Means,
    domain: String,
    offered_plus: bool,
    bindings: Bindings,
    /// Who the client says it is, in its stream header.
    from: Option<Jid<'static>>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The client's first message is next.
    First,
    /// The environment looks the user up.
    LookingUp { first: ClientFirst, account: Jid<'static> },
    /// The client's proof is next.
    Proof { scram: Scram, account: Jid<'static>, disabled: Option<Failure> },
    /// The environment verifies a password.
    Verifying { account: Jid<'static> },
    /// The environment looks the client's tokens up.
    LookingUpTokens { account: Jid<'static>, hashed: Vec<u8> },
}

impl Attempt {
    pub fn new(
        profile: Profile,
        means: Means,
        domain: String,
        offered_plus: bool,
        bindings: Bindings,
        from: Option<Jid<'static>>,
    ) -> Box<Attempt> {
        Box::new(Attempt { profile, means, domain, offered_plus, bindings, from, stage: Stage::First })
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::LookingUp { .. } | Stage::Verifying { .. } | Stage::LookingUpTokens { .. })
    }

    /// The client has sent no initial response: an empty challenge asks for it (RFC 6120 §6.4.2).
    pub fn ask(self: Box<Self>) -> Step {
        Step::Challenge(self, String::new())
    }

    /// A response in base64; `=` is an empty one.
    pub fn on_response(mut self: Box<Self>, text: &str) -> Step {
        let profile = self.profile;
        let text = if text == "=" { "" } else { text };
        let Ok(message) = BASE64.decode(text) else { return Step::Failure(profile, Failure::IncorrectEncoding) };
        match (std::mem::replace(&mut self.stage, Stage::First), &self.means) {
            (Stage::First, Means::Mechanism(Mechanism::Scram { plus, .. })) => {
                let first = ClientFirst::parse(&message, *plus, self.offered_plus, &self.bindings);
                let named = first.and_then(|first| {
                    let account = self.account(&first.username, first.authzid.as_deref())?;
                    Ok((first, account))
                });
                match named {
                    Ok((first, account)) => {
                        self.stage = Stage::LookingUp { first, account: account.clone() };
                        Step::LookUp(self, account)
                    }
                    Err(failure) => Step::Failure(profile, failure),
                }
            }
            (Stage::Proof { scram, account, disabled }, _) => match scram.finish(&message) {
                // Only whoever knows the password learns that the account is disabled.
                Ok(_) if let Some(failure) = disabled => Step::Failure(profile, failure),
                Ok(last) => Step::success(profile, account, Some(BASE64.encode(last))),
                Err(failure) => Step::Failure(profile, failure),
            },
            (Stage::First, Means::Mechanism(Mechanism::Plain)) => {
                let named = PlainMessage::parse(&message).and_then(|message| {
                    let account = self.account(&message.username, message.authzid.as_deref())?;
                    Ok((account, message.password))
                });
                match named {
                    Ok((account, password)) => {
                        self.stage = Stage::Verifying { account: account.clone() };
                        Step::Verify(self, account, password)
                    }
                    Err(failure) => Step::Failure(profile, failure),
                }
            }
            (Stage::First, Means::Mechanism(Mechanism::Anonymous)) => {
                let name = format!("{}@{}", random::name().to_lowercase(), self.domain);
                match Jid::parse(&name).map(Jid::into_owned) {
                    Ok(account) => Step::success(profile, account, None),
                    Err(_) => Step::Failure(profile, Failure::TemporaryAuthFailure),
                }
            }
            (Stage::First, Means::Token { client, .. }) => {
                let named = HtMessage::parse(&message).and_then(|message| {
                    let account = self.account(&message.username, None)?;
                    // Whom the client names in its stream header (XEP-0484 §4.1) is who logs in.
                    let is_other = |from: &Jid<'_>| from.local().is_some() && from.bare() != account.bare();
                    if self.from.as_ref().is_some_and(is_other) {
                        Err(Failure::InvalidAuthzid)
                    } else {
                        Ok((account, message.hashed))
                    }
                });
                match named {
                    Ok((account, hashed)) => {
                        let client = client.clone();
                        self.stage = Stage::LookingUpTokens { account: account.clone(), hashed };
                        Step::LookUpTokens(self, account, client)
                    }
                    Err(failure) => Step::Failure(profile, failure),
                }
            }
            (Stage::LookingUp { .. } | Stage::Verifying { .. } | Stage::LookingUpTokens { .. }, _) => {
                Step::Failure(profile, Failure::MalformedRequest)
            }
        }
    }

    pub fn on_credentials(
        mut self: Box<Self>,
        config: &Config,
        domain: &str,
        tls: Option<&Bindings>,
        credentials: Option<Credentials>,
    ) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::First);
        let (Stage::LookingUp { first, account }, Means::Mechanism(Mechanism::Scram { hash, .. })) =
            (stage, &self.means)
        else {
            return Step::Failure(self.profile, Failure::TemporaryAuthFailure);
        };
        let hash = *hash;
        let disabled = credentials.as_ref().and_then(|credentials| credentials.disabled);
        let keys = credentials.and_then(|credentials| credentials.keys.into_iter().find(|keys| keys.hash == hash));
        let keys = keys.unwrap_or_else(|| config.unknown.keys(account.bare(), hash));
        let mechanisms = features::mechanisms(config, domain, tls);
        let types = Some(features::binding_names(&mechanisms, tls)).filter(|names| !names.is_empty());
        let offered = mechanisms.iter().map(|mechanism| mechanism.name()).collect();
        let scram = Scram::new(first, keys, &random::name(), &Scram::offer(offered, types));
        let challenge = BASE64.encode(scram.server_first());
        self.stage = Stage::Proof { scram, account, disabled };
        Step::Challenge(self, challenge)
    }

    pub fn on_password(self: Box<Self>, outcome: Result<(), Failure>) -> Step {
        match (self.stage, outcome) {
            (Stage::Verifying { account }, Ok(())) => Step::success(self.profile, account, None),
            (_, Err(failure)) => Step::Failure(self.profile, failure),
            (_, Ok(())) => Step::Failure(self.profile, Failure::TemporaryAuthFailure),
        }
    }

    pub fn on_tokens(self: Box<Self>, tokens: &Tokens, disabled: Option<Failure>, now_s: u64) -> Step {
        let (Stage::LookingUpTokens { account, hashed }, Means::Token { mechanism, request, .. }) =
            (self.stage, self.means)
        else {
            return Step::Failure(self.profile, Failure::TemporaryAuthFailure);
        };
        match tokens.prove(mechanism, &hashed, &self.bindings, &request, now_s) {
            // As with passwords, nobody else learns that.
            Ok(_) if let Some(failure) = disabled => Step::Failure(self.profile, failure),
            Ok((used, answer)) => {
                let additional_data = Some(BASE64.encode(answer));
                Step::Success(account, Proved { profile: self.profile, additional_data, used: Some(used) })
            }
            Err(failure) => Step::Failure(self.profile, failure),
        }
    }

    /// The account of a user name. Nobody acts for anybody else: an authorization identity has to be the same account,
    /// and with SASL2 that of the stream header as well, if that names one (XEP-0388 §2.3).
    fn account(&self, username: &str, authzid: Option<&str>) -> Result<Jid<'static>, Failure> {
        let local = jid::localpart(username).map_err(|_| Failure::NotAuthorized)?;
        let name = format!("{local}@{}", self.domain);
        let account = Jid::parse(&name).map_err(|_| Failure::NotAuthorized)?.into_owned();
        match authzid.map(Jid::parse) {
            None => Ok(account),
            Some(Ok(other)) if !other.is_full() && other.bare() == account.bare() => match &self.from {
                Some(from) if self.profile == Profile::Sasl2 && from.bare() != account.bare() => {
                    Err(Failure::InvalidAuthzid)
                }
                _ => Ok(account),
            },
            Some(_) => Err(Failure::InvalidAuthzid),
        }
    }
}
