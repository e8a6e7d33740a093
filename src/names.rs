//! What the names of accounts look like, and what is written of them when accounts come and go: between those who know
//! letters and the storage, which does not.

use rondel_storage::accounts::{self, Account};
use rondel_storage::registrations::Registration;
use rondel_storage::{LoadError, Outcome, Owner, PageRequest, Store, WriteRequest, meta, names};
use unicode_security::{UNICODE_VERSION, skeleton as confusable_skeleton};

/// Changes whenever [`skeleton`] has another answer for some name.
const ALGORITHM: u64 = 1;

/// Accounts that are indexed at once.
const INDEXED_AT_ONCE: usize = 1000;

/// What a name looks like (UTS 39 §4): two names that people take for each other have the same. Upper and lower case
/// are one, because a digit may look like a letter of either.
pub fn skeleton(name: &str) -> String {
    confusable_skeleton(name).collect::<String>().to_lowercase()
}

/// Makes an account; see [`accounts::create`].
pub fn create(owner: &Owner, account: &Account, registration: &Registration, at_micros: u64) -> WriteRequest {
    names::show(accounts::create(owner, account, registration, at_micros), &skeleton(owner.local()))
}

/// Removes an account, and keeps its name back; see [`accounts::remove`]. The time is in seconds since 1970.
pub fn remove(owner: &Owner, now_s: u64) -> WriteRequest {
    names::bury(accounts::remove(owner), &skeleton(owner.local()), now_s)
}

/// Sees to it that it is known of all accounts what their names look like, to this version of the program.
pub fn index(store: &Store) -> Result<(), LoadError> {
    let (major, minor, micro) = UNICODE_VERSION;
    let version = [ALGORITHM, major, minor, micro].into_iter().fold(0, |version, part| version << 16 | part);
    if meta::lookalikes(store)? == Some(version) {
        return Ok(());
    }
    write(store, names::forget_all())?;
    let mut request: Option<PageRequest> = Some(accounts::list(None, INDEXED_AT_ONCE));
    while let Some(current) = request {
        let page = store.page(current.clone()).map_err(LoadError::Failed)?;
        request = current.next(&page);
        let accounts = accounts::decode_page(page).into_iter().flatten();
        let shown = accounts.map(|stored| (stored.owner().clone(), skeleton(stored.owner().local())));
        write(store, names::show_all(shown))?;
    }
    meta::set_lookalikes(store, version)
}

fn write(store: &Store, request: WriteRequest) -> Result<(), LoadError> {
    match store.write_blocking(request) {
        Outcome::Written => Ok(()),
        other => Err(LoadError::unexpected(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::registrations::Source;
    use rondel_storage::{Options, names::Known};

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        assert_eq!(skeleton("juliet"), skeleton("ju1iet"));
        assert_eq!(skeleton("bob"), skeleton("b0b"));
        assert_ne!(skeleton("romeo"), skeleton("juliet"));
    }

    #[test]
    fn accounts_of_before_are_indexed_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let owner = |name: &str| Owner::parse(name).unwrap();
        let account = Account::new(Vec::new(), 1);
        let registration = Registration { address: None, source: Source::Cli, client: None };
        for number in 0..INDEXED_AT_ONCE + 7 {
            let made = accounts::create(&owner(&format!("bob{number}@x")), &account, &registration, number as u64);
            assert_eq!(store.write_blocking(made), Outcome::Written);
        }
        let known = |name: &str| {
            let owner = owner(name);
            names::decode(&owner, store.read_blocking(&names::get(&owner, &skeleton(owner.local())))).unwrap()
        };
        assert_eq!(known("b0b7@x"), Known::default());
        index(&store).unwrap();
        assert!(known("b0b7@x").has_lookalike && known("b0b1006@x").has_lookalike && !known("bob7@x").has_lookalike);
        assert_eq!(store.write_blocking(remove(&owner("bob7@x"), 5)), Outcome::Written);
        assert_eq!(known("bob7@x"), Known { gone_s: Some(5), ..Known::default() });
        assert!(!known("b0b7@x").has_lookalike);
        index(&store).unwrap();
        assert_eq!(store.write_blocking(create(&owner("bob7@x"), &account, &registration, 1)), Outcome::Written);
        assert!(known("b0b7@x").has_lookalike && known("bob7@x").gone_s.is_none());
    }
}
