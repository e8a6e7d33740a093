//! Where addresses are, as a database in MaxMind's format says (`--geoip`).

use std::net::IpAddr;
use std::path::Path;

use maxminddb::{Reader, path};

use super::world::Location;

/// A database of addresses.
#[derive(Debug)]
pub struct Places(Reader<Vec<u8>>);

impl Places {
    /// Reads a database. An error is one line.
    pub fn open(file: &Path) -> Result<Places, String> {
        let reader = Reader::open_readfile(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Places(reader))
    }

    /// Where an address is, as far as the database knows.
    pub fn location(&self, address: IpAddr) -> Location {
        let Ok(found) = self.0.lookup(address) else { return Location::default() };
        let country: Option<&str> = found.decode_path(&path!["country", "iso_code"]).ok().flatten();
        let continent: Option<&str> = found.decode_path(&path!["continent", "code"]).ok().flatten();
        let country3 = country.and_then(rust_iso3166::from_alpha2).map(|country| country.alpha3);
        Location {
            country: country.map(Box::from),
            country3: country3.map(Box::from),
            continent: continent.map(Box::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_where_the_database_says() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/GeoIP2-Country-Test.mmdb");
        let places = Places::open(&file).unwrap();
        let location = |address: &str| {
            let Location { country, country3, continent } = places.location(address.parse().unwrap());
            [country, country3, continent].map(|code| code.map_or("none".to_owned(), String::from)).join(" ")
        };
        assert_eq!(location("89.160.20.112"), "SE SWE EU");
        assert_eq!(location("2001:218::1"), "JP JPN AS");
        assert_eq!(location("127.0.0.1"), "none none none");
        assert!(Places::open(Path::new("/nowhere")).is_err());
    }
}
