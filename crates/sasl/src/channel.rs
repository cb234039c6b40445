//! The connection under an exchange, as far as an exchange can be bound to it.

use std::fmt;

use zeroize::Zeroizing;

/// The type of a channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// `tls-exporter` (RFC 9266 §2), for TLS 1.3: 32 bytes of keying material exported with the label
    /// `EXPORTER-Channel-Binding` and an empty context.
    TlsExporter,
    /// `tls-unique` (RFC 5929 §3), for TLS 1.2 and before: the first Finished message of the handshake.
    TlsUnique,
}

impl Binding {
    /// The registered name, as it stands after `p=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsUnique => "tls-unique",
        }
    }
}

/// The connection under an exchange.
#[derive(Clone)]
pub struct Channel {
    tls: bool,
    binding: Option<(Binding, Zeroizing<Vec<u8>>)>,
    plus_offered: bool,
}

impl Channel {
    /// A connection without TLS.
    pub fn plaintext() -> Self {
        Self { tls: false, binding: None, plus_offered: false }
    }

    /// TLS without channel binding, such as TLS 1.2 from a library that does not expose its Finished message.
    pub fn tls() -> Self {
        Self { tls: true, ..Self::plaintext() }
    }

    /// TLS with channel binding `bytes`; PLUS mechanisms count as offered.
    pub fn bound(binding: Binding, bytes: Vec<u8>) -> Self {
        Self { tls: true, binding: Some((binding, Zeroizing::new(bytes))), plus_offered: true }
    }

    /// Says whether the server offers PLUS mechanisms on this connection, where it differs from the default.
    ///
    /// A server that offers PLUS refuses a client that believes it does not (RFC 5802 §6). A client tells the server
    /// which offer it saw.
    #[must_use]
    pub fn with_plus_offered(mut self, offered: bool) -> Self {
        self.plus_offered = offered;
        self
    }

    /// Is the connection encrypted?
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Does the server offer PLUS mechanisms?
    pub fn plus_offered(&self) -> bool {
        self.plus_offered
    }

    /// The channel binding, if there is one.
    pub(crate) fn binding(&self) -> Option<(Binding, &[u8])> {
        self.binding.as_ref().map(|(binding, bytes)| (*binding, bytes.as_slice()))
    }
}

impl fmt::Debug for Channel {
    /// Without the bytes: with `tls-unique` they are a secret between the two ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("tls", &self.tls)
            .field("binding", &self.binding.as_ref().map(|(binding, _)| binding))
            .field("plus_offered", &self.plus_offered)
            .finish()
    }
}
