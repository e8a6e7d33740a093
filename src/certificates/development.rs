//! A certificate for trying out: made by the server itself, trusted by nobody, kept in the data directory.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

use super::error::{CertificateError, Problem};
use super::load::{CertificateFiles, load};

/// The folder within the data directory, and the files in it.
const FOLDER: &str = "tls";
const CHAIN: &str = "localhost.crt";
const KEY: &str = "localhost.key";

/// Some clients refuse what is valid for longer than this.
const VALIDITY: Duration = Duration::days(397);
/// What is valid for less than this is made anew.
const VALIDITY_LEFT_MIN: Duration = Duration::days(7);

/// The development certificate of a data directory for these domains, `localhost` and the loopback addresses. Made if
/// it is not there or does not fit any more; otherwise the one of the last start, so that clients who have been told
/// to trust it still do.
pub fn development_certificate(data_dir: &Path, domains: &[String]) -> Result<CertificateFiles, CertificateError> {
    let folder = data_dir.join(FOLDER);
    let files = CertificateFiles { chain: folder.join(CHAIN), key: folder.join(KEY) };
    let mut names = vec!["localhost".to_owned()];
    names.extend(domains.iter().filter_map(|domain| idna::domain_to_ascii(domain).ok()));
    names.sort_unstable();
    names.dedup();
    let fits = load(&files).is_ok_and(|certificate| {
        let left = certificate.facts.not_after - OffsetDateTime::now_utc();
        left > VALIDITY_LEFT_MIN && names.iter().all(|name| certificate.facts.cover(name))
    });
    if !fits {
        let (chain, key) = make(names).map_err(|error| Problem::Tls(error.to_string()).of(&files.chain))?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| Problem::Unwritable(error).of(&folder))?;
        // Were only one of the two replaced, they would not belong together, and be made anew at the next start.
        for (path, pem) in [(&files.key, key), (&files.chain, chain)] {
            write(path, &pem).map_err(|error| Problem::Unwritable(error).of(path))?;
        }
    }
    Ok(files)
}

/// Certificate and key in PEM.
fn make(mut names: Vec<String>) -> Result<(String, String), rcgen::Error> {
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Rondel development certificate");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clients whose clock is behind shall not stumble over it.
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = params.not_before + VALIDITY;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn write(path: &Path, pem: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_kept_for_the_next_start_and_made_anew_for_other_domains() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = development_certificate(&data, &["localhost".into()]).unwrap();
        let pem = fs::read(&first.key).unwrap();
        for path in [&first.key, &first.chain] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(development_certificate(&data, &["localhost".into()]).unwrap(), first);
        assert_eq!(fs::read(&first.key).unwrap(), pem);
        development_certificate(&data, &["bücher.example".into()]).unwrap();
        assert_ne!(fs::read(&first.key).unwrap(), pem);
        let loaded = load(&first).unwrap();
        assert!(loaded.facts.cover("localhost") && loaded.facts.cover("xn--bcher-kva.example"));
        fs::write(&first.key, "broken").unwrap();
        development_certificate(&data, &[]).unwrap();
        assert!(load(&first).is_ok());
    }
}
