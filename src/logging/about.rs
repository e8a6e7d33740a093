//! What a log line about a connection says of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing::Value;
use tracing::field::{DisplayValue, display};

static ADDRESSES: AtomicBool = AtomicBool::new(true);

/// Whether lines name addresses.
pub(super) fn show_addresses(show: bool) {
    ADDRESSES.store(show, Relaxed);
}

/// A connection as log lines name it. A few references, to be made where a line is written.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The shard that holds the connection.
    pub shard: usize,
    /// The connection's number; the same for its whole life, on every shard.
    pub connection: u64,
    /// The client's address.
    pub address: Option<SocketAddr>,
    /// The account, once logged in; before that, nothing that a client merely claims.
    pub account: Option<&'a str>,
}

impl About<'_> {
    /// The address, unless it is known not or not to be named.
    pub fn shown_address(&self) -> Option<DisplayValue<SocketAddr>> {
        self.address.filter(|_| ADDRESSES.load(Relaxed)).map(display)
    }

    /// The account, if known.
    pub fn shown_account(&self) -> Option<impl Value + '_> {
        self.account.map(display)
    }
}

/// Writes a log line about a connection: `session_event!(INFO, "session", about, resource, "session begins")`. Level,
/// target, the [`About`], then fields and text as `tracing` takes them.
#[macro_export]
macro_rules! session_event {
    ($level:ident, $target:literal, $about:expr, $($rest:tt)+) => {
        if ::tracing::enabled!(target: $target, ::tracing::Level::$level) {
            let about: &$crate::logging::About<'_> = &$about;
            ::tracing::event!(
                target: $target,
                ::tracing::Level::$level,
                shard = about.shard,
                connection = about.connection,
                address = about.shown_address(),
                account = about.shown_account(),
                $($rest)+
            );
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::output::tests::lines_of;
    use crate::logging::{Format, Levels};

    #[test]
    fn a_line_names_the_connection_and_computes_nothing_where_it_is_off() {
        let about = About {
            shard: 1,
            connection: 57,
            address: Some("192.0.2.1:4000".parse().unwrap()),
            account: Some("juliet@example.org"),
        };
        let computed = std::cell::Cell::new(0);
        let make = || {
            computed.set(computed.get() + 1);
            about
        };
        let lines = lines_of(Format::Human, Levels::default(), || {
            session_event!(INFO, "session", make(), resource = "balcony", "session begins");
            session_event!(DEBUG, "session", make(), "never seen");
        });
        assert_eq!(computed.get(), 1);
        let expected = "INFO session: session begins shard=1 connection=57 address=192.0.2.1:4000 \
                        account=juliet@example.org resource=\"balcony\"\n";
        assert!(lines.ends_with(expected), "{lines}");
        assert_eq!(lines.lines().count(), 1);
    }
}
