//! A server that accepts all mail and keeps none, to measure the session and the driver alone.
//!
//! `cargo run --release -p moxd-smtpserver --example discard -- 127.0.0.1:2525 [certificate.pem key.pem]`
//!
//! With a certificate it has a second listener, on the next port, with TLS from the start.

#![allow(clippy::print_stdout, reason = "an example that is run by hand")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use moxd_smtpserver::ratelimit::LoginKey;
use moxd_smtpserver::sasl::{Identity, Need, Verifier};
use moxd_smtpserver::smtp_parser::Path;
use moxd_smtpserver::{
    Backend, Certificate, Client, GateRules, Kind, Login, Received, Refusal, RequestKey, Reveal, Rules,
    Sender, Server, Settings, Standing, Stop, Tls, TlsRules, replies,
};
use tokio::net::TcpListener;

struct Discard;

impl Backend for Discard {
    type Connection = ();
    /// Bytes so far.
    type Transaction = u64;

    fn connect(&self, _: &Client) {}

    async fn secret(&self, (): &mut (), _: &Client, _: Standing, _: Need) -> Result<Verifier, Refusal> {
        Err(Refusal::new(replies::AUTH_UNAVAILABLE))
    }

    /// There are no accounts.
    fn login_key(&self, _: &str) -> LoginKey {
        LoginKey::Nobody(0)
    }

    async fn login(&self, (): &mut (), _: &Client, _: &Identity) -> Result<Login, Refusal> {
        Err(Refusal::new(replies::AUTH_UNAVAILABLE))
    }

    async fn sender(&self, (): &mut (), _: &Client, _: &Sender) -> Result<u64, Refusal> {
        Ok(0)
    }

    async fn recipient(&self, (): &mut (), _: &Client, _: &mut u64, _: &Path) -> Result<(), Refusal> {
        Ok(())
    }

    async fn content(&self, bytes: &mut u64, content: &[u8]) -> Result<(), Refusal> {
        *bytes += content.len() as u64;
        Ok(())
    }

    async fn message(&self, (): &mut (), _: &Client, bytes: u64, received: &Received) -> Result<(), Refusal> {
        (bytes == received.size).then_some(()).ok_or_else(|| Refusal::new(replies::NOT_DELIVERED))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().as_deref().unwrap_or("127.0.0.1:2525").parse()?;
    let settings = Settings {
        request_key: RequestKey::new(&[0; RequestKey::BYTES]),
        first_cid: 1,
        gate: GateRules::open(),
        reveal: Reveal::default(),
        stop: Stop::new(),
    };
    let server = Server::new(Arc::new(Discard), settings);
    if let (Some(chain), Some(key)) = (arguments.next(), arguments.next()) {
        let certificate = Certificate::from_pem(&std::fs::read(chain)?, &std::fs::read(key)?)?;
        let tls = Tls::new(vec![certificate], TlsRules::new(Kind::Submissions))?;
        let mut rules = Rules::new(Kind::Submissions, "localhost".parse()?);
        rules.mail_needs_tls = false;
        let listener = TcpListener::bind((address.ip(), address.port() + 1)).await?;
        println!("listening on {}, with TLS", listener.local_addr()?);
        let server = server.clone();
        tokio::spawn(async move { server.serve(listener, Arc::new(rules), Some(tls)).await });
    }
    let mut rules = Rules::new(Kind::Smtp, "localhost".parse()?);
    rules.starttls = false;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    // Not in `main` itself: its thread is none of the pool's, and connections would have to be handed over.
    tokio::spawn(async move { server.serve(listener, Arc::new(rules), None).await }).await??;
    Ok(())
}
