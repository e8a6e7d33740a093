//! Who asks, where a proxy asks on behalf of others.

use std::net::IpAddr;

use super::Request;
use crate::registration::Networks;

/// The header in which proxies say for whom they ask.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever asks. What a proxy says is believed of those that are trusted, and of nobody else: each adds
/// whom it has heard from at the end, so that the last one that is no proxy is whom they speak for. None if a proxy
/// does not say it: nobody has the rights of a proxy's own address by that.
pub fn visitor_behind(peer: IpAddr, request: &Request, proxies: &Networks) -> Option<IpAddr> {
    let said = request.headers().get_all(FORWARDED_FOR).iter();
    let said: Vec<u8> = said.flat_map(|value| value.as_bytes().iter().copied().chain([b','])).collect();
    let said = String::from_utf8_lossy(&said);
    let mut said = said.rsplit(',').map(str::trim).filter(|address| !address.is_empty());
    let mut visitor = peer.to_canonical();
    while proxies.contain(visitor) {
        visitor = said.next()?.parse::<IpAddr>().ok()?.to_canonical();
    }
    Some(visitor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::Network;
    use hyper::body::Bytes;
    use hyper::header::HeaderValue;

    #[test]
    fn only_proxies_that_are_trusted_are_believed() {
        let proxies: Networks =
            ["10.0.0.0/8", "::1"].into_iter().map(|text| text.parse::<Network>().unwrap()).collect();
        let visitor = |peer: &str, said: &[&str]| {
            let mut request = Request::new(Bytes::new());
            for value in said {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                request.headers_mut().append(FORWARDED_FOR, value);
            }
            visitor_behind(peer.parse().unwrap(), &request, &proxies).map(|address| address.to_string())
        };
        let is = |visitor: Option<String>, address: &str| assert_eq!(visitor.as_deref(), Some(address));
        is(visitor("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        is(visitor("192.0.2.1", &["nonsense"]), "192.0.2.1");
        is(visitor("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        // What the visitor has said itself stands before what the proxy has added.
        is(visitor("::1", &["203.0.113.9", "198.51.100.1, 10.1.1.1"]), "198.51.100.1");
        is(visitor("10.0.0.1", &["\u{ff}, 198.51.100.1"]), "198.51.100.1");
        for nobody in [&[][..], &["203.0.113.9, nonsense"], &["198.51.100.1:4711"], &["10.0.0.2"], &[""]] {
            assert_eq!(visitor("10.0.0.1", nobody), None, "{nobody:?}");
        }
    }
}
