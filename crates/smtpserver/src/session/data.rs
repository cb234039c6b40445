//! DATA and BDAT: the message itself.

use std::mem;

use smtp_parser::limits::MAX_TEXT_LINE;
use smtp_parser::{Bdat, Body, Data, DataDecoder, DataFacts};

use super::states::{Chunk, Pace, Reception, Skip, State, Transaction};
use super::{
    Ask, AskMessage, Attempted, CloseReason, Content, DirectRefusal, MessageReply, Next, Session, Step,
    too_large,
};
use crate::envelope::Received;
use crate::refusal::Refusal;
use crate::replies::{self, ReplyTemplate};
use crate::rules::Limits;

impl<T> Session<T> {
    pub(super) fn data(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Mail(mut transaction) = mem::replace(&mut self.state, State::Idle) else {
            return self.fail(replies::NO_MAIL, &[], out);
        };
        transaction.reception = Some(Reception { decoder: DataDecoder::new(), chunk: None, spoiled: None });
        self.state = State::Receiving(transaction);
        self.reply_halfway(replies::SEND_MESSAGE, &[], out);
        Step::Continue
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool, out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Mail(mut transaction) = mem::replace(&mut self.state, State::Idle) else {
            return self.fail(replies::NO_MAIL, &[], out);
        };
        // RFC 3030 §3: only a binary message may have any bytes; others have lines, which are checked as after DATA.
        let decoder = if transaction.is_binary() { DataDecoder::binary() } else { DataDecoder::chunks() };
        let mut reception =
            transaction.reception.take().unwrap_or(Reception { decoder, chunk: None, spoiled: None });
        reception.chunk = Some(Chunk { size, left: size, last });
        let announced = reception.decoder.facts().received.saturating_add(size);
        transaction.reception = Some(reception);
        if announced > self.most_received() {
            return self.message_far_too_large(*transaction, announced, out);
        }
        self.state = State::Receiving(transaction);
        Step::Continue
    }

    /// Discards a chunk that cannot be accepted, and then replies (RFC 3030 §2: its bytes come in any case).
    pub(super) fn skip_chunk(
        &mut self,
        bdat: Bdat,
        template: ReplyTemplate,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        if bdat.size > self.most_received() {
            return self.close(template, CloseReason::Refused, out);
        }
        let transaction = match mem::replace(&mut self.state, State::Idle) {
            State::Mail(transaction) => Some(transaction),
            _ => None,
        };
        self.state = State::Skipping(Skip { left: bdat.size, then: template, transaction });
        Step::Continue
    }

    /// The most bytes that are read of a message that is too large (RFC 1870 §4).
    fn most_received(&self) -> u64 {
        self.rules.limits.message.saturating_mul(Limits::EXCESS)
    }

    pub(super) fn receive_data<'s, 'i>(
        &'s mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Step<'s, 'i, T>) {
        if let State::Skipping(skip) = &mut self.state {
            let taken = clamp(skip.left, input.len());
            skip.left = skip.left.saturating_sub(taken as u64);
            let step = match (skip.left, taken) {
                (0, _) => self.skipped(out),
                (_, 0) => Step::NeedInput,
                _ => Step::Continue,
            };
            return (taken, step);
        }
        let (limit, most) = (self.rules.limits.message, self.most_received());
        let State::Receiving(transaction) = &mut self.state else { return (0, Step::NeedInput) };
        let Some(reception) = &mut transaction.reception else { return (0, Step::NeedInput) };
        let (taken, progress) = reception.push(input);
        let facts = *reception.decoder.facts();
        if facts.content > limit {
            reception.spoiled.get_or_insert_with(|| Refusal::new(too_large(limit)));
        }
        if facts.received > most {
            return (taken, self.abort_message(facts.received, out));
        }
        let wanted = reception.spoiled.is_none();
        let step = match progress {
            Progress::Content(bytes) if wanted => match &mut self.state {
                State::Receiving(transaction) => Step::Content(Content { transaction, bytes }),
                _ => Step::Continue,
            },
            Progress::NeedInput if taken == 0 => Step::NeedInput,
            Progress::Content(_) | Progress::NeedInput => Step::Continue,
            Progress::ChunkEnd => self.chunk_end(out),
            Progress::End => self.message_end(out),
        };
        (taken, step)
    }

