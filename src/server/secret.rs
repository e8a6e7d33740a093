//! The server's own secret: random once, kept in the data directory.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::random;

const FILE: &str = "secret";

/// Reads the secret of a data directory, or makes it.
pub fn load(data_dir: &Path) -> Result<[u8; 32], String> {
    let path = data_dir.join(FILE);
    let fail = |error: std::io::Error| format!("cannot use {}: {error}", path.display());
    match fs::read(&path) {
        Ok(bytes) => match bytes.try_into() {
            Ok(bytes) => Ok(bytes),
            Err(_) => Err(format!("{} is damaged; remove it and a new one is made", path.display())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let bytes: [u8; 32] = random::bytes();
            let made = path.with_extension("new");
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&made);
            let written = file.and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
            written.and_then(|()| fs::rename(&made, &path)).map_err(fail)?;
            Ok(bytes)
        }
        Err(error) => Err(fail(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_only_ours_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let first = load(directory.path()).unwrap();
        assert_eq!(load(directory.path()).unwrap(), first);
        assert_ne!(first, [0; 32]);
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(directory.path().join(FILE), b"short").unwrap();
        assert!(load(directory.path()).is_err());
    }
}
