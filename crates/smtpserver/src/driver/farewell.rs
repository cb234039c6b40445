//! Replies to clients that are rejected before they have said anything.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::connection::{Connection, End};
use super::wire::Transport;
use crate::backend::Backend;
use crate::replies::{self, ReplyTemplate};

/// Handshake timeout for a client that will be rejected. Kept short because few rejected clients get a reply at a time.
const FAREWELL_HANDSHAKE: Duration = Duration::from_secs(3);

impl<B: Backend, T: Transport> Connection<B, T> {
    /// Tells a client that it is rejected, if there is a place for that. Places are few because the limits on connections
    /// do not count such a client, and it may take its time to read.
    pub(super) async fn turn_away(mut self, reply: ReplyTemplate) {
        let shared = Arc::clone(&self.shared);
        let Ok(_place) = shared.farewells.try_acquire() else { return };
        let end = match self.reject(reply).await {
            Ok(()) => End::Closed,
            Err(end) => end,
        };
        let remote = self.session.client().peer.remote;
        let (cause, reason) = self.finish(end).await;
        debug!(%remote, cause, reason, "refused connection closed");
    }

    async fn reject(&mut self, reply: ReplyTemplate) -> Result<(), End> {
        if self.session.rules().kind.is_implicit_tls() {
            // A handshake costs more than all else before the login. Clients that connect too fast, or to a full server,
            // must not make us do as many handshakes as if we had let them in.
            if ![replies::OPEN_CONNECTIONS, replies::TOO_MANY_AUTH_FAILURES].contains(&reply) {
                return Ok(());
            }
            self.secure(self.session.rules().timeouts.handshake.min(FAREWELL_HANDSHAKE)).await?;
        }
        let reason = self.session.turn_away(reply, &mut self.pipe.out);
        Err(self.close(reason).await)
    }
}
