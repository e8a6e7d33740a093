//! Flags of `rondel serve`: what new accounts are held to, until it shows what they are for.

use std::time::Duration;

use clap::Args;
use rondel_shards::Rate;

use super::values;
use crate::account::restraint::NewAccountLimits;

/// Limits of new accounts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "New accounts")]
pub struct Newcomers {
    /// For how long an account that somebody has registered is new, and held to the limits below. 0: not at all. Those
    /// that an operator makes are not; rondel user unlimit says so of others.
    #[arg(long, env = "RONDEL_NEW_ACCOUNT_LIMITS", value_name = "DURATION", default_value = "1d")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_secs(3650 * 86_400)))]
    pub new_account_limits: Duration,

    /// Strangers to whom a new account may write in an hour, or ask for their presence. Who is a contact, or has
    /// written to it, is none, and administrators are not.
    #[arg(long, env = "RONDEL_NEW_ACCOUNT_STRANGERS", value_name = "NUMBER", default_value = "10")]
    #[arg(value_parser = values::number(0, 10_000))]
    pub new_account_strangers: usize,

    /// Stanzas that a new account may send to others: messages, requests, presence to some.
    #[arg(long, env = "RONDEL_NEW_ACCOUNT_RATE", value_name = "RATE", default_value = "2/s:60")]
    #[arg(value_parser = values::rate)]
    pub new_account_rate: values::Rate,
}

impl Newcomers {
    /// The limits.
    pub fn limits(&self) -> NewAccountLimits {
        NewAccountLimits {
            age_s: self.new_account_limits.as_secs(),
            strangers: self.new_account_strangers,
            stanzas: Rate { per_second: self.new_account_rate.per_second, burst: self.new_account_rate.burst },
        }
    }
}
