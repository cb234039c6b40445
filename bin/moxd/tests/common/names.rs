//! A name server on loopback, in a thread of its own.

use dns::zone::Zone;
use dns_hickory::testing;
use tokio::runtime::Runtime;

/// A name server that runs until it is dropped.
pub struct Names {
    server: testing::Server,
    _runtime: Runtime,
}

impl Names {
    /// Serves this zone.
    pub fn serve(zone: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(testing::Server::start(Zone::parse(zone).unwrap())).unwrap();
        Self { server, _runtime: runtime }
    }

    /// The number of queries for this name and type; an empty text matches any.
    pub fn count(&self, name: &str, record_type: &str) -> usize {
        let fits = |want: &str, have: &str| want.is_empty() || want == have;
        let asked = self.server.asked();
        asked.iter().filter(|asked| fits(name, &asked.name) && fits(record_type, &asked.record_type)).count()
    }

    /// Was this name queried over TCP?
    pub fn asked_over_tcp(&self, name: &str) -> bool {
        self.server.asked().iter().any(|asked| asked.name == name && asked.tcp)
    }

    /// The value for `--dns`.
    pub fn address(&self) -> String {
        self.server.address().to_string()
    }
}
