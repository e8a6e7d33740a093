//! `rondel check`: whether a public server should run with these flags. It reads them as the server does, looks at what
//! they name, and serves nobody.

use clap::Args;
use serde::Serialize;

use super::{SaslMechanism, ServeOptions, print};
use crate::registration::{Mode, Policy};

/// The flags of `rondel check`: those of `rondel serve`, and how the answer looks.
#[derive(Args, Debug)]
pub struct CheckFlags {
    /// What the server would be told.
    #[command(flatten)]
    pub serve: ServeOptions,
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
}

/// Something that a public server should not do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What it is, and why.
    pub what: String,
    /// The flag to set.
    pub flag: &'static str,
}

/// Prints what was found. An error is one line, and says how much.
pub fn run(flags: &CheckFlags) -> Result<(), String> {
    let findings = inspect(&flags.serve)?;
    for finding in &findings {
        let line = match flags.json {
            true => serde_json::to_string(finding).map_err(|error| error.to_string())?,
            false => format!("{} ({})", finding.what, finding.flag),
        };
        print(&format!("{line}\n")).map_err(|error| error.to_string())?;
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err("there is one thing to see to".into()),
        number => Err(format!("there are {number} things to see to")),
    }
}

fn inspect(options: &ServeOptions) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    let mut find = |what: &str, flag| findings.push(Finding { what: what.to_owned(), flag });
    if options.dev {
        find("This is for trying out: the certificate is one that nobody trusts.", "--dev");
    }
    if options.insecure_plaintext {
        find("Logins without TLS are allowed: everything can be read on the way.", "--insecure-plaintext");
    }
    match options.rules.load(&options.domain) {
        Err(error) => find(&error, "--firewall"),
        Ok(None) => {}
        Ok(Some((_, warnings))) => warnings.iter().for_each(|warning| find(&warning.to_string(), "--firewall")),
    }
    match options.certificates() {
        Err(error) => find(&error.to_string(), "--tls-cert"),
        Ok(None) => find("There is no certificate: clients cannot encrypt.", "--tls-cert"),
        Ok(Some((_, warnings))) => warnings.iter().for_each(|warning| find(&warning.to_string(), "--tls-cert")),
    }
    inspect_registration(options, &options.registration()?, &mut find);
    Ok(findings)
}

fn inspect_registration(options: &ServeOptions, policy: &Policy, find: &mut impl FnMut(&str, &'static str)) {
    let plain = options.sasl_mechanisms.contains(&SaslMechanism::Plain);
    let has_abuse = options.contact.server_info(&options.archive, plain).has_contact("abuse");
    let by_strangers = matches!(policy.mode, Mode::Open | Mode::Approve);
    if policy.mode != Mode::Closed && !has_abuse {
        find("Others may register, and nobody can be told of abuse.", "--contact");
    }
    if policy.mode != Mode::Closed && policy.administrators.is_empty() {
        find("Others may register, and nobody is told of it, or of reports.", "--admin");
    }
    if by_strangers && policy.throttle.interval_us == 0 && policy.throttle.per_day == 0 {
        find("One address may register as many accounts as it likes.", "--registrations-per-day");
    }
    if policy.mode == Mode::Open && policy.new_accounts.age_s == 0 {
        find("New accounts may write to as many strangers as they like.", "--new-account-limits");
    }
    if policy.mode != Mode::Closed && policy.passwords.strength_min == 0 && policy.passwords.chars_min < 8 {
        find("People may choose passwords that are soon guessed.", "--password-strength");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::serve;

    fn flags(flags: &str) -> Vec<&'static str> {
        let directory = tempfile::tempdir().unwrap();
        let options = serve(&format!("--dev --data-dir {} {flags}", directory.path().display()));
        inspect(&options).unwrap().into_iter().map(|finding| finding.flag).collect()
    }

    #[test]
    fn what_a_public_server_should_not_do_is_found() {
        assert_eq!(flags(""), ["--dev"]);
        assert_eq!(flags("--insecure-plaintext"), ["--dev", "--insecure-plaintext"]);
        assert_eq!(flags("--registration invite"), ["--dev", "--contact", "--admin"]);
        let good = "--registration open --admin a@localhost --contact abuse=mailto:abuse@example.org";
        assert_eq!(flags(good), ["--dev"]);
        let lax = "--registration-interval 0 --registrations-per-day 0 --new-account-limits 0 --password-strength 0 \
                   --password-length 1";
        let found = ["--dev", "--registrations-per-day", "--new-account-limits", "--password-strength"];
        assert_eq!(flags(&format!("{good} {lax}")), found);
    }
}
