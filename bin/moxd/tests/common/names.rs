//! A name server on loopback, in a thread of its own.

use dns::zone::Zone;
use dns_hickory::testing;
use tokio::runtime::Runtime;

/// Runs until dropped.
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

    /// The value for `--dns`.
    pub fn address(&self) -> String {
        self.server.address().to_string()
    }
}
