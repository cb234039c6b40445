//! [`Options`]: times, sizes and trust.

use std::time::Duration;

/// Is DNSSEC validated?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dnssec {
    /// If a probe finds that the servers pass signatures on.
    #[default]
    Probe,
    /// Always: servers that do not pass signatures on make every answer bogus.
    Always,
    /// Never: no answer is more than unknown.
    Never,
}

/// How a resolver behaves. The defaults suit a mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long one server may take to answer before the next one is queried. Lost datagrams are sent again within this time.
    pub server_timeout: Duration,
    /// How often all servers are tried if none answers in time; at least 1.
    pub rounds: u32,
    /// How long one query may take in all, with aliases and the chain of trust.
    pub question_timeout: Duration,
    /// Concurrent exchanges with servers, at least 2; further ones wait. Half of them are for exchanges that take longer than half
    /// a second. Each takes up to three sockets.
    pub exchanges: usize,
    /// Bytes of cached answers, as an estimate. 0: no cache.
    pub cache_size: usize,
    /// The longest time that an answer is cached, whatever its TTL.
    pub max_ttl: Duration,
    /// The longest time that a negative answer is cached, whatever the zone says (RFC 2308 §5).
    pub max_negative_ttl: Duration,
    /// Is DNSSEC validated?
    pub dnssec: Dnssec,
    /// Trusted keys, as lines of DNSKEY records in the format of zone files; the root's built-in ones if there is none.
    pub trust_anchors: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server_timeout: Duration::from_secs(2),
            rounds: 2,
            question_timeout: Duration::from_secs(10),
            exchanges: 512,
            cache_size: 16 << 20,
            max_ttl: Duration::from_secs(24 * 3600),
            max_negative_ttl: Duration::from_secs(3600),
            dnssec: Dnssec::Probe,
            trust_anchors: None,
        }
    }
}
