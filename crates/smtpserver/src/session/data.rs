//! DATA and BDAT: the message itself.

use std::mem;

use smtp_parser::limits::MAX_TEXT_LINE;
use smtp_parser::{Bdat, Body, Data, DataDecoder, DataFacts};

use super::states::{Chunk, Reception, Skip, State};
use super::{Ask, AskMessage, CloseReason, Session, Step, Tried, Unasked, too_large};
use crate::envelope::Received;
use crate::refusal::Refusal;
use crate::replies::{self, Wording};
use crate::rules::Limits;

impl Session {
    pub(super) fn data(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        let State::Mail(mut transaction) = mem::replace(&mut self.state, State::Greeted) else {
            return self.fail(replies::NO_MAIL, "", out);
        };
        transaction.reception = Some(Reception { decoder: DataDecoder::new(), chunk: None, spoiled: None });
        self.state = State::Receiving(transaction);
        self.say(replies::SEND_MESSAGE, "", out);
        self.said = None;
        Step::Continue
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool, out: &mut Vec<u8>) -> Step<'static> {
        let State::Mail(mut transaction) = mem::replace(&mut self.state, State::Greeted) else {
            return self.fail(replies::NO_MAIL, "", out);
        };
        // RFC 3030 §3: only a binary message may have any octets; others have lines, which are checked as after DATA.
        let decoder = if transaction.is_binary() { DataDecoder::binary() } else { DataDecoder::chunks() };
        let mut reception =
            transaction.reception.take().unwrap_or(Reception { decoder, chunk: None, spoiled: None });
        reception.chunk = Some(Chunk { size, left: size, last });
        let already = reception.decoder.facts().received;
        transaction.reception = Some(reception);
        self.state = State::Receiving(transaction);
        let announced = already.saturating_add(size);
        if announced > self.endurance() {
            return self.message_far_too_large(announced, out);
        }
        Step::Continue
    }

    /// RFC 3030 §2: reads the octets of a chunk that cannot be taken, and then says why.
    pub(super) fn skip_chunk(&mut self, bdat: Bdat, wording: Wording, out: &mut Vec<u8>) -> Step<'static> {
        if bdat.size > self.endurance() {
            return self.close(wording, CloseReason::Refused, out);
        }
        let transaction = match mem::replace(&mut self.state, State::Fresh) {
            State::Mail(transaction) => Some(transaction),
            _ => None,
        };
        self.state = State::Skipping(Skip { left: bdat.size, then: wording, transaction });
        Step::Continue
    }

    /// RFC 1870 §4: how much of a message that is too large is read.
    fn endurance(&self) -> u64 {
        self.rules.limits.message.saturating_mul(Limits::EXCESS)
    }

    pub(super) fn receive_data<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> (usize, Step<'i>) {
        let limit = self.rules.limits.message;
        let endurance = self.endurance();
        match &mut self.state {
            State::Receiving(transaction) => {
                let Some(reception) = &mut transaction.reception else { return (0, Step::NeedInput) };
                let (taken, data) = reception.push(input);
                if reception.decoder.facts().content > limit {
                    reception.spoiled.get_or_insert_with(|| Refusal::new(too_large(limit)));
                }
                if reception.decoder.facts().received > endurance {
                    let received = reception.decoder.facts().received;
                    return (taken, self.message_far_too_large(received, out));
                }
                let wanted = reception.spoiled.is_none();
                match data {
                    Progress::Content(content) if wanted => (taken, Step::Content(content)),
                    Progress::NeedInput if taken == 0 => (0, Step::NeedInput),
                    Progress::Content(_) | Progress::NeedInput => (taken, Step::Continue),
                    Progress::ChunkEnd => (taken, self.chunk_end(out)),
                    Progress::End => (taken, self.message_end(out)),
                }
            }
            State::Skipping(skip) => {
                let taken = clamp(skip.left, input.len());
                skip.left = skip.left.saturating_sub(taken as u64);
                if skip.left > 0 {
                    return (taken, if taken == 0 { Step::NeedInput } else { Step::Continue });
                }
                let (then, transaction) = (skip.then, skip.transaction.take());
                self.state = match transaction {
                    Some(transaction) => State::Mail(transaction),
                    None if self.client.hello.is_some() => State::Greeted,
                    None => State::Fresh,
                };
                (taken, self.fail(then, "", out))
            }
            _ => (0, Step::NeedInput),
        }
    }

    /// RFC 3030 §2: every chunk is answered, and an error in one ends the transaction.
    fn chunk_end(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        let State::Receiving(mut transaction) = mem::replace(&mut self.state, State::Greeted) else {
            return Step::Continue;
        };
        let Some(reception) = &mut transaction.reception else { return Step::Continue };
        if let Some(refusal) = reception.spoiled.take() {
            let size = reception.decoder.facts().content;
            return self.message_refused_unasked(size, refusal, out);
        }
        let size = reception.chunk.map_or(0, |chunk| chunk.size);
        self.state = State::Mail(transaction);
        self.counts.chunk_taken(size);
        self.say(replies::CHUNK_OK, &size.to_string(), out);
        Step::Continue
    }

    fn message_end(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        let State::Receiving(transaction) = &mut self.state else { return Step::Continue };
        let Some(reception) = &mut transaction.reception else { return Step::Continue };
        let facts = *reception.decoder.facts();
        let chunked = reception.chunk.is_some();
        let spoiled = reception.spoiled.take();
        // What a spoiled message looked like does not matter, but smuggling is named in any event.
        let refusal = match facts.fault {
            Some(_) => Some(Refusal::new(replies::BARE_NEWLINE)),
            None => spoiled.or_else(|| self.shortcoming(&facts).map(Refusal::new)),
        };
        if let Some(refusal) = refusal {
            return self.message_refused_unasked(facts.content, refusal, out);
        }
        let received = Received {
            size: facts.content,
            eight_bit: facts.eight_bit,
            completed_lines: facts.completed_lines,
            chunked,
        };
        self.ask(Ask::Message(AskMessage(received)))
    }

    /// What a submitted message can be refused for, whatever it says.
    fn shortcoming(&self, facts: &DataFacts) -> Option<Wording> {
        let transaction = self.transaction()?;
        if !self.rules.kind.is_submission() || !self.rules.pedantic() || transaction.is_binary() {
            return None;
        }
        let eight_bit = transaction.sender.body == Some(Body::EightBitMime);
        if facts.eight_bit && !eight_bit {
            return Some(replies::NOT_7BIT);
        }
        let longest = facts.longest_line.saturating_add(b"\r\n".len() as u64);
        (longest > MAX_TEXT_LINE as u64).then_some(replies::TEXT_LINE_TOO_LONG)
    }

    pub(super) fn message_taken(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        self.counts.message_taken();
        self.state = State::Greeted;
        self.done(replies::MESSAGE_OK, out)
    }

    /// RFC 5321 §4.1.1.4: whether it was taken or not, the transaction is over.
    pub(super) fn message_refused(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Step<'static> {
        self.counts.message_failed();
        self.state = State::Greeted;
        self.refuse(refusal, out)
    }

    fn message_refused_unasked(&mut self, size: u64, refusal: Refusal, out: &mut Vec<u8>) -> Step<'static> {
        let step = self.message_refused(&refusal, out);
        self.unasked = Some(Unasked { tried: Tried::Message(size), refusal });
        step
    }

    /// So much too large that the rest is not read.
    fn message_far_too_large(&mut self, size: u64, out: &mut Vec<u8>) -> Step<'static> {
        self.counts.message_failed();
        let wording = too_large(self.rules.limits.message);
        self.unasked = Some(Unasked { tried: Tried::Message(size), refusal: Refusal::new(wording) });
        self.close(wording, CloseReason::Refused, out)
    }

    pub(super) fn is_unwelcome(&self) -> bool {
        self.counts.too_many_failed_messages(&self.rules.limits)
    }

    /// A delivering server is slowed down for the transaction that earned it; a submitter until it logs in.
    pub(super) fn leave_slow_mode(&mut self) {
        if !self.rules.kind.is_submission() && !self.in_transaction() {
            self.slow = false;
        }
    }
}

/// What came of some octets.
enum Progress<'i> {
    Content(&'i [u8]),
    NeedInput,
    ChunkEnd,
    End,
}

impl Reception {
    /// Takes octets, of a chunk no more than belong to it.
    fn push<'i>(&mut self, input: &'i [u8]) -> (usize, Progress<'i>) {
        let (taken, data) = match &mut self.chunk {
            None => self.decoder.push(input),
            Some(chunk) if chunk.left == 0 && chunk.last => (0, self.decoder.finish()),
            Some(chunk) if chunk.left == 0 => return (0, Progress::ChunkEnd),
            Some(chunk) => {
                let (taken, data) =
                    self.decoder.push(input.get(..clamp(chunk.left, input.len())).unwrap_or(input));
                chunk.left = chunk.left.saturating_sub(taken as u64);
                (taken, data)
            }
        };
        let progress = match data {
            Data::Content(content) => Progress::Content(content),
            Data::NeedInput => Progress::NeedInput,
            Data::End => Progress::End,
        };
        (taken, progress)
    }
}

/// `left`, or `length` where that is less.
fn clamp(left: u64, length: usize) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}
