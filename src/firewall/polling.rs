//! When a list on the web is looked at, and what becomes of what is found there.

use std::time::Duration;

/// Until it is tried again after a failure, in seconds: the first time, the second, and from then on.
const RETRY_S: [u64; 3] = [60, 120, 300];

/// How a list on the web is kept up with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Polling {
    /// Seconds between two looks; none: never again after the first success.
    ttl_s: Option<u64>,
    /// How often it has failed. It is not forgotten: what has failed often is not asked too often.
    failures: usize,
    /// What the server has called the last copy.
    etag: Option<String>,
}

/// What has come of a look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Looked {
    /// A copy, and what the server calls it.
    Copy {
        /// What it is called, if it is called anything.
        etag: Option<String>,
    },
    /// The last copy is still the right one.
    Same,
    /// The server has said that something is wrong, or nothing.
    Failed,
    /// Something else.
    Strange,
}

impl Looked {
    /// What the status of an answer means (RFC 9110 §15).
    pub fn of(status: u16, etag: Option<String>) -> Looked {
        match status {
            200 => Looked::Copy { etag },
            304 => Looked::Same,
            400..=599 => Looked::Failed,
            _ => Looked::Strange,
        }
    }
}

impl Polling {
    /// Of a list that is looked at so often; `etag` is what the copy is called that there is already.
    pub fn new(ttl_s: Option<u64>, etag: Option<String>) -> Polling {
        Polling { ttl_s, failures: 0, etag }
    }

    /// What the last copy is called.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Somebody has looked. After how long it is to be looked again, to which something at random is added; none:
    /// never.
    pub fn looked(&mut self, looked: &Looked) -> Option<Duration> {
        let seconds = match looked {
            Looked::Copy { etag } => {
                self.etag.clone_from(etag);
                self.ttl_s
            }
            Looked::Same => self.ttl_s,
            Looked::Strange => Some(self.ttl_s.unwrap_or(RETRY_S[2])),
            Looked::Failed => {
                let wait_s = RETRY_S[self.failures.min(RETRY_S.len() - 1)];
                self.failures = self.failures.saturating_add(1);
                Some(wait_s)
            }
        };
        seconds.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(polling: &mut Polling, status: u16) -> Option<u64> {
        polling.looked(&Looked::of(status, Some(format!("\"{status}\"")))).map(|wait| wait.as_secs())
    }

    #[test]
    fn failures_are_tried_again_sooner_and_are_not_forgotten_92() {
        let mut polling = Polling::new(Some(3_600), None);
        let waits: Vec<_> = [200, 500, 500, 304, 500].map(|status| seconds(&mut polling, status)).to_vec();
        assert_eq!(waits, [3_600, 60, 120, 3_600, 300].map(Some));
        assert_eq!(polling.etag(), Some("\"200\""));
    }

    #[test]
    fn a_list_without_a_time_is_read_once() {
        let mut polling = Polling::new(None, None);
        assert_eq!(seconds(&mut polling, 404), Some(60));
        assert_eq!(seconds(&mut polling, 302), Some(300));
        assert_eq!(seconds(&mut polling, 200), None);
    }
}
