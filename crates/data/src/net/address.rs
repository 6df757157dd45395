//! Which addresses are public, and a resolver that gives no others.
//!
//! A page, or a redirect, may name any host, and a host may have any address: the router's, a database's beside this
//! machine, the cloud's service of credentials. The check lies in the resolver, so that the address that was checked
//! is the one that is connected to: a name that leads elsewhere when it is asked for again has nothing to gain.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::config::Config;
use ureq::http::Uri;
// Outside of the client's promise of stable versions; the tests notice a change.
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Networks without public servers, from IANA's registry of special addresses
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>): address, length of the prefix, what it is.
const NETWORKS_4: [(Ipv4Addr, u32, &str); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "shared by a provider's customers",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The same for IPv6 (<https://www.iana.org/assignments/iana-ipv6-special-registry>), inside of the public `2000::/3`.
const NETWORKS_6: [(Ipv6Addr, u32, &str); 3] = [
    // Among them Teredo, 2001::/32, which carries an IPv4 address in disguise.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "for documentation",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "for documentation",
    ),
];

/// What keeps an address from being asked; `None` for a public one.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_4(address),
        IpAddr::V6(address) => special_6(address),
    }
}

fn special_4(address: Ipv4Addr) -> Option<&'static str> {
    let inside = |(network, prefix, _): &&(Ipv4Addr, u32, &str)| {
        (address.to_bits() ^ network.to_bits()) >> (32 - prefix) == 0
    };
    NETWORKS_4.iter().find(inside).map(|(_, _, what)| *what)
}

fn special_6(address: Ipv6Addr) -> Option<&'static str> {
    let inside = |network: Ipv6Addr, prefix: u32| {
        (address.to_bits() ^ network.to_bits()) >> (128 - prefix) == 0
    };
    // Addresses that carry an IPv4 address are what that one is.
    let carried = |shift: u32| special_4(Ipv4Addr::from_bits((address.to_bits() >> shift) as u32));
    let starts = address.segments();
    match starts {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine"),
        // Mapped, and translated by NAT64.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => carried(0),
        // 6to4.
        [0x2002, ..] => carried(80),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        [0x2000..=0x3fff, ..] => NETWORKS_6
            .iter()
            .find(|(network, prefix, _)| inside(*network, *prefix))
            .map(|(_, _, what)| *what),
        _ => Some("reserved"),
    }
}

/// A host's address that is not public.
#[derive(Debug)]
pub(super) struct Special {
    pub(super) address: IpAddr,
    pub(super) what: &'static str,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "its address {} is not public but {}",
            self.address, self.what
        )
    }
}

impl std::error::Error for Special {}

/// The system's resolver, without addresses that are not public.
#[derive(Debug, Default)]
pub(super) struct PublicOnly {
    system: DefaultResolver,
}

impl Resolver for PublicOnly {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.system.resolve(uri, config, timeout)?;
        // One address of many is enough to refuse a host: an honest one has no mixture.
        for address in addresses.iter().map(std::net::SocketAddr::ip) {
            if let Some(what) = special(address) {
                return Err(ureq::Error::Other(Box::new(Special { address, what })));
            }
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_asked() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "2400::",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ];
        for address in public {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
        let refused = [
            ("0.0.0.0", "this network"),
            ("0.1.2.3", "this network"),
            ("10.0.0.1", "private"),
            ("100.64.0.1", "shared by a provider's customers"),
            ("100.127.255.255", "shared by a provider's customers"),
            ("127.0.0.1", "this machine"),
            ("127.255.255.255", "this machine"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.8", "reserved"),
            ("192.0.2.1", "for documentation"),
            ("192.88.99.1", "reserved"),
            ("192.168.1.1", "private"),
            ("198.19.255.255", "for benchmarks"),
            ("198.51.100.1", "for documentation"),
            ("203.0.113.1", "for documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::", "reserved"),
            ("::1", "this machine"),
            ("::7f00:1", "reserved"),
            ("::ffff:127.0.0.1", "this machine"),
            ("::ffff:10.0.0.1", "private"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::ffff:0:7f00:1", "reserved"),
            ("64:ff9b::a00:1", "private"),
            ("64:ff9b::7f00:1", "this machine"),
            ("64:ff9b:1::1", "reserved"),
            ("100::1", "reserved"),
            ("2001::1", "reserved"),
            ("2001:1ff::1", "reserved"),
            ("2001:db8::1", "for documentation"),
            ("3fff::1", "for documentation"),
            ("2002:7f00:1::1", "this machine"),
            ("2002:a00:1::", "private"),
            ("2002:c0a8:101::1", "private"),
            ("fc00::1", "private"),
            ("fd12::1", "private"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("5f00::1", "reserved"),
            ("4000::1", "reserved"),
        ];
        for (address, what) in refused {
            assert_eq!(special(address.parse().unwrap()), Some(what), "{address}");
        }
    }
}
