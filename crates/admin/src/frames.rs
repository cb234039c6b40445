//! The protocol of the control socket: a line of JSON with the request, then frames in both directions.
//!
//! A frame is one byte for its kind, four for the length of its payload (big-endian), and the payload. The server sends output,
//! progress and files, and finally `Done` or `Failed`; the client sends messages to import.

use crate::console::{Console, ExportFile, ImportHead, Remarks};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};

/// The largest payload of a frame. A longer one does not come from moxd.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;

/// Kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Bytes for standard output.
    Output = b'o',
    /// Two numbers of eight bytes: done, total.
    Progress = b'p',
    /// Begins a file: [`ExportFile`] as JSON. An empty payload ends the last one.
    File = b'f',
    /// Bytes of that file, or of a message to import.
    Data = b'd',
    /// The server asks for the next message to import.
    Next = b'n',
    /// Begins a message to import: [`ImportHead`] as JSON.
    Message = b'm',
    /// Ends a message to import, all messages ([`Remarks`] as JSON), or the answer.
    Done = b'.',
    /// Ends the answer of a request that failed; the payload says why.
    Failed = b'!',
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        let all = [
            Self::Output,
            Self::Progress,
            Self::File,
            Self::Data,
            Self::Next,
            Self::Message,
            Self::Done,
            Self::Failed,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Writes one frame.
pub(crate) fn write(to: &mut impl Write, kind: Kind, payload: &[u8]) -> Result<()> {
    for (last, chunk) in chunks(payload) {
        // Only a stream of bytes may be longer than a frame: it can be cut anywhere.
        ensure!(last || matches!(kind, Kind::Output | Kind::Data), "payload too long for its kind");
        let mut frame = Vec::with_capacity(chunk.len() + 5);
        frame.push(kind as u8);
        frame.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
        frame.extend_from_slice(chunk);
        to.write_all(&frame).context("write to the control socket")?;
    }
    Ok(())
}

/// Cuts a payload into pieces of at most [`MAX_PAYLOAD`], at least one; `true` stands with the last.
fn chunks(payload: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let mut rest = Some(payload);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        let Some((chunk, left)) = whole.split_at_checked(MAX_PAYLOAD).filter(|(_, left)| !left.is_empty())
        else {
            return Some((true, whole));
        };
        rest = Some(left);
        Some((false, chunk))
    })
}

/// Reads one frame.
pub(crate) fn read(from: &mut impl Read) -> Result<(Kind, Vec<u8>)> {
    let mut head = [0; 5];
    from.read_exact(&mut head).context("the other side of the control socket is gone")?;
    let [kind, a, b, c, d] = head;
    let kind = Kind::from_byte(kind).context("a frame of unknown kind on the control socket")?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    ensure!(length <= MAX_PAYLOAD, "a frame too long on the control socket");
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).context("a cut frame on the control socket")?;
    Ok((kind, payload))
}

/// The server's side: a console whose other end is the client.
pub(crate) struct Remote<S> {
    stream: S,
    /// Bytes of the message to import that arrived and were not read yet, from `taken` on.
    pending: Vec<u8>,
    taken: usize,
    in_message: bool,
    remarks: Remarks,
}

impl<S: Read + Write> Remote<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, pending: Vec::new(), taken: 0, in_message: false, remarks: Remarks::default() }
    }

    /// Tells the client whether the request was carried out.
    pub(crate) fn finish(mut self, result: Result<()>) -> Result<()> {
        match result {
            Ok(()) => write(&mut self.stream, Kind::Done, b""),
            Err(error) => {
                let text = format!("{error:#}");
                write(
                    &mut self.stream,
                    Kind::Failed,
                    text.as_bytes().get(..text.len().min(4096)).unwrap_or_default(),
                )
            }
        }
    }
}

impl<S: Read + Write> Console for Remote<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write(&mut self.stream, Kind::Output, bytes)
    }

    fn progress(&mut self, done: u64, total: u64) -> Result<()> {
        let mut payload = done.to_be_bytes().to_vec();
        payload.extend_from_slice(&total.to_be_bytes());
        write(&mut self.stream, Kind::Progress, &payload)
    }

    fn file(&mut self, file: Option<&ExportFile>) -> Result<()> {
        let payload = file.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        write(&mut self.stream, Kind::File, &payload)
    }

    fn write_file(&mut self, bytes: &[u8]) -> Result<()> {
        write(&mut self.stream, Kind::Data, bytes)
    }

    fn next(&mut self) -> Result<Option<ImportHead>> {
        write(&mut self.stream, Kind::Next, b"")?;
        match read(&mut self.stream)? {
            (Kind::Message, payload) => {
                self.in_message = true;
                Ok(Some(serde_json::from_slice(&payload).context("a message on the control socket")?))
            }
            (Kind::Done, payload) => {
                self.remarks = serde_json::from_slice(&payload).context("remarks on the control socket")?;
                Ok(None)
            }
            (Kind::Failed, why) => bail!("{}", String::from_utf8_lossy(&why)),
            _ => bail!("a frame out of place on the control socket"),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.taken == self.pending.len() && self.in_message {
            match read(&mut self.stream)? {
                (Kind::Data, payload) => (self.pending, self.taken) = (payload, 0),
                (Kind::Done, _) => self.in_message = false,
                (Kind::Failed, why) => bail!("{}", String::from_utf8_lossy(&why)),
                _ => bail!("a frame out of place on the control socket"),
            }
        }
        let rest = self.pending.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        Ok(count)
    }

    fn remarks(&mut self) -> Remarks {
        std::mem::take(&mut self.remarks)
    }
}

