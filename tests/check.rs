//! `rondel check`: what a public server should not do is named, with the flag; a good configuration is passed over in
//! silence.

mod common;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::name_server::{self, Said};
use common::rondel;

/// A name server that knows these records.
fn name_server(records: Vec<(String, Record)>) -> SocketAddr {
    name_server::start(move |name, kind| {
        let known: Vec<&Record> =
            records.iter().filter(|(known, _)| *known == name).map(|(_, record)| record).collect();
        match known.is_empty() {
            true => Said::Unknown,
            false => Said::Records(known.into_iter().filter_map(|record| record.data(kind)).collect()),
        }
    })
}

#[derive(Clone)]
enum Record {
    Service(u16, &'static str),
    Address([u8; 4]),
}

impl Record {
    /// Its data, if it is of this kind.
    fn data(&self, kind: u16) -> Option<Vec<u8>> {
        match (kind, self) {
            (name_server::ADDRESS, Record::Address(address)) => Some(address.to_vec()),
            (name_server::SERVICE, Record::Service(port, target)) => {
                let mut data = vec![0, 0, 0, 5];
                data.extend_from_slice(&port.to_be_bytes());
                for label in target.split('.').filter(|label| !label.is_empty()) {
                    data.push(label.len() as u8);
                    data.extend_from_slice(label.as_bytes());
                }
                data.push(0);
                Some(data)
            }
            _ => None,
        }
    }
}

/// Files of a server at chat.test that is as it should be.
struct Place {
    directory: tempfile::TempDir,
    ports: [u16; 2],
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let authority =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days"];
        let named = ["30", "-subj", "/CN=Authority", "-out", "ca.crt", "-keyout", "ca.key"];
        openssl(directory.path(), &[&authority[..], &named].concat());
        let place = Place { ports: [free_port(), free_port()], directory };
        place.certify("good", "chat.test", 60);
        place
    }

