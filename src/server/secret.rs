//! The server's own secret: random once, kept in the store, so that it goes wherever the accounts go. What nobody knows
//! is made of it must not change with another disk.

use std::fs;
use std::path::Path;

use rondel_storage::{LoadError, Store, meta};

use crate::random;

/// Where it was before it was kept in the store.
const FILE: &str = "secret";

/// Reads the secret of a store, or makes it.
pub fn load(store: &Store, data_dir: &Path) -> Result<[u8; 32], LoadError> {
    let path = data_dir.join(FILE);
    let before = fs::read(&path).ok().and_then(|bytes| bytes.try_into().ok());
    let secret = meta::server_secret(store, || before.unwrap_or_else(random::bytes))?;
    if before == Some(secret)
        && let Err(error) = fs::remove_file(&path)
    {
        tracing::debug!(target: "server", "{} is not needed any more: {error}", path.display());
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::Options;

    #[test]
    fn it_is_made_once_or_taken_from_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| Store::open(&Options::new(directory.path().join(name))).unwrap();
        let store = open("one");
        let first = load(&store, directory.path()).unwrap();
        assert_ne!(first, [0; 32]);
        // One that was left there by somebody else is none of this store's.
        fs::write(directory.path().join(FILE), [7; 32]).unwrap();
        assert_eq!(load(&store, directory.path()).unwrap(), first);
        assert!(directory.path().join(FILE).exists());
        let store = open("two");
        assert_eq!(load(&store, directory.path()).unwrap(), [7; 32]);
        assert!(!directory.path().join(FILE).exists());
        assert_eq!(load(&store, directory.path()).unwrap(), [7; 32]);
    }
}
