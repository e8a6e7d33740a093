//! Debian's ejabberd, as a peer that accounts come from. It runs as whoever runs the test, with all that it keeps in a
//! directory of its own, and its nodes find each other by a port of its own instead of by the machine's epmd.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::prosody::certify;

/// Where Debian has the command with which it is started and asked.
const CONTROL: &str = "/usr/sbin/ejabberdctl";

/// An ejabberd that serves localhost and second.localhost, in the clear and with STARTTLS.
pub struct Ejabberd {
    child: Child,
    pub address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Drop for Ejabberd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("ejabberd's log:\n{}", self.log());
        }
        // The command that has started it, and itself.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

impl Ejabberd {
    /// One with further lines of configuration, such as how passwords are stored, for users with these passwords.
    pub fn start(lines: &str, users: &[(&str, &str, &str)]) -> Ejabberd {
        let control = std::fs::read_to_string(CONTROL).expect("ejabberd is missing. Please type: make test");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        ["logs", "spool"].iter().for_each(|folder| std::fs::create_dir(path.join(folder)).unwrap());
        certify(path);
        let both = ["own.crt", "own.key"].map(|file| std::fs::read_to_string(path.join(file)).unwrap());
        std::fs::write(path.join("both.pem"), both.concat()).unwrap();
        // Debian's has it run as a user who has nothing to do with the test.
        let own = |line: &str| if line.starts_with("INSTALLUSER=") { "INSTALLUSER=".into() } else { line.to_owned() };
        let control: Vec<String> = control.lines().map(own).collect();
        std::fs::write(path.join("ejabberdctl"), control.join("\n") + "\n").unwrap();
        std::fs::set_permissions(path.join("ejabberdctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let [port, nodes] = free_ports();
        std::fs::write(path.join("ejabberd.yml"), configuration(path, port, lines)).unwrap();
        std::fs::write(
            path.join("ejabberdctl.cfg"),
            format!("INET_DIST_INTERFACE=127.0.0.1\nERL_DIST_PORT={nodes}\nERLANG_NODE=rondel{nodes}@localhost\n"),
        )
        .unwrap();
        // The names of its nodes are those of this machine, whatever else it is called.
        std::fs::write(path.join("inetrc"), "{lookup,[file,native]}.\n{host,{127,0,0,1},[\"localhost\"]}.\n").unwrap();
        let child = command(path).arg("foreground").process_group(0).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ejabberd = Ejabberd { child, address, directory };
        let begun = Instant::now();
        // It can be connected to before there is all that it needs.
        while !ejabberd.log().contains("Start accepting TCP connections") {
            assert!(begun.elapsed() < PATIENCE, "ejabberd does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let accounts = ejabberd.directory.path().join("accounts.xml");
        std::fs::write(&accounts, self::accounts(users)).unwrap();
        ejabberd.control(&["import_piefxis", accounts.to_str().unwrap()]);
        ejabberd
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("logs/ejabberd.log")).unwrap_or_default()
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("own.crt")
    }

    /// All that `export_piefxis` writes: the folder, and in it the file that includes the others.
    pub fn export(&self) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        self.control(&["export_piefxis", folder.path().to_str().unwrap()]);
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        // It has the date alone for its name; the others have a host behind it.
        let is_main = |path: &PathBuf| !path.file_name().unwrap().to_str().unwrap().contains('_');
        let main = files.into_iter().find(is_main).unwrap();
        (folder, main)
    }

    /// All that it keeps, as `dump` writes it.
    pub fn dump(&self) -> PathBuf {
        let file = self.directory.path().join("dump.txt");
        self.control(&["dump", file.to_str().unwrap()]);
        file
    }

    fn control(&self, arguments: &[&str]) -> Output {
        let output = command(self.directory.path()).args(arguments).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        output
    }
}

/// The command with which it is started and asked.
fn command(path: &Path) -> Command {
    let mut command = Command::new(path.join("ejabberdctl"));
    // What lets nodes talk to each other lies in the home directory.
    command.env("HOME", path).env_remove("ERL_EPMD_PORT");
    let folders = [("config-dir", ""), ("logs", "logs"), ("spool", "spool")];
    let files = [("config", "ejabberd.yml"), ("ctl-config", "ejabberdctl.cfg")];
    for (flag, name) in folders.iter().chain(&files) {
        command.arg(format!("--{flag}")).arg(path.join(name));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn configuration(path: &Path, port: u16, lines: &str) -> String {
    let modules =
        ["blocking", "caps", "carboncopy", "disco", "last", "offline", "ping", "privacy", "private", "roster", "vcard"];
    let modules: String = modules.iter().map(|module| format!("  mod_{module}: {{}}\n")).collect();
    format!(
        "hosts: [localhost, second.localhost]\nloglevel: info\ncertfiles: [\"{}/both.pem\"]\nauth_method: internal\n\
         {lines}\nacme: {{auto: false}}\nregistration_timeout: infinity\nlisten:\n  - port: {port}\n    \
         ip: \"127.0.0.1\"\n    module: ejabberd_c2s\n    starttls: true\nmodules:\n{modules}  \
         mod_mam: {{default: always}}\n  mod_pubsub: {{plugins: [flat, pep]}}\n",
        path.display()
    )
}

/// Users with their domains and passwords, all at once: each command takes a second.
fn accounts(users: &[(&str, &str, &str)]) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;");
    let user = |(local, domain, password): &(&str, &str, &str)| {
        let password = escaped(password);
        format!("<host jid='{domain}'><user name='{local}' password='{password}'/></host>")
    };
    let users: String = users.iter().map(user).collect();
    format!("<server-data xmlns='urn:xmpp:pie:0'>{users}</server-data>")
}

/// Ports on which nobody listens, different ones.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
