//! What flags must say together: checked before anything is opened, one line per mistake.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::ValueEnum;

use crate::cli::ServeOptions;
use crate::cli::values::write_size;

const PORT: u16 = 5222;
const PORT_DIRECT_TLS: u16 = 5223;

/// Fills in what depends on other flags, and checks what none can say alone.
pub fn complete(options: &mut ServeOptions) -> Result<(), String> {
    if options.domain.is_empty() {
        match options.dev {
            true => options.domain.push("localhost".into()),
            false => return Err("--domain is missing; name the domain to serve, such as --domain example.org".into()),
        }
    }
    first_twice(&options.domain).map_or(Ok(()), |domain| Err(format!("--domain: {domain} is given twice")))?;
    check_certificates(options)?;
    complete_listeners(options)?;
    options.web.check(&options.domain)?;
    options.strangers.check(&options.domain)?;
    options.traffic.limits()?;
    if let Some(anonymous) = options.anonymous.as_ref().filter(|anonymous| !options.domain.contains(anonymous)) {
        let domains = options.domain.join(", ");
        return Err(format!("--anonymous: {anonymous:?} is not served; name one of {domains}"));
    }
    if options.max_stanza_size_before_login > options.max_stanza_size {
        let size = write_size(options.max_stanza_size_before_login as u64);
        let max = write_size(options.max_stanza_size as u64);
        return Err(format!("--max-stanza-size-before-login: {size} is more than --max-stanza-size, {max}"));
    }
    if options.outbox_limit < options.max_stanza_size * 2 {
        let (limit, right) = (write_size(options.outbox_limit as u64), write_size(options.max_stanza_size as u64 * 2));
        return Err(format!("--outbox-limit: {limit} is less than two of --max-stanza-size; at least {right}"));
    }
    if let Some(mechanism) = first_twice(&options.sasl_mechanisms) {
        let mechanism = mechanism.to_possible_value();
        let name = mechanism.as_ref().map_or("a mechanism", |value| value.get_name());
        return Err(format!("--sasl-mechanisms: {name} is given twice"));
    }
    Ok(())
}

fn check_certificates(options: &ServeOptions) -> Result<(), String> {
    let (certificates, keys) = (options.tls_cert.len(), options.tls_key.len());
    if certificates != keys {
        return Err(format!(
            "--tls-cert is given {certificates} and --tls-key {keys} times; each certificate needs its key, in the \
             same \
             order"
        ));
    }
    if certificates == 0 && !options.dev && !options.insecure_plaintext {
        return Err("--tls-cert and --tls-key are missing; clients need TLS (for trying out: --dev)".into());
    }
    Ok(())
}

fn complete_listeners(options: &mut ServeOptions) -> Result<(), String> {
    let tls = options.dev || !options.tls_cert.is_empty();
    if !tls && !options.listen_direct_tls.is_empty() {
        return Err("--listen-direct-tls needs --tls-cert and --tls-key".into());
    }
    if options.listen.is_empty() {
        options.listen = everywhere(PORT, options.dev);
    }
    if options.listen_direct_tls.is_empty() && tls {
        options.listen_direct_tls = everywhere(PORT_DIRECT_TLS, options.dev);
    }
    if !tls && !options.web.https.is_empty() {
        return Err("--https needs --tls-cert and --tls-key".into());
    }
    let all = || options.listen.iter().chain(&options.listen_direct_tls).chain(&options.web.https);
    let fixed: Vec<_> = all().filter(|at| at.port() != 0).collect();
    if let Some(address) = first_twice(&fixed) {
        return Err(format!("--listen, --listen-direct-tls and --https: {address} is given twice"));
    }
    let open = all().find(|address| !address.ip().is_loopback());
    match open {
        Some(address) if options.dev => Err(format!(
            "--dev: {address} is not a loopback address, and a development certificate protects nobody; 127.0.0.1 or \
             [::1]"
        )),
        _ => Ok(()),
    }
}

/// All addresses of this host, or all its loopback ones, with IPv6 where the host has it.
fn everywhere(port: u16, loopback: bool) -> Vec<SocketAddr> {
    let (v4, v6) = match loopback {
        true => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        false => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
    };
    let mut addresses = vec![SocketAddr::from((v4, port))];
    if std::net::UdpSocket::bind((v6, 0)).is_ok() {
        addresses.push(SocketAddr::from((v6, port)));
    }
    addresses
}

fn first_twice<T: PartialEq>(items: &[T]) -> Option<&T> {
    items.iter().enumerate().find_map(|(index, item)| items[..index].contains(item).then_some(item))
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::{serve, usage};

    #[test]
    fn a_plain_start_listens_everywhere_and_a_development_one_on_loopback() {
        let options = serve("--domain Example.org --tls-cert a.pem --tls-key a.key");
        assert_eq!(options.domain, ["example.org"]);
        assert!(options.listen.contains(&"0.0.0.0:5222".parse().unwrap()));
        assert!(options.listen_direct_tls.contains(&"0.0.0.0:5223".parse().unwrap()));
        let options = serve("--dev");
        assert_eq!(options.domain, ["localhost"]);
        assert!(options.listen.iter().chain(&options.listen_direct_tls).all(|address| address.ip().is_loopback()));
        let options = serve("--domain a.org --insecure-plaintext --listen 127.0.0.1:0,[::1]:0");
        assert_eq!((options.listen.len(), options.listen_direct_tls.len()), (2, 0));
    }

    #[test]
    fn what_does_not_fit_together_is_one_line() {
        let tls = "--domain a.org --tls-cert a.pem --tls-key a.key";
        for (flags, wrong) in [
            ("", "--domain is missing"),
            ("--domain a.org", "--tls-cert and --tls-key are missing"),
            ("--domain a.org --domain A.org. --dev", "--domain: a.org is given twice"),
            ("--domain a.org --tls-cert a.pem", "--tls-cert is given 1 and --tls-key 0 times"),
            ("--domain a.org --insecure-plaintext --listen-direct-tls 127.0.0.1:1", "--listen-direct-tls needs"),
            ("--dev --listen 0.0.0.0:5222", "--dev: 0.0.0.0:5222 is not a loopback address"),
            ("--dev --listen 127.0.0.1:1 --listen-direct-tls 127.0.0.1:1", "127.0.0.1:1 is given twice"),
            (&format!("{tls} --anonymous b.org"), "--anonymous: \"b.org\" is not served; name one of a.org"),
            (
                &format!("{tls} --max-stanza-size 10kB --max-stanza-size-before-login 20kB"),
                "--max-stanza-size-before-login: 20kB is more than --max-stanza-size, 10kB",
            ),
            (&format!("{tls} --outbox-limit 64KiB"), "--outbox-limit: 64KiB is less than two of --max-stanza-size"),
            (&format!("{tls} --sasl-mechanisms PLAIN,PLAIN"), "--sasl-mechanisms: PLAIN is given twice"),
        ] {
            let line = usage(&format!("serve {flags}"));
            assert!(line.contains(wrong) && line.lines().count() == 1, "{flags}: {line}");
        }
    }
}
