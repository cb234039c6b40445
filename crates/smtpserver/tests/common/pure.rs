//! A session without sockets: its owner answers with the test backend, whose futures are ready at once.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use moxd_smtpserver::{
    Ask, Backend, CloseReason, Next, Peer as Ends, RequestId, Rules, Session, Standing, Step, TlsFacts,
};
use ratelimit::Network;

use super::backend::{TestBackend, Transaction};
use super::talk::Peer;

/// The output of a future that never waits.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the test backend waits"),
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
    pub session: Session<Transaction>,
    pub backend: Arc<TestBackend>,
    pending: Vec<u8>,
    out: Vec<u8>,
    /// The most bytes given at a time.
    piece: usize,
    awaiting_tls: bool,
    stopping: bool,
    pub closed: Option<CloseReason>,
}

/// The next step once all questions are answered.
enum Settled {
    Continue,
    StartTls,
    Close(CloseReason),
}

impl Pure {
    pub fn new(rules: Arc<Rules>, backend: Arc<TestBackend>, piece: usize) -> Self {
        let implicit = rules.kind.is_implicit_tls();
        let mut pure = Self {
            session: Session::new(rules, ends()),
            backend,
            pending: Vec::new(),
            out: Vec::new(),
            piece,
            awaiting_tls: false,
            stopping: false,
            closed: None,
        };
        pure.backend.connect(pure.session.client());
        if implicit {
            pure.secured();
        }
        pure.session.greet(&mut pure.out);
        pure
    }

    /// Gives bytes in pieces, and does what the session's steps say.
    pub fn give(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            if self.closed.is_none() && !self.awaiting_tls {
                self.pending.extend(piece);
                self.run();
            }
        }
    }

    fn run(&mut self) {
        let mut more = true;
        while more {
            if self.stopping && self.closed.is_none() {
                self.closed = self.session.stop(&mut self.out);
            }
            if self.closed.is_some() {
                return;
            }
            let input = std::mem::take(&mut self.pending);
            let (taken, step) = self.session.receive(&input, time(), &mut self.out);
            assert!(taken <= input.len());
            let settled = match step {
                Step::NeedInput => {
                    more = false;
                    Settled::Continue
                }
                Step::Content(mut content) => {
                    let (transaction, bytes) = content.parts();
                    if let Err(refusal) = ready(self.backend.content(transaction, bytes)) {
                        content.refuse(refusal);
                    }
                    Settled::Continue
                }
                Step::Ask(ask) => settle(&self.backend, Step::Ask(ask), &mut self.out),
                Step::StartTls => Settled::StartTls,
                Step::Close(reason) => Settled::Close(reason),
                Step::Continue => Settled::Continue,
            };
            self.pending = input[taken..].to_vec();
            more &= self.act(&settled);
            let _ = self.session.take_last_reply();
            if let Some(failure) = self.session.take_login_failure() {
                self.backend.login_failed(&mut (), self.session.client(), &failure);
            }
        }
    }

    /// True if the session can go on with its input.
    fn act(&mut self, settled: &Settled) -> bool {
        match settled {
            Settled::Continue => return true,
            Settled::StartTls => self.awaiting_tls = true,
            Settled::Close(reason) => self.closed = Some(*reason),
        }
        false
    }

    fn secured(&mut self) {
        let settled = settle(&self.backend, self.session.secured(tls()), &mut self.out);
        self.act(&settled);
    }

    /// What was written so far.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn settle(backend: &TestBackend, mut step: Next<'_, Transaction>, out: &mut Vec<u8>) -> Settled {
    loop {
        step = match step {
            Step::Ask(ask) => answer(backend, ask, out),
            Step::StartTls => return Settled::StartTls,
            Step::Close(reason) => return Settled::Close(reason),
            Step::NeedInput | Step::Continue | Step::Content(_) => return Settled::Continue,
        };
    }
}

fn answer<'s>(backend: &TestBackend, ask: Ask<'s, Transaction>, out: &mut Vec<u8>) -> Next<'s, Transaction> {
    match ask {
        Ask::Hello(ask) => match ready(backend.hello(&mut (), ask.client(), ask.hello())) {
            Ok(()) => ask.accept(time(), out),
            Err(refusal) => ask.refuse(&refusal, out),
        },
        Ask::Nonce(ask) => ask.supply([2; 18], time(), out),
        Ask::Secret(ask) => {
            let (need, reply) = ask.split();
            let standing = Standing { known: false, network: Network::new(reply.client().ip(), 21) };
            match ready(backend.secret(&mut (), reply.client(), standing, need)) {
                Ok(verifier) => reply.supply(verifier, out),
                Err(refusal) => reply.refuse(&refusal, out),
            }
        }
        Ask::Login(ask) => match ready(backend.login(&mut (), ask.client(), ask.identity())) {
            Ok(login) => ask.accept(login, out),
            Err(refusal) => ask.refuse(&refusal, out),
        },
        Ask::Sender(ask) => match ready(backend.sender(&mut (), ask.client(), ask.sender())) {
            Ok(transaction) => ask.accept(transaction, out),
            Err(refusal) => ask.refuse(&refusal, out),
        },
        Ask::Recipient(mut ask) => {
            let (client, transaction, path) = ask.parts();
            match ready(backend.recipient(&mut (), client, transaction, path)) {
                Ok(()) => ask.accept(out),
                Err(refusal) => ask.refuse(&refusal, out),
            }
        }
        Ask::Message(ask) => {
            let (transaction, reply) = ask.split();
            match ready(backend.message(&mut (), reply.client(), transaction, reply.received())) {
                Ok(()) => reply.accept(out),
                Err(refusal) => reply.refuse(&refusal, out),
            }
        }
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
    async fn send(&mut self, bytes: &[u8]) {
        self.give(bytes);
    }

    async fn line(&mut self) -> Option<String> {
        let Some(end) = self.out.iter().position(|byte| *byte == b'\n') else {
            assert!(self.closed.is_some(), "the session has not replied");
            return None;
        };
        let line: Vec<u8> = self.out.drain(..=end).collect();
        Some(
            String::from_utf8(line).unwrap().strip_suffix("\r\n").expect("a reply ends with CRLF").to_owned(),
        )
    }

    async fn start_tls(&mut self) {
        // A connection that begins with TLS has its handshake behind it already.
        if std::mem::take(&mut self.awaiting_tls) {
            self.pending.clear();
            self.secured();
        }
    }

    async fn stop(&mut self) {
        self.stopping = true;
        self.run();
    }
}
