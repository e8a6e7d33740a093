//! Whatever stands in a script, it is read or refused, in time, and nothing panics; what is refused is said with its
//! place.
#![no_main]

#[path = "../../src/firewall/mod.rs"]
#[allow(dead_code, unused_imports)]
mod firewall;
#[path = "../../src/jid.rs"]
#[allow(dead_code, unused_imports)]
mod jid;
#[path = "../../src/xml/mod.rs"]
#[allow(dead_code, unused_imports)]
mod xml;

use firewall::{Rules, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &str| {
    let sources = Sources { groups: true, countries: true };
    match Rules::load(&[("script", script)], sources) {
        Ok((rules, _)) => assert!(rules.rules >= rules.chains.iter().map(|chain| chain.rules.len()).max().unwrap_or(0)),
        Err(error) => assert!(error.mistake.line >= 1 && error.mistake.column >= 1, "{error}"),
    }
});
