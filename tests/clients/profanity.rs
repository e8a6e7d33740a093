//! profanity, a client for the terminal, in a terminal of tmux's: keys are typed, the screen is read.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;
use crate::conversation::{Mode, trust};

pub struct Profanity {
    /// Its home, where tmux has its socket, too.
    home: tempfile::TempDir,
}

impl Profanity {
    /// Starts it with an account for Juliet, which connects at once.
    pub fn start(mode: Mode, address: SocketAddr, certificate: &Path) -> Profanity {
        let profanity = Profanity { home: tempfile::tempdir().unwrap() };
        profanity.configure();
        profanity.add_juliet(mode, address);
        profanity.run(&["--account", "juliet"], certificate)
    }

    /// Starts it for somebody who has no account yet.
    #[allow(dead_code, reason = "not every test that talks with it registers")]
    pub fn start_alone(certificate: &Path) -> Profanity {
        let profanity = Profanity { home: tempfile::tempdir().unwrap() };
        profanity.configure();
        profanity.run(&[], certificate)
    }

    fn run(self, arguments: &[&str], certificate: &Path) -> Profanity {
        let mut tmux = self.tmux();
        tmux.args(["-f", "/dev/null", "-u", "new-session", "-d", "-x", "200", "-y", "60", "profanity"]);
        tmux.args(arguments);
        tmux.env_remove("TMUX").env("LC_ALL", "C.UTF-8").env("HOME", self.home.path());
        for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            tmux.env(variable, self.home.path());
        }
        let output = trust(&mut tmux, certificate).output();
        let output = output.unwrap_or_else(|error| panic!("tmux: {error}; is it installed (.ci/setup tests)?"));
        assert!(output.status.success(), "{output:?}");
        self
    }

    fn configure(&self) {
        let folder = self.home.path().join("profanity");
        fs::create_dir(&folder).unwrap();
        // Not a path of certificates of its own, but OpenSSL's, which the environment may name.
        fs::write(folder.join("profrc"), "[connection]\ntls.certpath=none\n").unwrap();
    }

    fn add_juliet(&self, mode: Mode, address: SocketAddr) {
        let policy = match mode {
            Mode::Starttls => "force",
            Mode::Direct => "legacy",
        };
        let account = format!(
            "[juliet]\nenabled=true\njid=juliet@localhost\nresource=balcony\npassword=secret\n\
             server={}\nport={}\ntls.policy={policy}\n",
            address.ip(),
            address.port()
        );
        fs::write(self.home.path().join("profanity").join("accounts"), account).unwrap();
    }

    /// Types a line and sends it off.
    pub fn type_line(&self, line: &str) {
        for keys in [["-l", line].as_slice(), &["Enter"]] {
            let output = self.tmux().arg("send-keys").args(keys).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }

    /// Waits until the screen shows `text`, and returns all that it shows.
    pub fn see(&self, text: &str) -> String {
        self.wait(text, |screen| String::from_utf8_lossy(&screen.stdout).contains(text))
    }

    /// Leaves, and waits until it is gone.
    pub fn quit(self) {
        self.type_line("/quit");
        self.wait("the end", |screen| !screen.status.success());
    }

    /// Looks again and again: tmux does not say when a screen changes.
    fn wait(&self, what: &str, fits: impl Fn(&Output) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let output = self.tmux().args(["capture-pane", "-p"]).output().unwrap();
            let screen = String::from_utf8_lossy(&output.stdout).into_owned();
            if fits(&output) {
                return screen;
            }
            let goes_on = output.status.success() && Instant::now() < until;
            assert!(goes_on, "profanity never showed {what:?}; it showed:\n{}", screen.trim_end());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.home.path().join("tmux"));
        tmux
    }
}

impl Drop for Profanity {
    fn drop(&mut self) {
        // Its terminal gone, profanity ends as well.
        let _ = self.tmux().arg("kill-server").output();
    }
}
