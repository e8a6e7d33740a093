//! What keeps other sites from sending forms in a visitor's name: a cookie that only this site can set and no other one
//! reads, and in each form a seal that goes with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::HeaderMap;
use hyper::header::{COOKIE, HOST, ORIGIN};

use crate::random;
use crate::seal::Seal;

/// The cookie. With this prefix browsers take it over TLS only, and from this very host (RFC 6265bis §4.1.3.2).
const COOKIE_NAME: &str = "__Host-rondel";

/// Bytes that name a visitor.
const VISITOR_BYTES: usize = 24;

/// For how long a form can be sent, in seconds.
const LIFETIME_S: u64 = 3600;

/// What the mark of a form is for.
const FORM: &str = "form";

/// Seals forms, and looks at seals. What another one has sealed, before the server was started again, does not hold.
#[derive(Default)]
pub struct Guard {
    seal: Seal,
}

impl Guard {
    /// A name for a visitor who has none.
    pub fn new_visitor() -> String {
        URL_SAFE_NO_PAD.encode(random::bytes::<VISITOR_BYTES>())
    }

    /// The name of the visitor who sends these headers.
    pub fn visitor(headers: &HeaderMap) -> Option<&str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|value| value.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, visitor) = cookies.find(|(name, _)| *name == COOKIE_NAME)?;
        (URL_SAFE_NO_PAD.decode(visitor).ok()?.len() == VISITOR_BYTES).then_some(visitor)
    }

    /// What the visitor's browser keeps.
    pub fn cookie(visitor: &str) -> String {
        format!("{COOKIE_NAME}={visitor}; Secure; HttpOnly; SameSite=Lax; Path=/")
    }

    /// The seal of a form that a visitor is shown now.
    pub fn seal(&self, visitor: &str, now_s: u64) -> String {
        let mark = self.seal.mark(FORM, &[visitor.as_bytes(), &now_s.to_be_bytes()]);
        format!("{now_s}.{}", URL_SAFE_NO_PAD.encode(mark))
    }

    /// Whether a form has come from a page that this visitor was shown, not too long ago.
    pub fn holds(&self, visitor: &str, seal: &str, now_s: u64) -> bool {
        let Some((at_s, mark)) = seal.split_once('.') else { return false };
        let (Ok(at_s), Ok(mark)) = (at_s.parse::<u64>(), URL_SAFE_NO_PAD.decode(mark)) else { return false };
        let is_fresh = at_s <= now_s && now_s - at_s < LIFETIME_S;
        is_fresh && self.seal.is_mark(&mark, FORM, &[visitor.as_bytes(), &at_s.to_be_bytes()])
    }
}

/// Whether a browser says that another site sends this.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if matches!(value("sec-fetch-site"), Some("cross-site" | "same-site")) {
        return true;
    }
    let host = value(HOST.as_str()).unwrap_or_default();
    value(ORIGIN.as_str()).is_some_and(|origin| !origin.eq_ignore_ascii_case(&format!("https://{host}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_seal_holds_for_its_visitor_for_a_while() {
        let guard = Guard::default();
        let (one, other) = (Guard::new_visitor(), Guard::new_visitor());
        let seal = guard.seal(&one, 1000);
        assert!(guard.holds(&one, &seal, 1000) && guard.holds(&one, &seal, 1000 + LIFETIME_S - 1));
        assert!(!guard.holds(&other, &seal, 1000) && !guard.holds(&one, &seal, 1000 + LIFETIME_S));
        assert!(!guard.holds(&one, &seal, 999), "from the future");
        assert!(!Guard::default().holds(&one, &seal, 1000), "of another server");
        let (_, code) = seal.split_once('.').unwrap();
        for wrong in ["", ".", "1000.", &format!("1001.{code}"), "1000.!", code] {
            assert!(!guard.holds(&one, wrong, 1001), "{wrong}");
        }
    }

    #[test]
    fn a_visitor_is_known_by_a_cookie() {
        let visitor = Guard::new_visitor();
        let cookie = Guard::cookie(&visitor);
        let sent = cookie.split(';').next().unwrap();
        assert_eq!(Guard::visitor(&headers(&[("cookie", &format!("a=b; {sent}"))])), Some(&*visitor));
        for wrong in ["a=b", "__Host-rondel=", "__Host-rondel=short", "__Host-rondel"] {
            assert_eq!(Guard::visitor(&headers(&[("cookie", wrong)])), None, "{wrong}");
        }
    }

    #[test]
    fn what_another_site_sends_is_seen() {
        let host = ("host", "x.org:5443");
        assert!(!is_foreign(&headers(&[host])), "no browser");
        assert!(!is_foreign(&headers(&[host, ("origin", "https://x.org:5443"), ("sec-fetch-site", "same-origin")])));
        for wrong in ["https://evil.example", "http://x.org:5443", "https://x.org", "null"] {
            assert!(is_foreign(&headers(&[host, ("origin", wrong)])), "{wrong}");
        }
        assert!(is_foreign(&headers(&[host, ("sec-fetch-site", "cross-site")])));
    }
}
