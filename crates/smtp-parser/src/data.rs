//! Decodes the data that follows DATA or BDAT.

use memchr::memchr2;

/// What the decoder found next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'i> {
    /// Bytes of the message, borrowed from the input except for completed line ends.
    Content(&'i [u8]),
    /// The message is complete ([`DataDecoder::facts`] describes it). The rest of the input is the next command.
    End,
    /// All input is consumed; more is needed.
    NeedInput,
}

/// Why a message must be refused after it was read to its end: of two servers, one may see a second message in its line
/// ends where the other does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataFault {
    /// CR without LF (RFC 5321 §2.3.8).
    BareCr,
    /// A line of a single dot where one of the line ends around it is LF without CR.
    DotAtBareLf,
}

/// Facts about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataFacts {
    /// Bytes consumed, including the end of data.
    pub received: u64,
    /// Bytes of the decoded message.
    pub content: u64,
    /// Bytes of its longest line so far, without the line end.
    pub longest_line: u64,
    /// Lines that ended in LF alone and were given CRLF.
    pub completed_lines: u64,
    /// Whether it has a byte over 127.
    pub eight_bit: bool,
    /// The first reason to refuse the message.
    pub fault: Option<DataFault>,
}

/// Turns message data into the message: removes the dots of transparency, finds the end, completes line ends.
///
/// How the input is split does not change the output.
#[derive(Debug, Clone)]
pub struct DataDecoder {
    framing: Framing,
    state: State,
    line: u64,
    facts: DataFacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// RFC 5321 §4.5.2: dots are doubled, and a single one ends the message.
    Dots,
    /// RFC 3030 §2: lines in counted chunks.
    Chunks,
    /// RFC 3030 §3: any bytes in counted chunks.
    Binary,
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newline {
    CrLf,
    Lf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a line, after one that ended so. The first line comes after CRLF.
    LineStart(Newline),
    /// After a dot at the start of a line.
    Dot(Newline),
    /// After that dot and CR, which is not given out yet.
    DotCr(Newline),
    /// Within a line.
    Text,
    /// Within a line after CR, which is not given out yet.
    Cr,
    /// After the end.
    Ended,
}

impl DataFault {
    /// The stable token of this fault.
    pub fn token(self) -> &'static str {
        match self {
            Self::BareCr => "smtp-parser.bare-cr",
            Self::DotAtBareLf => "smtp-parser.dot-at-bare-lf",
        }
    }
}

impl DataDecoder {
    /// Decodes what follows DATA.
    #[allow(clippy::new_without_default, reason = "three kinds of decoder, and none is the default")]
    pub fn new() -> Self {
        Self::with(Framing::Dots)
    }

    /// Decodes chunks of BDAT in a message of lines: checks line ends as after DATA; dots have no meaning.
    pub fn chunks() -> Self {
        Self::with(Framing::Chunks)
    }

    /// Decodes chunks of BDAT in a message with `BODY=BINARYMIME`: leaves every byte as it is.
    pub fn binary() -> Self {
        Self::with(Framing::Binary)
    }

    fn with(framing: Framing) -> Self {
        Self { framing, state: State::LineStart(Newline::CrLf), line: 0, facts: DataFacts::default() }
    }

    /// The facts so far; complete after [`Data::End`].
    pub fn facts(&self) -> &DataFacts {
        &self.facts
    }

