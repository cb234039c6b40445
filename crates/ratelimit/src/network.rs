//! Networks: one host, the site around it, its provider's block.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The width of the network around an address whose events are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// One customer: an IPv4 address, an IPv6 network of the size a household gets at least.
    Host,
    /// A few neighbours, such as one company.
    Site,
    /// A large block, such as that of one provider.
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
    /// Prefix lengths for [`Class::ALL`], in this order. A length beyond the address's is cut to it.
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

/// Bits in front of the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// An address and a prefix length. Bits behind the prefix are zero, and IPv4-mapped IPv6 is stored as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// The network with prefix `length` around `ip`. A length beyond the address's is cut to it.
    ///
    /// For an IPv4-mapped `ip` the length counts in its IPv4 address: 24 for `::ffff:192.0.2.0/120`.
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

    /// Does one of the two networks contain the other?
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

/// The text is neither an address nor a network such as `192.0.2.0/24`.
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

    /// Reads `address/length`, or an address alone. Bits behind the prefix are set to zero. An IPv4-mapped network
    /// (`::ffff:192.0.2.0/120`) is the IPv4 network that it stands for. One that is wider than all IPv4 addresses is refused:
    /// it has no IPv4 form.
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
        let is_mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let length = if is_mapped { length.checked_sub(MAPPED_BITS).ok_or(NetworkSyntax)? } else { length };
        Ok(Self::new(address, length))
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
        assert_eq!("::ffff:192.0.2.7/96".parse::<Network>().unwrap().to_string(), "0.0.0.0/0");
        for bad in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/",
            "192.0.2.0/-1",
            "host/24",
            "192.0.2.0/256",
            "::ffff:192.0.2.0/95",
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
