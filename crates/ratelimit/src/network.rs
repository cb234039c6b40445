//! Addresses taken together: one host, the site around it, its provider.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// How wide a circle around an address is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// One customer: an IPv4 address, an IPv6 network of the size a household gets at least.
    Host,
    /// A few neighbours, as one company has them.
    Site,
    /// A whole block, as one provider has it.
    Provider,
}

impl Class {
    /// All classes, the narrowest first.
    pub const ALL: [Class; 3] = [Class::Host, Class::Site, Class::Provider];

    /// The stable name, for logs and metrics.
    pub fn token(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Site => "site",
            Self::Provider => "provider",
        }
    }
}

/// The length of the network of each class, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    ipv4: [u8; 3],
    ipv6: [u8; 3],
}

impl Prefixes {
    /// Lengths for [`Class::ALL`], in this order. More bits than an address has count as all of them.
    pub fn new(ipv4: [u8; 3], ipv6: [u8; 3]) -> Self {
        Self { ipv4, ipv6 }
    }

    /// The network of this class around an address.
    pub fn network(&self, class: Class, ip: IpAddr) -> Network {
        let [host, site, provider] = if ip.to_canonical().is_ipv4() { self.ipv4 } else { self.ipv6 };
        let length = match class {
            Class::Host => host,
            Class::Site => site,
            Class::Provider => provider,
        };
        Network::new(ip, length)
    }
}

impl Default for Prefixes {
    /// /32, /26, /21 for IPv4; /64, /48, /32 for IPv6.
    fn default() -> Self {
        Self::new([32, 26, 21], [64, 48, 32])
    }
}

/// An address and the number of its leading bits that count. The others are zero, and IPv4-mapped IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// The network of `length` bits around `ip`; more bits than an address has count as all of them.
    ///
    /// The length is that of the address as given to the caller: for IPv4-mapped IPv6 (`::ffff:0:0/96`) it is counted
    /// in the IPv4 address.
    pub fn new(ip: IpAddr, length: u8) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { address: Ipv4Addr::from_bits(v4.to_bits() & mask).into(), length }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { address: Ipv6Addr::from_bits(v6.to_bits() & mask).into(), length }
            }
        }
    }

    /// Is one of the two within the other?
    pub fn overlaps(&self, other: &Network) -> bool {
        self.contains(other.address) && self.length <= other.length
            || other.contains(self.address) && other.length <= self.length
    }

    /// Is it a single address?
    pub fn is_address(&self) -> bool {
        self.length == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Is the address in this network?
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4() && Self::new(ip, self.length) == *self
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// Not an address, nor a network in the form `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSyntax;

impl fmt::Display for NetworkSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an IP address or network such as 192.0.2.0/24")
    }
}

impl std::error::Error for NetworkSyntax {}

impl FromStr for Network {
    type Err = NetworkSyntax;

    /// Reads `address/length`, or an address alone. Bits beyond the length are set to zero.
    fn from_str(text: &str) -> Result<Self, NetworkSyntax> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| NetworkSyntax)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkSyntax)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(bits);
        if length > bits {
            return Err(NetworkSyntax);
        }
        // `::ffff:192.0.2.0/120` is 192.0.2.0/24.
        let mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        Ok(Self::new(address, if mapped { length.saturating_sub(96) } else { length }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ip: &str, expected: [&str; 3]) {
        let got = Class::ALL.map(|class| Prefixes::default().network(class, ip.parse().unwrap()).to_string());
        assert_eq!(got, expected);
    }

    #[test]
    fn classes_of_addresses() {
        check("192.0.2.77", ["192.0.2.77/32", "192.0.2.64/26", "192.0.0.0/21"]);
        check("::ffff:192.0.2.77", ["192.0.2.77/32", "192.0.2.64/26", "192.0.0.0/21"]);
        check("2001:db8:1:2:3::4", ["2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32"]);
    }

    #[test]
    fn round_trips_text() {
        for text in ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.1/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.7/24".parse::<Network>().unwrap().to_string(), "192.0.2.0/24");
        assert_eq!("192.0.2.7".parse::<Network>().unwrap().to_string(), "192.0.2.7/32");
        assert_eq!("::ffff:192.0.2.7/120".parse::<Network>().unwrap().to_string(), "192.0.2.0/24");
        for bad in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/",
            "192.0.2.0/-1",
            "host/24",
            "192.0.2.0/256",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkSyntax), "{bad}");
        }
    }

    #[test]
    fn networks_overlap_where_one_is_within_the_other() {
        for (a, b, expected) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.0/26", true),
            ("192.0.2.0/24", "192.0.2.64/26", true),
            ("192.0.2.0/26", "192.0.2.64/26", false),
            ("::/0", "192.0.2.1", false),
        ] {
            let (a, b): (Network, Network) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((a.overlaps(&b), b.overlaps(&a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn contains_mapped_addresses_but_not_the_other_family() {
        let network: Network = "192.0.2.0/24".parse().unwrap();
        assert!(network.contains("192.0.2.255".parse().unwrap()));
        assert!(network.contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!network.contains("192.0.3.0".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()) && !all.contains("192.0.2.1".parse().unwrap()));
    }
}
