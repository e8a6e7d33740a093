//! A client that is a program of its own: what it says is waited for, and it does not outlive the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use crate::common::PATIENCE;

pub struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// What was said so far.
    pub said: Vec<String>,
}

impl Program {
    pub fn start(command: &mut Command) -> Program {
        let mut child = match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => panic!("{command:?}: {error}; is it installed (.ci/setup tests)?"),
        };
        let (sender, lines) = mpsc::channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Program { child, lines, said: Vec::new() }
    }

    /// Waits for a line that contains `text`.
    pub fn hear(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.next_line(until) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("the client never said {text:?}; it said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits until it has ended by itself.
    pub fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.next_line(until) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(_) => panic!("the client does not end; it said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits until it has ended by itself, and well.
    pub fn end_well(&mut self) {
        let status = self.end();
        assert!(status.success(), "{status}; the client said:\n{}", self.said.join("\n"));
    }

    fn next_line(&mut self, until: Instant) -> Result<String, mpsc::RecvTimeoutError> {
        let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
        self.said.push(line.clone());
        Ok(line)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes lines on as they come.
fn forward(stream: impl Read + Send + 'static, sender: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
}
