//! A name server for trying things out: `zoneserver FILE [--listen 127.0.0.1:0] [--delay MILLISECONDS] [--log]`
//!
//! Serves zone text (see `dns::zone`) over UDP and TCP, prints the address it listens on, and runs until it is killed.
//! With `--log` every question is printed too.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use dns::zone::Zone;
use moxd_dns_hickory::testing::{Server, Settings};
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut file, mut address, mut settings, mut log) =
        (None, SocketAddr::from(([127, 0, 0, 1], 0)), Settings::default(), false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => address = arguments.next().ok_or("--listen needs an address")?.parse()?,
            "--delay" => {
                let delay = arguments.next().ok_or("--delay needs milliseconds")?.parse()?;
                settings.delay = Duration::from_millis(delay);
            }
            "--log" => log = true,
            _ => file = Some(argument),
        }
    }
    let text = std::fs::read_to_string(file.ok_or("zoneserver FILE [--listen ADDR] [--delay MS] [--log]")?)?;
    let server = Server::listen(address, Zone::parse(&text)?, settings).await?;
    println!("{}", server.address());
    std::io::stdout().flush()?;
    let mut printed = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for asked in server.asked().iter().skip(printed).take_while(|_| log) {
            println!("{} {}{}", asked.name, asked.record_type, if asked.tcp { " tcp" } else { "" });
            printed += 1;
        }
        std::io::stdout().flush()?;
    }
}
