//! `rondel check`: whether a public server should run with these flags. It reads them as the server does, looks at what
//! they name, and at the host and the names by which it is found, and serves nobody.

mod host;
mod network;

use clap::Args;
use serde::Serialize;

use super::{SaslMechanism, ServeOptions, print};
use crate::certificates::Warning;
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
    /// Does not look for the names of the domains, where the domain name system cannot be asked.
    #[arg(long, env = "RONDEL_NO_DNS", help_heading = "Output")]
    pub no_dns: bool,
}

/// Something that a public server should not do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What it is, and why.
    pub what: String,
    /// The flag to set.
    pub flag: &'static str,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: impl Into<String>, flag: &'static str) {
        self.0.push(Finding { what: what.into(), flag });
    }
}

/// Prints what was found. An error is one line, and says how much.
pub fn run(flags: &CheckFlags) -> Result<(), String> {
    let findings = inspect(flags)?;
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

fn inspect(flags: &CheckFlags) -> Result<Vec<Finding>, String> {
    let options = &flags.serve;
    let mut findings = Findings::default();
    if options.dev {
        findings.add("This is for trying out: the certificate is one that nobody trusts.", "--dev");
    }
    if options.insecure_plaintext {
        findings.add("Logins without TLS are allowed: everything can be read on the way.", "--insecure-plaintext");
    }
    match options.rules.load(&options.domain) {
        Err(error) => findings.add(error, "--firewall"),
        Ok(None) => {}
        Ok(Some((_, warnings))) => {
            warnings.iter().for_each(|warning| findings.add(warning.to_string(), "--firewall"));
        }
    }
    certificates(options, &mut findings);
    match options.registration() {
        Ok(policy) => inspect_registration(options, &policy, &mut findings),
        Err(error) => findings.add(error, "--registration"),
    }
    host::inspect(options, &mut findings);
    // What is tried out on loopback addresses nobody else looks for.
    if !options.dev && !flags.no_dns {
        network::names(options, &mut findings);
    }
    network::ports(options, &mut findings);
    Ok(findings.0)
}

fn certificates(options: &ServeOptions, findings: &mut Findings) {
    let (store, warnings) = match options.certificates() {
        Err(error) => {
            let flag = if options.tls_key.contains(&error.path) { "--tls-key" } else { "--tls-cert" };
            return findings.add(error.to_string(), flag);
        }
        Ok(None) => return findings.add("There is no certificate: clients cannot encrypt.", "--tls-cert"),
        Ok(Some(certificates)) => certificates,
    };
    for warning in &warnings {
        let flag = if matches!(warning, Warning::ReadableByAll { .. }) { "--tls-key" } else { "--tls-cert" };
        findings.add(warning.to_string(), flag);
    }
    if !options.dev && warnings.iter().all(|warning| matches!(warning, Warning::ReadableByAll { .. })) {
        store.untrusted().into_iter().for_each(|text| findings.add(text, "--tls-cert"));
    }
}

fn inspect_registration(options: &ServeOptions, policy: &Policy, findings: &mut Findings) {
    let mut find = |what: &str, flag| findings.add(what, flag);
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
        // How full the disk of this machine is is nobody's news.
        let data = format!("--data-dir {} --alert-disk-free 0", directory.path().display());
        let options = serve(&format!("--dev {data} {flags}"));
        let flags = CheckFlags { serve: options, json: false, no_dns: true };
        inspect(&flags).unwrap().into_iter().map(|finding| finding.flag).collect()
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
