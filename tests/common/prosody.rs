//! Debian's Prosody, as a peer that the same things are tried on, or that accounts come from.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Where Debian has the modules of Prosody's community.
const MODULES: &str = "/usr/lib/prosody/modules";

/// A Prosody that serves localhost, in the clear and with STARTTLS.
pub struct Prosody {
    child: Child,
    pub address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Drop for Prosody {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prosody {
    /// One with further modules (without those that have a - before them) and lines of configuration, for users whose
    /// password is `secret`.
    pub fn start(modules: &[&str], lines: &str, users: &[&str]) -> Prosody {
        Prosody::start_with(modules, lines, "", users)
    }

    /// The same with components, or other hosts.
    pub fn start_with(modules: &[&str], lines: &str, hosts: &str, users: &[&str]) -> Prosody {
        assert!(Path::new(MODULES).join("mod_firewall").is_dir(), "prosody-modules is missing. Please type: make test");
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = directory.path().display();
        certify(directory.path());
        let config = directory.path().join("prosody.cfg.lua");
        let list = |names: Vec<&str>| names.iter().map(|name| format!(", \"{name}\"")).collect::<String>();
        let without = list(modules.iter().filter_map(|module| module.strip_prefix('-')).collect());
        let modules = list(modules.iter().copied().filter(|module| !module.starts_with('-')).collect());
        let text = format!(
            "run_as_root = true\ndaemonize = false\npidfile = \"{path}/prosody.pid\"\ndata_path = \"{path}/data\"\n\
             plugin_paths = {{ \"{MODULES}\" }}\ninterfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {port} }}\n\
             c2s_direct_tls_ports = {{}}\nhttp_ports = {{}}\nhttps_ports = {{}}\n\
             modules_enabled = {{ \"roster\", \"saslauth\", \"tls\", \"disco\", \"version\", \"ping\"{modules} }}\n\
             modules_disabled = {{ \"s2s\"{without} }}\nc2s_require_encryption = false\n\
             allow_unencrypted_plain_auth = true\nauthentication = \"internal_hashed\"\n\
             log = {{ debug = \"{path}/prosody.log\" }}\n{lines}\n\
             VirtualHost \"localhost\"\nssl = {{ certificate = \"{path}/own.crt\", key = \"{path}/own.key\" }}\n{hosts}"
        );
        std::fs::create_dir(directory.path().join("data")).unwrap();
        std::fs::write(&config, text).unwrap();
        for user in users {
            let registered = Command::new("prosodyctl")
                .arg("--config")
                .arg(&config)
                .args(["register", user, "localhost", "secret"])
                .output()
                .unwrap();
            assert!(registered.status.success(), "{registered:?}");
        }
        let child = Command::new("prosody")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "Prosody does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Prosody { child, address, directory }
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("own.crt")
    }

    /// Ends it, as an operator does. What it has stored stays as long as the answer does.
    pub fn stop(mut self) -> (tempfile::TempDir, PathBuf) {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success() && self.child.wait().is_ok());
        let empty = tempfile::tempdir().unwrap();
        let directory = std::mem::replace(&mut self.directory, empty);
        let data = directory.path().join("data");
        (directory, data)
    }
}

/// Makes a certificate for localhost that is its own authority.
pub fn certify(directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .arg("-out")
        .arg(directory.join("own.crt"))
        .arg("-keyout")
        .arg(directory.join("own.key"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
