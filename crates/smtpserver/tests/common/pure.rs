//! A session without sockets: its owner answers with the test backend, whose futures are ready at once.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use moxd_smtpserver::{
    Answer, Ask, Backend, CloseReason, Peer as Ends, RequestId, Rules, Session, Standing, Step, TlsFacts,
};
use ratelimit::Network;

use super::backend::{TestBackend, Transaction};
use super::talk::Peer;

/// What a future that never waits comes to.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the test backend does not wait"),
    }
}

pub fn ends() -> Ends {
    let local = "127.0.0.1:25".parse().unwrap();
    Ends { cid: 1, id: RequestId::zero(), remote: "192.0.2.1:40000".parse().unwrap(), local }
}

/// A time to go by: 2025-01-01.
pub fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600)
}

/// A session with its owner.
pub struct Pure {
    pub session: Session,
    pub backend: Arc<TestBackend>,
    transaction: Option<Transaction>,
    pending: Vec<u8>,
    out: Vec<u8>,
    /// Octets given at a time.
    piece: usize,
    awaiting_tls: bool,
    pub closed: Option<CloseReason>,
}

impl Pure {
    pub fn new(rules: Arc<Rules>, backend: Arc<TestBackend>, piece: usize) -> Self {
        let implicit = rules.kind.is_implicit_tls();
        let mut pure = Self {
            session: Session::new(rules, ends()),
            backend,
            transaction: None,
            pending: Vec::new(),
            out: Vec::new(),
            piece,
            awaiting_tls: false,
            closed: None,
        };
        ready(async { pure.backend.connect(pure.session.client()) });
        if implicit {
            let step = pure.session.secured(tls());
            pure.act(step);
        }
        pure.session.greet(&mut pure.out);
        pure
    }

    /// Gives octets in pieces, and does what the session wants.
    pub fn give(&mut self, octets: &[u8]) {
        let mut left: VecDeque<u8> = octets.iter().copied().collect();
        while !left.is_empty() && self.closed.is_none() && !self.awaiting_tls {
            let piece: Vec<u8> = left.drain(..self.piece.min(left.len())).collect();
            self.pending.extend(piece);
            self.run();
        }
    }

    fn run(&mut self) {
        loop {
            let input = std::mem::take(&mut self.pending);
            let (taken, step) = self.session.receive(&input, time(), &mut self.out);
            assert!(taken <= input.len());
            let more = match step {
                Step::NeedInput => false,
                Step::Content(content) => {
                    let transaction = self.transaction.as_mut().expect("content without a transaction");
                    if let Err(refusal) = ready(self.backend.content(transaction, content)) {
                        self.session.refuse_content(refusal);
                    }
                    true
                }
                Step::Ask(ask) => self.act(Step::Ask(ask)),
                Step::StartTls => self.act(Step::StartTls),
                Step::Close(reason) => self.act(Step::Close(reason)),
                Step::Continue => true,
            };
            self.pending = input[taken..].to_vec();
            if !self.session.in_transaction() {
                self.transaction = None;
            }
            let _ = self.session.take_said();
            if let Some(failure) = self.session.take_login_failure() {
                self.backend.login_failed(&mut (), self.session.client(), &failure);
            }
            if !more {
                return;
            }
        }
    }

    /// Does what a step wants; tells whether there is more to do with the input.
    fn act(&mut self, step: Step<'static>) -> bool {
        let mut step = step;
        loop {
            step = match step {
                Step::Ask(ask) => {
                    let answer = self.reply_to(ask);
                    self.session.answer(answer, time(), &mut self.out)
                }
                Step::StartTls => {
                    self.awaiting_tls = true;
                    return false;
                }
                Step::Close(reason) => {
                    self.closed = Some(reason);
                    return false;
                }
                Step::NeedInput | Step::Continue | Step::Content(_) => return true,
            };
        }
    }

    fn reply_to(&mut self, ask: Ask) -> Answer {
        let (backend, client) = (&self.backend, self.session.client());
        match ask {
            Ask::Hello(ask) => match ready(backend.hello(&mut (), client, ask.hello())) {
                Ok(()) => ask.accept(),
                Err(refusal) => ask.refuse(refusal),
            },
            Ask::Nonce(ask) => ask.supply([2; 18]),
            Ask::Secret(ask) => {
                let (need, reply) = ask.split();
                let standing = Standing { known: false, network: Network::new(client.ip(), 21) };
                match ready(backend.secret(&mut (), client, standing, need)) {
                    Ok(verifier) => reply.supply(verifier),
                    Err(refusal) => reply.refuse(refusal),
                }
            }
            Ask::Login(ask) => match ready(backend.login(&mut (), client, ask.identity())) {
                Ok(login) => ask.accept(login),
                Err(refusal) => ask.refuse(refusal),
            },
            Ask::Sender(ask) => match ready(backend.sender(&mut (), client, ask.sender())) {
                Ok(transaction) => {
                    self.transaction = Some(transaction);
                    ask.accept()
                }
                Err(refusal) => ask.refuse(refusal),
            },
            Ask::Recipient(ask) => {
                let transaction = self.transaction.as_mut().expect("a recipient without a transaction");
                match ready(backend.recipient(&mut (), client, transaction, ask.path())) {
                    Ok(()) => ask.accept(),
                    Err(refusal) => ask.refuse(refusal),
                }
            }
            Ask::Message(ask) => {
                let transaction = self.transaction.take().expect("a message without a transaction");
                match ready(backend.message(&mut (), client, transaction, ask.received())) {
                    Ok(()) => ask.accept(),
                    Err(refusal) => ask.refuse(refusal),
                }
            }
        }
    }

    /// What was written so far.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLS1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        sni: None,
        client_key: None,
        exporter: Some([3; 32]),
    }
}

impl Peer for Pure {
    async fn send(&mut self, octets: &[u8]) {
        self.give(octets);
    }

    async fn line(&mut self) -> Option<String> {
        let Some(end) = self.out.iter().position(|octet| *octet == b'\n') else {
            assert!(self.closed.is_some(), "the session says nothing");
            return None;
        };
        let line: Vec<u8> = self.out.drain(..=end).collect();
        Some(
            String::from_utf8(line).unwrap().strip_suffix("\r\n").expect("a reply ends with CRLF").to_owned(),
        )
    }

    async fn start_tls(&mut self) {
        // With TLS from the start the handshake is over already.
        if std::mem::take(&mut self.awaiting_tls) {
            self.pending.clear();
            let step = self.session.secured(tls());
            self.act(step);
        }
    }

    async fn stop(&mut self) {
        let step = self.session.stop(&mut self.out);
        self.act(step);
    }
}