    /// Consumes bytes from the front of `input`; returns how many, and what they are. Call it until it needs input or ends.
    pub fn push<'i>(&mut self, input: &'i [u8]) -> (usize, Data<'i>) {
        let (taken, data) = match (self.state, self.framing) {
            (State::Ended, _) => (0, Data::End),
            (_, Framing::Binary) => (input.len(), Data::Content(input)),
            (State::Cr | State::DotCr(_), _) => self.after_cr(input),
            _ => self.run(input),
        };
        self.facts.received = self.facts.received.saturating_add(taken as u64);
        (taken, self.count(data))
    }

    /// Ends the message after its last chunk of BDAT. Call it until it returns [`Data::End`].
    pub fn finish(&mut self) -> Data<'static> {
        if matches!(self.state, State::Cr | State::DotCr(_)) {
            self.bare_cr();
            return self.count(Data::Content(b"\r"));
        }
        self.state = State::Ended;
        Data::End
    }

    fn count<'i>(&mut self, data: Data<'i>) -> Data<'i> {
        self.facts.longest_line = self.facts.longest_line.max(self.line);
        let Data::Content(bytes) = data else { return data };
        if bytes.is_empty() {
            return Data::NeedInput;
        }
        self.facts.content = self.facts.content.saturating_add(bytes.len() as u64);
        // After the first such byte there is no need to look again.
        self.facts.eight_bit = self.facts.eight_bit || !bytes.is_ascii();
        data
    }

    /// The byte after a CR at the end of the last input.
    fn after_cr<'i>(&mut self, input: &'i [u8]) -> (usize, Data<'i>) {
        match input.first() {
            None => (0, Data::NeedInput),
            Some(b'\n') => {
                let data = if self.crlf() { Data::End } else { Data::Content(b"\r\n") };
                (1, data)
            }
            Some(_) => {
                self.bare_cr();
                (0, Data::Content(b"\r"))
            }
        }
    }

    /// The longest run of bytes from the front of `input` that stay as they are.
    fn run<'i>(&mut self, input: &'i [u8]) -> (usize, Data<'i>) {
        let mut start = 0;
        // RFC 5321 §4.5.2: the first character of a line that begins with a dot is deleted. Only where the line
        // before ended in CRLF: a sender that ends lines in LF did not double the dot there.
        if self.removes_dot() && input.first() == Some(&b'.') {
            self.state = State::Dot(Newline::CrLf);
            start = 1;
        }
        let mut at = start;
        let content = |end: usize| Data::Content(input.get(start..end).unwrap_or_default());
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            if let State::LineStart(newline) = self.state
                && rest.first() == Some(&b'.')
            {
                if self.removes_dot() {
                    return (at, content(at));
                }
                self.state = State::Dot(newline);
                self.line += 1;
                at += 1;
                continue;
            }
            let text = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            if text > 0 {
                self.state = State::Text;
                self.line += text as u64;
                at += text;
            }
            match (rest.get(text), rest.get(text + 1)) {
                (None, _) => break,
                (Some(b'\n'), _) if at > start => return (at, content(at)),
                (Some(b'\n'), _) => {
                    self.bare_lf();
                    return (at + 1, Data::Content(b"\r\n"));
                }
                (Some(_), None) => {
                    self.state =
                        if let State::Dot(newline) = self.state { State::DotCr(newline) } else { State::Cr };
                    return (at + 1, content(at));
                }
                (Some(_), Some(b'\n')) => {
                    at += 2;
                    if self.crlf() {
                        return (at, Data::End);
                    }
                }
                (Some(_), Some(_)) => {
                    self.bare_cr();
                    at += 1;
                }
            }
        }
        (at, content(at))
    }

    fn removes_dot(&self) -> bool {
        self.framing == Framing::Dots && self.state == State::LineStart(Newline::CrLf)
    }

    /// Handles a CRLF; returns true if it ended the message.
    fn crlf(&mut self) -> bool {
        match self.state {
            State::Dot(Newline::CrLf) | State::DotCr(Newline::CrLf) if self.framing == Framing::Dots => {
                self.state = State::Ended;
                return true;
            }
            State::Dot(Newline::Lf) | State::DotCr(Newline::Lf) => self.fault(DataFault::DotAtBareLf),
            _ => {}
        }
        self.end_line(Newline::CrLf);
        false
    }

    fn bare_lf(&mut self) {
        if matches!(self.state, State::Dot(_)) {
            self.fault(DataFault::DotAtBareLf);
        }
        self.facts.completed_lines = self.facts.completed_lines.saturating_add(1);
        self.end_line(Newline::Lf);
    }

    fn bare_cr(&mut self) {
        self.fault(DataFault::BareCr);
        self.state = State::Text;
        self.line += 1;
    }

    fn end_line(&mut self, newline: Newline) {
        self.facts.longest_line = self.facts.longest_line.max(self.line);
        self.line = 0;
        self.state = State::LineStart(newline);
    }

    fn fault(&mut self, fault: DataFault) {
        self.facts.fault.get_or_insert(fault);
    }
}
