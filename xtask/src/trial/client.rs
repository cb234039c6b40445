//! The SMTP client of the trials.

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longest time that the client waits for a reply.
const REPLY_WITHIN: Duration = Duration::from_secs(60);

/// A plain SMTP client. The caller decides what is sent and when a reply is read.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// The connection fails, or the greeting is not 220.
    pub fn connect(to: SocketAddr) -> Result<Self> {
        Self::connect_from(Ipv4Addr::LOCALHOST, to)
    }

    /// As [`connect`](Self::connect), from the given address of 127.0.0.0/8.
    ///
    /// # Errors
    /// The connection fails, or the greeting is not 220.
    pub fn connect_from(source: Ipv4Addr, to: SocketAddr) -> Result<Self> {
        let stream = stream_from(source, to, REPLY_WITHIN)?;
        stream.set_read_timeout(Some(REPLY_WITHIN))?;
        let mut client = Self { stream: BufReader::new(stream) };
        client.expect(220)?;
        Ok(client)
    }

    /// Reads all lines of one reply.
    ///
    /// # Errors
    /// The connection ends, or a line is no reply.
    pub fn reply(&mut self) -> Result<(u16, String)> {
        let mut text = String::new();
        loop {
            let start = text.len();
            ensure!(self.stream.read_line(&mut text)? > 0, "the server closed the connection");
            let line = text.get(start..).unwrap_or_default();
            if line.as_bytes().get(3) != Some(&b'-') {
                let code = line.get(..3).and_then(|c| c.parse().ok()).context("a reply code")?;
                return Ok((code, text));
            }
        }
    }

    /// Reads a reply that must have this code.
    ///
    /// # Errors
    /// The reply has another code.
    pub fn expect(&mut self, code: u16) -> Result<()> {
        let (got, text) = self.reply()?;
        ensure!(got == code, "expected {code}, got {text}");
        Ok(())
    }

    /// Writes `bytes` unchanged.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Sends one message in a transaction of its own, with the envelope commands in one packet. `data` is sent unchanged, so it
    /// ends in the final dot.
    ///
    /// # Errors
    /// The server refuses a command or the message.
    pub fn send(&mut self, from: &str, to: &str, data: &[u8]) -> Result<()> {
        self.write(format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes())?;
        self.expect(250)?;
        self.expect(250)?;
        self.expect(354)?;
        self.write(data)?;
        self.expect(250)
    }

    /// Sends EHLO.
    ///
    /// # Errors
    /// The reply is not 250.
    pub fn hello(&mut self) -> Result<()> {
        self.write(b"EHLO client.example\r\n")?;
        self.expect(250)
    }

    /// Returns the socket; bytes that were read ahead are lost.
    pub fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    /// Reads the bytes that have arrived, up to the size of `buffer`.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        Ok(self.stream.read(buffer)?)
    }
}

/// Opens a connection from the given address of 127.0.0.0/8, all of which belong to this host (RFC 1122 §3.2.1.3).
///
/// # Errors
/// The server refuses the connection, or it takes longer than `within`.
pub fn stream_from(source: Ipv4Addr, to: SocketAddr, within: Duration) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect_timeout(&to.into(), within)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}
