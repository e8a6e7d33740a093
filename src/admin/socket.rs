//! The admin socket: a file that only the server's own user can open.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Clients that wait to be accepted at most.
const BACKLOG: i32 = 1024;

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
#[error("--admin-socket: {}: {reason}", .path.display())]
pub struct BindError {
    path: PathBuf,
    reason: String,
}

/// Makes the admin socket. What an earlier server has left behind is replaced; a socket that is answered is not.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let fail = |reason: String| BindError { path: path.to_owned(), reason };
    match UnixStream::connect(path) {
        Ok(_) => return Err(fail("another process answers on it".into())),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused && is_socket(path) => {
            std::fs::remove_file(path).map_err(|error| fail(format!("cannot be removed: {error}")))?;
        }
        Err(_) => {}
    }
    let bound = || -> rustix::io::Result<UnixListener> {
        let address = SocketAddrUnix::new(path)?;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Before there is a file, so that at no time another user can open it.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(UnixListener::from(socket))
    };
    bound().map_err(|error| match error {
        rustix::io::Errno::ADDRINUSE => fail("a file of this name is there, and it is no socket".into()),
        rustix::io::Errno::NAMETOOLONG => fail("the path is too long for a socket; 107 bytes at most".into()),
        error => fail(std::io::Error::from(error).to_string()),
    })
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_owner_may_open_it_and_only_one_server_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let listener = bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let taken = bind(&path).unwrap_err().to_string();
        assert_eq!(taken, format!("--admin-socket: {}: another process answers on it", path.display()));
        drop(listener);
        // What a killed server leaves behind is no obstacle.
        assert!(path.exists() && bind(&path).is_ok());
    }

    #[test]
    fn what_is_in_the_way_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(bind(&path).unwrap_err().to_string().ends_with("and it is no socket"));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let long = folder.path().join("a".repeat(120));
        assert!(bind(&long).unwrap_err().to_string().ends_with("107 bytes at most"));
        let nowhere = folder.path().join("nowhere/admin.sock");
        assert!(bind(&nowhere).unwrap_err().to_string().contains("No such file or directory"));
    }
}
