//! Addresses that are not let in, as an operator decides on them.

use std::sync::Arc;

use rondel_storage::Store;
use rondel_storage::bans::{self, Ban};
use serde::{Deserialize, Serialize};

use super::backend::{By, Failure, FailureKind};
use super::users::{failed, now, write};
use crate::limits::Banned;
use crate::registration::Network;

/// Bans that there are at most.
const BANS_MAX: usize = 10_000;

/// A network that is not let in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BannedNetwork {
    /// Which, such as `192.0.2.0/24`.
    pub network: String,
    /// Since when, in seconds since 1970.
    pub since_s: u64,
    /// Until when, in seconds since 1970; for good without.
    pub until_s: Option<u64>,
    /// Why.
    pub reason: String,
    /// Who has done it.
    pub by: String,
}

/// The bans in a store.
#[derive(Clone)]
pub struct Bans {
    store: Arc<Store>,
}

impl Bans {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> Bans {
        Bans { store }
    }

    /// Bans a network for so many seconds, or for good.
    pub fn add(&self, by: &By, network: &str, for_s: Option<u64>, reason: &str) -> Result<(), Failure> {
        let network = parse(network)?;
        if self.all()?.len() >= BANS_MAX {
            return Err(Failure::new(FailureKind::Busy, format!("{BANS_MAX} networks are banned; let some in again")));
        }
        let since_s = now().as_secs();
        let until_s = for_s.map(|for_s| since_s.saturating_add(for_s));
        let ban = Ban { since_s, until_s, reason: reason.to_owned(), by: by.to_string() };
        write(&self.store, bans::put(&network.to_string(), &ban)).map(|_| ())
    }

    /// Lets a network in again.
    pub fn remove(&self, network: &str) -> Result<(), Failure> {
        let network = parse(network)?.to_string();
        let missing = || Failure::new(FailureKind::NotFound, format!("{network} is not banned"));
        write(&self.store, bans::remove(&network))?.then_some(()).ok_or_else(missing)
    }

    /// Those that hold.
    pub fn list(&self) -> Result<Vec<BannedNetwork>, Failure> {
        let now_s = now().as_secs();
        let shown = |(network, ban): (String, Ban)| {
            let Ban { since_s, until_s, reason, by } = ban;
            BannedNetwork { network, since_s, until_s, reason, by }
        };
        Ok(self.all()?.into_iter().filter(|(_, ban)| ban.holds(now_s)).map(shown).collect())
    }

    /// Those that hold, as shards look at them.
    pub fn banned(&self) -> Result<Banned, Failure> {
        let all = self.list()?.into_iter();
        Ok(all.filter_map(|ban| Some((ban.network.parse().ok()?, ban.until_s.unwrap_or(u64::MAX)))).collect())
    }

    /// Forgets those that do not hold any more.
    pub fn forget_old(&self) -> Result<(), Failure> {
        let now_s = now().as_secs();
        for (network, _) in self.all()?.into_iter().filter(|(_, ban)| !ban.holds(now_s)) {
            write(&self.store, bans::remove(&network))?;
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<(String, Ban)>, Failure> {
        let page = self.store.page(bans::list(BANS_MAX + 1)).map_err(failed)?;
        Ok(bans::decode_page(&page).into_iter().flatten().collect())
    }
}

fn parse(network: &str) -> Result<Network, Failure> {
    network
        .parse()
        .map_err(|error: crate::registration::ParseNetworkError| Failure::new(FailureKind::Invalid, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::Options;

    #[test]
    fn networks_are_banned_for_a_time_and_let_in_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&Options::new(directory.path().join("store"))).unwrap());
        let bans = Bans::new(store);
        let by = By::Account("admin@x".into());
        bans.add(&by, "192.0.2.7/24", Some(3600), "bots").unwrap();
        bans.add(&by, "2001:db8::1", None, "").unwrap();
        bans.add(&by, "198.51.100.0/24", Some(0), "").unwrap();
        assert_eq!(bans.add(&by, "nonsense", None, "").unwrap_err().kind, FailureKind::Invalid);
        let shown = bans.list().unwrap();
        assert_eq!(shown.iter().map(|ban| &*ban.network).collect::<Vec<_>>(), ["192.0.2.0/24", "2001:db8::1/128"]);
        assert_eq!((&*shown[0].by, &*shown[0].reason, shown[1].until_s), ("admin@x", "bots", None));
        bans.remove("192.0.2.0/24").unwrap();
        assert_eq!(bans.remove("192.0.2.0/24").unwrap_err().kind, FailureKind::NotFound);
        assert_eq!(bans.all().unwrap().len(), 2);
        bans.forget_old().unwrap();
        assert_eq!(bans.all().unwrap().len(), 1);
    }
}
