//! How clients find the server: the names of its domains, and its ports.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};

use super::Findings;
use crate::admin::{ConnectError, Remote};
use crate::cli::ServeOptions;
use crate::dns::{Lookup, ServiceRecord};

const PORT: u16 = 5222;

/// Under which names other servers look for one, in the clear with STARTTLS and with TLS.
const OTHER_SERVERS: [&str; 2] = ["_xmpp-server._tcp", "_xmpps-server._tcp"];

/// Looks for each domain as a client does (RFC 6120 §3.2, XEP-0368).
pub(super) fn names(options: &ServeOptions, findings: &mut Findings) {
    let lookup = match Lookup::new(options.dns_server) {
        Ok(lookup) => lookup,
        Err(error) => return findings.add(error, "--dns-server"),
    };
    let ports = |listeners: &[SocketAddr]| listeners.iter().map(SocketAddr::port).collect::<BTreeSet<u16>>();
    let services =
        [("_xmpp-client._tcp", ports(&options.listen)), ("_xmpps-client._tcp", ports(&options.listen_direct_tls))];
    for domain in &options.domain {
        let ascii = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.clone());
        let mut found_by_service = false;
        for (service, ports) in &services {
            let name = format!("{service}.{ascii}");
            match lookup.services(&name) {
                Err(error) => findings.add(format!("{name} cannot be looked for: {error}"), "--dns-server"),
                Ok(records) if records.is_empty() => {
                    if !ports.is_empty() {
                        let port = ports.first().copied().unwrap_or(PORT);
                        findings.add(
                            format!("There is no record {name}; clients look for it: {name} SRV 0 5 {port} {ascii}."),
                            "--domain",
                        );
                    }
                }
                Ok(records) => {
                    found_by_service = true;
                    records.iter().for_each(|record| target(&lookup, &name, record, ports, findings));
                }
            }
        }
        if !found_by_service {
            addresses(&lookup, &ascii, findings);
        }
        OTHER_SERVERS.iter().for_each(|service| unserved(&lookup, &format!("{service}.{ascii}"), findings));
    }
}

/// What other servers look for (RFC 6120 §3.2.1, XEP-0368), who are not served: they would try again and again, and so
/// would the people there.
fn unserved(lookup: &Lookup, name: &str, findings: &mut Findings) {
    let leads_here = lookup.services(name).is_ok_and(|records| records.iter().any(|record| !record.target.is_empty()));
    if leads_here {
        let text = format!("{name} leads other servers here, which are not served: remove it, or {name} SRV 0 0 0 .");
        findings.add(text, "--domain");
    }
}

/// Where a record leads to.
fn target(lookup: &Lookup, name: &str, record: &ServiceRecord, ports: &BTreeSet<u16>, findings: &mut Findings) {
    // "." says that there is no such service.
    if record.target.is_empty() {
        if !ports.is_empty() {
            findings.add(format!("{name} says that there is no such service, and it is served."), "--domain");
        }
        return;
    }
    if !ports.contains(&record.port) {
        let text = format!("{name} leads to port {}, which is not listened on.", record.port);
        let flag = if name.starts_with("_xmpps") { "--listen-direct-tls" } else { "--listen" };
        findings.add(text, flag);
    }
    addresses(lookup, &record.target, findings);
}

fn addresses(lookup: &Lookup, name: &str, findings: &mut Findings) {
    match lookup.addresses(name) {
        Err(error) => findings.add(format!("{name} cannot be looked for: {error}"), "--dns-server"),
        Ok(found) if found.is_empty() => {
            findings.add(format!("{name} has no address: no record A or AAAA."), "--domain");
        }
        Ok(found) => {
            if found.iter().all(IpAddr::is_loopback) {
                findings.add(format!("{name} is an address of this machine alone: {}.", found[0]), "--domain");
            }
        }
    }
}

/// Whether the ports are free, or this server's already.
pub(super) fn ports(options: &ServeOptions, findings: &mut Findings) {
    if !matches!(Remote::connect(&options.admin_socket()), Err(ConnectError::Nobody(_))) {
        return;
    }
    let all = [
        ("--listen", &options.listen),
        ("--listen-direct-tls", &options.listen_direct_tls),
        ("--https", &options.web.https),
    ];
    for (flag, addresses) in all {
        for address in addresses {
            let problem = match TcpListener::bind(address) {
                Ok(_) => continue,
                Err(error) => match error.kind() {
                    ErrorKind::AddrInUse => "another process listens there".to_owned(),
                    ErrorKind::PermissionDenied => {
                        "this user may not; AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit".to_owned()
                    }
                    ErrorKind::AddrNotAvailable => "this host does not have that address".to_owned(),
                    _ => error.to_string(),
                },
            };
            findings.add(format!("{address} cannot be listened on: {problem}."), flag);
        }
    }
}