/// The client's side: does at its own console what the frames of the server say.
pub(crate) fn relay(stream: &mut (impl Read + Write), console: &mut dyn Console) -> Result<()> {
    loop {
        let (kind, payload) = read(stream)?;
        match kind {
            Kind::Output => console.write(&payload)?,
            Kind::Progress => {
                let (done, total) = payload.split_at_checked(8).unwrap_or_default();
                let number = |part: &[u8]| part.try_into().map(u64::from_be_bytes).unwrap_or_default();
                console.progress(number(done), number(total))?;
            }
            Kind::File if payload.is_empty() => console.file(None)?,
            Kind::File => {
                let file: ExportFile =
                    serde_json::from_slice(&payload).context("a file on the control socket")?;
                console.file(Some(&file))?;
            }
            Kind::Data => console.write_file(&payload)?,
            Kind::Next => send_next(stream, console)?,
            Kind::Done => return Ok(()),
            Kind::Failed => bail!("{}", String::from_utf8_lossy(&payload)),
            Kind::Message => bail!("a frame out of place on the control socket"),
        }
    }
}

fn send_next(stream: &mut impl Write, console: &mut dyn Console) -> Result<()> {
    let result = (|| {
        let Some(message) = console.next()? else {
            return write(stream, Kind::Done, &serde_json::to_vec(&console.remarks())?);
        };
        write(stream, Kind::Message, &serde_json::to_vec(&message)?)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = console.read(&mut buffer)?;
            if count == 0 {
                return write(stream, Kind::Done, b"");
            }
            write(stream, Kind::Data, buffer.get(..count).unwrap_or_default())?;
        }
    })();
    if let Err(error) = &result {
        // The server must not take the part of a message that arrived for all of it.
        let _ = write(stream, Kind::Failed, format!("{error:#}").as_bytes());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Local, Source};
    use std::os::unix::net::UnixStream;

    #[test]
    fn frames_round_trip_and_long_output_is_cut() {
        let long = vec![7; MAX_PAYLOAD * 2 + 5];
        let mut wire = Vec::new();
        write(&mut wire, Kind::Output, &long).unwrap();
        write(&mut wire, Kind::Done, b"").unwrap();
        let mut from = wire.as_slice();
        let mut got = Vec::new();
        while let (Kind::Output, payload) = read(&mut from).unwrap() {
            got.extend(payload);
        }
        assert_eq!(got, long);
        assert!(from.is_empty());
        assert!(write(&mut Vec::new(), Kind::File, &long).is_err());
    }

    #[test]
    fn refuses_frames_that_are_not_ours() {
        assert!(read(&mut [b'o', 0xff, 0xff, 0xff, 0xff].as_slice()).is_err());
        assert!(read(&mut [b'x', 0, 0, 0, 0].as_slice()).is_err());
        assert!(read(&mut [b'o', 0, 0, 0, 2, 1].as_slice()).is_err());
    }

    struct Two(Vec<Vec<u8>>, Vec<u8>);

    impl Source for Two {
        fn next(&mut self) -> Result<Option<ImportHead>> {
            let Some(message) = self.0.pop() else { return Ok(None) };
            self.1 = message;
            Ok(Some(ImportHead {
                received: self.1.len() as i64,
                flags: vec!["seen".into()],
                ..ImportHead::default()
            }))
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let count = self.1.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.1[..count]);
            self.1.drain(..count);
            Ok(count)
        }

        fn position(&self) -> u64 {
            0
        }

        fn remarks(&self) -> Remarks {
            Remarks { skipped: [("folder".to_owned(), 2)].into(), merged: 1 }
        }
    }

    #[test]
    fn messages_to_import_travel_whole() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let client = std::thread::spawn(move || {
            let dir = std::env::temp_dir();
            let mut console = Local::new(&dir, Two(vec![vec![1; 200_000], vec![2; 3]], Vec::new()));
            relay(&mut theirs, &mut console).map_err(|e| e.to_string())
        });
        let mut server = Remote::new(ours);
        let mut sizes = Vec::new();
        while let Some(message) = server.next().unwrap() {
            let mut all = Vec::new();
            crate::console::ImportReader(&mut server).read_to_end(&mut all).unwrap();
            assert_eq!(message.received, all.len() as i64);
            sizes.push(all.len());
        }
        assert_eq!(server.remarks(), Remarks { skipped: [("folder".to_owned(), 2)].into(), merged: 1 });
        assert_eq!(sizes, [3, 200_000]);
        server.finish(Err(anyhow::anyhow!("no room"))).unwrap();
        assert_eq!(client.join().unwrap(), Err("no room".to_owned()));
    }
}
