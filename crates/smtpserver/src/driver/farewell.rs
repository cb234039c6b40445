//! What is said to a client that is refused before it has said anything.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::buffers::Buffer;
use super::connection::{Connection, End};
use super::wire::Transport;
use crate::backend::Backend;
use crate::replies::{self, Wording};

/// Handshake timeout for a client that is refused. Short, because few clients are told at a time that they are.
const FAREWELL_HANDSHAKE: Duration = Duration::from_secs(3);

impl<B: Backend, T: Transport> Connection<B, T> {
    /// Tells a client that it is refused, if there is a place for that: the limits on connections do not count it, and it
    /// may take its time to read.
    pub(super) async fn turn_away(mut self, wording: Wording) {
        let shared = Arc::clone(&self.shared);
        let Ok(_place) = shared.farewells.try_acquire() else { return };
        let end = match self.say_no(wording).await {
            Ok(()) => End::Closed,
            Err(end) => end,
        };
        let remote = self.session.client().peer.remote;
        let (cause, reason) = self.finish(end).await;
        debug!(%remote, cause, reason, "refused connection closed");
    }

    async fn say_no(&mut self, wording: Wording) -> Result<(), End> {
        if self.session.rules().kind.is_implicit_tls() {
            // A handshake costs more than all else a connection does before it logs in. Clients that come too fast, or
            // to a full server, would get as many as before.
            if ![replies::OPEN_CONNECTIONS, replies::TOO_MANY_AUTH_FAILURES].contains(&wording) {
                return Ok(());
            }
            self.secure(self.session.rules().timeouts.handshake.min(FAREWELL_HANDSHAKE)).await?;
        }
        let step = self.session.turn_away(wording, &mut self.pipe.out);
        self.act(step, &mut Buffer::default()).await
    }
}
