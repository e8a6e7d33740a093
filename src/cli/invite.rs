//! `rondel invite`: invitations to register, of a running server or of a data directory that none uses.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::access::Access;
use super::{Target, names, print, values};
use crate::admin::{Backend, MadeInvite, NewInvite, OpenInvite, Request, ask};
use crate::datetime;
use crate::jid::{self, Jid};

/// The subcommands of `rondel invite`.
#[derive(Subcommand, Debug)]
pub enum InviteAction {
    /// Makes an invitation, and prints the address that whoever is invited opens
    Create(CreateInvite),
    /// Makes an invitation to choose a new password, for an account whose owner has forgotten it
    Reset(ResetInvite),
    /// Shows the invitations that are open
    List(ListInvites),
    /// Takes an invitation back
    Revoke(RevokeInvite),
}

/// The flags of `rondel invite create`.
#[derive(Args, Debug)]
pub struct CreateInvite {
    /// To which domain. Without it: to the main domain of the running server.
    #[arg(long = "to-domain", env = "RONDEL_TO_DOMAIN", value_name = "DOMAIN", value_parser = names::domain)]
    #[arg(help_heading = "Invitation")]
    pub domain: Option<String>,
    /// The name of the account that is made with it; nobody else gets it meanwhile. Without it: one that whoever is
    /// invited chooses.
    #[arg(long, env = "RONDEL_USERNAME", value_name = "NAME", value_parser = username, help_heading = "Invitation")]
    pub username: Option<String>,
    /// Whose contact becomes whoever is invited.
    #[arg(long = "contact-of", env = "RONDEL_CONTACT_OF", value_name = "JID", value_parser = names::account)]
    #[arg(help_heading = "Invitation")]
    pub contact: Option<Jid<'static>>,
    /// How many accounts can be made with it.
    #[arg(long, env = "RONDEL_USES", value_name = "NUMBER", default_value = "1", conflicts_with = "username")]
    #[arg(value_parser = values::number(1, 10_000), help_heading = "Invitation")]
    pub uses: usize,
    /// For how long it holds.
    #[arg(long, env = "RONDEL_LIFETIME", value_name = "DURATION", default_value = "7d", help_heading = "Invitation")]
    #[arg(value_parser = values::duration(Duration::from_secs(1), Duration::from_secs(3_650 * 86_400)))]
    pub lifetime: Duration,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel invite reset`.
#[derive(Args, Debug)]
pub struct ResetInvite {
    /// The account.
    #[arg(value_name = "JID", value_parser = names::account)]
    pub jid: Jid<'static>,
    /// For how long it holds.
    #[arg(long, env = "RONDEL_LIFETIME", value_name = "DURATION", default_value = "1d", help_heading = "Invitation")]
    #[arg(value_parser = values::duration(Duration::from_secs(1), Duration::from_secs(30 * 86_400)))]
    pub lifetime: Duration,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel invite list`.
#[derive(Args, Debug)]
pub struct ListInvites {
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel invite revoke`.
#[derive(Args, Debug)]
pub struct RevokeInvite {
    /// Which, as the list shows it.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

fn username(text: &str) -> Result<String, String> {
    jid::localpart(text).map(std::borrow::Cow::into_owned).map_err(|_| "a user name, such as juliet".into())
}

/// Does what was asked. An error is one line.
pub fn run(action: &InviteAction) -> Result<(), String> {
    let target = match action {
        InviteAction::Create(flags) => &flags.target,
        InviteAction::Reset(flags) => &flags.target,
        InviteAction::List(flags) => &flags.target,
        InviteAction::Revoke(flags) => &flags.target,
    };
    let backend = Access::open(target, false)?.backend()?;
    let printed = match action {
        InviteAction::Create(flags) => create(&*backend, new(flags))?,
        InviteAction::Reset(flags) => create(&*backend, reset(flags))?,
        InviteAction::List(flags) => {
            let all: Vec<OpenInvite> = ask(&*backend, Request::ListInvites).map_err(|failure| failure.text)?;
            let line = |open: &OpenInvite| match flags.json {
                true => serde_json::to_string(open).map_err(|error| error.to_string()),
                false => Ok(line(open)),
            };
            all.iter().map(|open| line(open).map(|line| line + "\n")).collect::<Result<String, String>>()?
        }
        InviteAction::Revoke(flags) => {
            ask::<()>(&*backend, Request::RevokeInvite { invite: flags.id.clone() }).map_err(|failure| failure.text)?;
            format!("revoked {}\n", flags.id)
        }
    };
    print(&printed).map_err(|error| error.to_string())
}

fn new(flags: &CreateInvite) -> NewInvite {
    NewInvite {
        domain: flags.domain.clone(),
        username: flags.username.clone(),
        contact: flags.contact.as_ref().map(ToString::to_string),
        uses: u32::try_from(flags.uses).unwrap_or(u32::MAX),
        lifetime_s: flags.lifetime.as_secs(),
        resets: false,
    }
}

fn reset(flags: &ResetInvite) -> NewInvite {
    NewInvite {
        domain: Some(flags.jid.domain().to_owned()),
        username: flags.jid.local().map(str::to_owned),
        contact: None,
        uses: 1,
        lifetime_s: flags.lifetime.as_secs(),
        resets: true,
    }
}

fn create(backend: &dyn Backend, new: NewInvite) -> Result<String, String> {
    let made: MadeInvite = ask(backend, Request::CreateInvite(new)).map_err(|failure| failure.text)?;
    let page = made.page.map(|page| format!("{page}\n")).unwrap_or_default();
    Ok(format!("{}\n{page}until {}\n", made.uri, datetime::utc_s(made.expires_s)))
}

fn line(open: &OpenInvite) -> String {
    let what = match (&open.username, open.registers) {
        (Some(username), _) if open.resets => format!("new password for {username}@{}", open.domain),
        (Some(username), _) => format!("account {username}@{}", open.domain),
        (None, true) => format!("account on {}", open.domain),
        (None, false) => "contact".to_owned(),
    };
    let inviter = open.inviter.as_ref().map(|inviter| format!(", contact of {inviter}")).unwrap_or_default();
    let until = datetime::utc_s(open.expires_s);
    format!("{} {what}{inviter}, {} left, until {until}", open.id, open.uses_left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_a_line() {
        let open = OpenInvite {
            id: "0123456789ab".into(),
            domain: "x.org".into(),
            inviter: Some("juliet@x.org".into()),
            registers: true,
            username: None,
            resets: false,
            expires_s: 1_700_000_000,
            uses_left: 2,
        };
        assert_eq!(
            line(&open),
            "0123456789ab account on x.org, contact of juliet@x.org, 2 left, until 2023-11-14T22:13:20Z"
        );
        let named = OpenInvite { username: Some("romeo".into()), inviter: None, ..open.clone() };
        assert!(line(&named).starts_with("0123456789ab account romeo@x.org, 2 left"));
        assert!(line(&OpenInvite { registers: false, ..open }).contains(" contact, contact of juliet@x.org"));
    }
}