    /// A certificate of the authority for a name, that expires in so many days.
    fn certify(&self, file: &str, name: &str, days: i64) {
        let path = self.directory.path();
        let (key, request) = (format!("{file}.key"), format!("{file}.csr"));
        let made = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x"];
        openssl(path, &[&made[..], &["-keyout", &key, "-out", &request]].concat());
        fs::write(path.join("names"), format!("subjectAltName=DNS:{name}\n")).unwrap();
        let day = |days: i64| {
            let output = Command::new("date").args(["-u", "+%Y%m%d%H%M%SZ", "-d", &format!("{days} days")]).output();
            String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
        };
        fs::create_dir_all(path.join("issued")).unwrap();
        fs::write(path.join("index.txt"), "").unwrap();
        let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=issued\ncertificate=ca.crt\n\
                      private_key=ca.key\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n";
        fs::write(path.join("ca.cnf"), config).unwrap();
        let issued = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-extfile", "names", "-in", &request];
        let (from, to) = (day(days.min(0) - 10), day(days));
        let dated = ["-startdate", &from, "-enddate", &to, "-out", &format!("{file}.crt")];
        openssl(path, &[&issued[..], &dated].concat());
        fs::set_permissions(path.join(key), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn records(&self) -> Vec<(String, Record)> {
        vec![
            ("_xmpp-client._tcp.chat.test".into(), Record::Service(self.ports[0], "host.test")),
            ("_xmpps-client._tcp.chat.test".into(), Record::Service(self.ports[1], "host.test")),
            ("host.test".into(), Record::Address([192, 0, 2, 7])),
        ]
    }

    /// Checks a good configuration, with these flags instead of its own of the same names, and others added.
    fn check(&self, records: Vec<(String, Record)>, flags: &[(&str, &str)]) -> Output {
        let path = |name: &str| self.path(name).display().to_string();
        let (plain, direct) = (format!("127.0.0.1:{}", self.ports[0]), format!("127.0.0.1:{}", self.ports[1]));
        let mut all = vec![
            ("--domain", "chat.test".to_owned()),
            ("--tls-cert", path("good.crt")),
            ("--tls-key", path("good.key")),
            ("--listen", plain),
            ("--listen-direct-tls", direct),
            ("--data-dir", path("data")),
            // Another file system than that of the data.
            ("--backup-dir", "/dev/shm/rondel-check-none".to_owned()),
            ("--contact", "abuse=mailto:abuse@chat.test".to_owned()),
            ("--admin", "admin@chat.test".to_owned()),
            ("--dns-server", name_server(records).to_string()),
            ("--alert-disk-free", "0".to_owned()),
            ("--shards", "1".to_owned()),
        ];
        all.retain(|(name, _)| flags.iter().all(|(other, _)| other != name));
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned()));
        all.extend(flags.filter(|(_, value)| value != "none"));
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 4096 && exec \"$0\" \"$@\""]).arg(rondel().get_program()).arg("check");
        std::env::vars().filter(|(name, _)| name.starts_with("RONDEL_")).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.env("SSL_CERT_FILE", self.path("ca.crt"));
        for (name, value) in all {
            command.arg(name);
            if !value.is_empty() {
                command.arg(value);
            }
        }
        command.output().unwrap()
    }

    /// What is found must be this alone.
    #[track_caller]
    fn finds(&self, flags: &[(&str, &str)], words: &str, flag: &str) {
        self.finds_with(self.records(), flags, words, flag);
    }

    #[track_caller]
    fn finds_with(&self, records: Vec<(String, Record)>, flags: &[(&str, &str)], words: &str, flag: &str) {
        let output = self.check(records, flags);
        let found = String::from_utf8(output.stdout).unwrap();
        let [line] = found.lines().collect::<Vec<_>>()[..] else { panic!("{words}: {found}") };
        assert!(line.contains(words) && line.ends_with(&format!("({flag})")), "{words}: {line}");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "rondel: there is one thing to see to\n");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_good_configuration_is_passed_over_in_silence() {
    let place = Place::new();
    let output = place.check(place.records(), &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn certificates_that_clients_will_not_take_are_named() {
    let place = Place::new();
    let path = |name: &str| place.path(name).display().to_string();
    place.certify("other", "other.test", 60);
    place.certify("old", "chat.test", -3);
    place.certify("soon", "chat.test", 5);
    let use_of =
        |name: &str| [("--tls-cert", path(&format!("{name}.crt"))), ("--tls-key", path(&format!("{name}.key")))];
    for (name, words) in [
        ("other", "no certificate covers the domain chat.test"),
        ("old", "the certificate has expired on"),
        ("soon", "the certificate expires on"),
    ] {
        let flags = use_of(name);
        let flags: Vec<_> = flags.iter().map(|(flag, path)| (*flag, &**path)).collect();
        place.finds(&flags, words, "--tls-cert");
    }
    // One that vouches for itself.
    let own = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "60"];
    let named = ["-subj", "/CN=x", "-addext", "subjectAltName=DNS:chat.test", "-out", "own.crt", "-keyout", "own.key"];
    openssl(place.directory.path(), &[&own[..], &named].concat());
    fs::set_permissions(place.path("own.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let flags = use_of("own");
    let flags: Vec<_> = flags.iter().map(|(flag, path)| (*flag, &**path)).collect();
    place.finds(&flags, "clients will not trust it for chat.test", "--tls-cert");
    place.finds(&[("--tls-key", &path("nowhere.key"))], "there is no such file", "--tls-key");
    place.finds(&[("--tls-key", &path("other.key"))], "is not the key of the certificate", "--tls-key");
    fs::set_permissions(place.path("good.key"), fs::Permissions::from_mode(0o644)).unwrap();
    place.finds(&[], "the key can be read by every user of this host", "--tls-key");
}

#[test]
fn names_that_lead_nowhere_are_named() {
    let place = Place::new();
    let without = |name: &str| {
        let mut records = place.records();
        records.retain(|(known, _)| !known.starts_with(name));
        records
    };
    place.finds_with(without("_xmpp-client"), &[], "There is no record _xmpp-client._tcp.chat.test", "--domain");
    place.finds_with(without("_xmpps-client"), &[], "There is no record _xmpps-client._tcp.chat.test", "--domain");
    let mut records = without("_xmpp-client");
    records.push(("_xmpp-client._tcp.chat.test".into(), Record::Service(1, "host.test")));
    place.finds_with(records, &[], "leads to port 1, which is not listened on", "--listen");
    let mut records = without("_xmpp-client");
    records.push(("_xmpp-client._tcp.chat.test".into(), Record::Service(place.ports[0], "gone.test")));
    place.finds_with(records, &[], "gone.test has no address", "--domain");
    for service in ["_xmpp-server", "_xmpps-server"] {
        let mut records = place.records();
        records.push((format!("{service}._tcp.chat.test"), Record::Service(5269, "host.test")));
        let text = format!("{service}._tcp.chat.test leads other servers here, which are not served");
        place.finds_with(records, &[], &text, "--domain");
    }
}

#[test]
fn a_host_without_room_is_named() {
    let place = Place::new();
    place.finds(&[("--max-sessions", "10000")], "open files", "--max-sessions");
    place.finds(&[("--alert-disk-free", "99")], "is nearly full", "--data-dir");
    place.finds(&[("--backup-dir", "none")], "No backups are made", "--backup-dir");
    let beside = place.path("backups").display().to_string();
    place.finds(&[("--backup-dir", &beside)], "is on the disk that it is to protect from", "--backup-dir");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut records = place.records();
    records[0].1 = Record::Service(taken.local_addr().unwrap().port(), "host.test");
    place.finds_with(records, &[("--listen", &address)], "another process listens there", "--listen");
}

#[test]
fn what_strangers_could_do_is_named() {
    let place = Place::new();
    place.finds(&[("--registration", "open"), ("--contact", "none")], "nobody can be told of abuse", "--contact");
    place.finds(&[("--registration", "invite"), ("--admin", "none")], "nobody is told of it", "--admin");
    let open = [("--registration", "open"), ("--registration-interval", "0"), ("--registrations-per-day", "0")];
    place.finds(&open, "as many accounts as it likes", "--registrations-per-day");
    let lax = [("--registration", "open"), ("--new-account-limits", "0")];
    place.finds(&lax, "as many strangers as they like", "--new-account-limits");
    let easy = [("--registration", "open"), ("--password-strength", "0"), ("--password-length", "1")];
    place.finds(&easy, "soon guessed", "--password-strength");
    place.finds(&[("--insecure-plaintext", "")], "Logins without TLS are allowed", "--insecure-plaintext");
    let nowhere = place.path("none.pfw").display().to_string();
    place.finds(&[("--firewall", &nowhere)], "none.pfw", "--firewall");
}

#[test]
fn what_is_found_is_told_to_programs_too() {
    let place = Place::new();
    assert_eq!(place.check(place.records(), &[("--registration", "perhaps")]).status.code(), Some(2));
    let output = place.check(place.records(), &[("--backup-dir", "none"), ("--json", "")]);
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        line,
        "{\"what\":\"No backups are made: with the disk everything would be lost.\",\"flag\":\"--backup-dir\"}\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