    /// Replies after the last byte of a discarded chunk.
    fn skipped(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Skipping(skip) = mem::replace(&mut self.state, State::Idle) else { return Step::Continue };
        if let Some(transaction) = skip.transaction {
            self.state = State::Mail(transaction);
        }
        self.fail(skip.then, &[], out)
    }

    /// Replies at the end of a chunk (RFC 3030 §2: to every chunk, and an error in one ends the transaction).
    fn chunk_end(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Receiving(mut transaction) = mem::replace(&mut self.state, State::Idle) else {
            return Step::Continue;
        };
        let Some(reception) = &mut transaction.reception else { return Step::Continue };
        if let Some(refusal) = reception.spoiled.take() {
            let size = reception.decoder.facts().content;
            return self.message_refused_directly(*transaction, size, refusal, out);
        }
        let size = reception.chunk.map_or(0, |chunk| chunk.size);
        self.state = State::Mail(transaction);
        self.counts.chunk_accepted(size);
        self.succeed(replies::CHUNK_OK, &[&size.to_string()], out)
    }

    /// Asks the owner about a complete message, unless the session has a reason of its own to refuse it.
    fn message_end(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Receiving(mut transaction) = mem::replace(&mut self.state, State::Idle) else {
            return Step::Continue;
        };
        let Some(reception) = transaction.reception.take() else { return Step::Continue };
        let facts = *reception.decoder.facts();
        // Smuggling is named even where the message would be refused for another reason.
        let refusal = match facts.fault {
            Some(_) => Some(Refusal::new(replies::BARE_NEWLINE)),
            None => reception.spoiled.or_else(|| self.shortcoming(&transaction, &facts).map(Refusal::new)),
        };
        if let Some(refusal) = refusal {
            return self.message_refused_directly(*transaction, facts.content, refusal, out);
        }
        let received = Received {
            size: facts.content,
            eight_bit: facts.eight_bit,
            completed_lines: facts.completed_lines,
            chunked: reception.chunk.is_some(),
        };
        let reply = MessageReply { session: self, received };
        Step::Ask(Ask::Message(AskMessage { reply, transaction }))
    }

    /// What the strict dialect refuses a submitted message for.
    fn shortcoming(&self, transaction: &Transaction<T>, facts: &DataFacts) -> Option<ReplyTemplate> {
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

    pub(super) fn message_accepted(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        self.counts.message_accepted();
        self.succeed(replies::MESSAGE_OK, &[], out)
    }

    pub(super) fn message_refused(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'_, T> {
        // RFC 5321 §4.2.1: a full disk of ours must not end in a permanent reply, so it does not count.
        if !refusal.is_our_fault() {
            self.counts.message_failed();
        }
        self.refuse(refusal, out)
    }

    fn message_refused_directly(
        &mut self,
        transaction: Transaction<T>,
        size: u64,
        refusal: Refusal,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let attempted = Attempted::Message(transaction.data, size);
        self.direct_refusal = Some(Box::new(DirectRefusal { attempted, refusal: refusal.clone() }));
        self.message_refused(&refusal, out)
    }

    /// Ends the session within a message that is so much too large that the rest is not read.
    fn abort_message(&mut self, size: u64, out: &mut Vec<u8>) -> Next<'_, T> {
        match mem::replace(&mut self.state, State::Idle) {
            State::Receiving(transaction) => self.message_far_too_large(*transaction, size, out),
            _ => Step::Continue,
        }
    }

    fn message_far_too_large(
        &mut self,
        transaction: Transaction<T>,
        size: u64,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        self.counts.message_failed();
        let template = too_large(self.rules.limits.message);
        let attempted = Attempted::Message(transaction.data, size);
        let refusal = Refusal::new(template);
        self.direct_refusal = Some(Box::new(DirectRefusal { attempted, refusal }));
        self.close(template, CloseReason::Refused, out)
    }

    /// Serves another server at full pace again, once the transaction that earned the slow one is over.
    pub(super) fn leave_slow_mode(&mut self) {
        if self.pace == Pace::SlowForTransaction && self.transaction().is_none() {
            self.pace = Pace::Full;
        }
    }
}

/// The result of decoding some input.
enum Progress<'i> {
    Content(&'i [u8]),
    NeedInput,
    ChunkEnd,
    End,
}

impl Reception {
    /// Consumes input, of a chunk no more than belongs to it.
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

/// The lesser of both.
fn clamp(left: u64, length: usize) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}
