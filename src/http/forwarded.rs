//! Who asks, where a proxy asks on behalf of others.

use std::net::IpAddr;

use super::Request;
use crate::registration::Networks;

/// The header in which proxies say for whom they ask.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever asks. What a proxy says is believed of those that are trusted, and of nobody else: each adds
/// whom it has heard from at the end, so that the last one that is no proxy is whom they speak for.
pub fn visitor_behind(peer: IpAddr, request: &Request, proxies: &Networks) -> IpAddr {
    let said = request.headers().get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = said.flat_map(|value| value.split(',')).collect();
    let mut visitor = peer.to_canonical();
    for address in said.iter().rev() {
        if !proxies.contain(visitor) {
            break;
        }
        match address.trim().parse::<IpAddr>() {
            Ok(address) => visitor = address.to_canonical(),
            Err(_) => break,
        }
    }
    visitor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::Network;
    use hyper::body::Bytes;

    #[test]
    fn only_proxies_that_are_trusted_are_believed() {
        let proxies: Networks =
            ["10.0.0.0/8", "::1"].into_iter().map(|text| text.parse::<Network>().unwrap()).collect();
        let visitor = |peer: &str, said: &[&str]| {
            let mut request = Request::new(Bytes::new());
            for value in said {
                request.headers_mut().append(FORWARDED_FOR, value.parse().unwrap());
            }
            visitor_behind(peer.parse().unwrap(), &request, &proxies).to_string()
        };
        assert_eq!(visitor("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(visitor("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(visitor("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        // What the visitor has said itself stands before what the proxy has added.
        assert_eq!(visitor("::1", &["203.0.113.9", "198.51.100.1, 10.1.1.1"]), "198.51.100.1");
        assert_eq!(visitor("10.0.0.1", &["203.0.113.9, nonsense"]), "10.0.0.1");
    }
}
