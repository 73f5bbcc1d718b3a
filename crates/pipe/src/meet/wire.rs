//! What a connector and a listener say to each other before there is a pipe.
//!
//! Three messages over a socket that keeps the borders of messages, all numbers as the machine has
//! them:
//!
//! | from      | message | bytes                                                                     |
//! |-----------|---------|---------------------------------------------------------------------------|
//! | connector | hello   | magic u64, version u32, 0 u32, fingerprint u64, names of the types        |
//! | listener  | answer  | magic u64, version u32, [`Answer`] u32, text; with a segment if it is OK   |
//! | connector | taken   | magic u64, version u32, 0 u32                                             |
//!
//! Whatever comes may be hostile: it is bounded, and what is not exactly this is nothing.

use crossproc_segment::Shape;

/// "crossmet".
const MAGIC: u64 = u64::from_be_bytes(*b"crossmet");
/// Of these messages and of what is said in them.
pub(super) const VERSION: u32 = 1;
const HEAD_BYTES: usize = 16;
/// Bytes of names of types; what is longer is cut.
const MOST_TEXT: usize = 2000;
/// The longest message.
pub(super) const MOST_BYTES: usize = HEAD_BYTES + 8 + MOST_TEXT;
/// One more, so that what is longer shows.
pub(super) const READ_BYTES: usize = MOST_BYTES + 1;

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Answer {
    /// Here is the segment with the pipe.
    Ok = 0,
    /// Not to this user.
    Refused = 1,
    /// The text names the types that the listener has.
    Types = 2,
    /// It has another version.
    Version = 3,
    /// The text says what went wrong.
    Failed = 4,
}

impl Answer {
    fn of(number: u32) -> Option<Self> {
        [Self::Ok, Self::Refused, Self::Types, Self::Version, Self::Failed]
            .into_iter()
            .find(|answer| *answer as u32 == number)
    }
}

/// A message that begins as ours do.
#[derive(Debug, PartialEq, Eq)]
struct Message<'b> {
    version: u32,
    number: u32,
    rest: &'b [u8],
}

/// Something that is no message, or one of another version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Garbage,
    Version(u32),
}

fn read(bytes: &[u8]) -> Result<Message<'_>, Unread> {
    if bytes.len() > MOST_BYTES {
        return Err(Unread::Garbage);
    }
    let (magic, bytes) = bytes.split_first_chunk().ok_or(Unread::Garbage)?;
    let (version, bytes) = bytes.split_first_chunk().ok_or(Unread::Garbage)?;
    let (number, rest) = bytes.split_first_chunk().ok_or(Unread::Garbage)?;
    let [version, number] = [version, number].map(|word| u32::from_ne_bytes(*word));
    if u64::from_ne_bytes(*magic) != MAGIC {
        return Err(Unread::Garbage);
    }
    if version != VERSION {
        Err(Unread::Version(version))
    } else {
        Ok(Message { version, number, rest })
    }
}

fn write(number: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend(VERSION.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes
}

/// The beginning of a text that is not longer than allowed.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MOST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pub(super) fn hello(shape: &Shape) -> Vec<u8> {
    let mut bytes = write(0);
    bytes.extend(fingerprint(shape).to_ne_bytes());
    bytes.extend(cut(shape.type_name).as_bytes());
    bytes
}

/// The types in one number, with the layout of what is made of them.
fn fingerprint(shape: &Shape) -> u64 {
    shape.fingerprint.rotate_left(32) ^ u64::from(shape.version)
}

/// Whether a connector wants what `shape` says, or what it wants instead.
pub(super) fn read_hello(bytes: &[u8], shape: &Shape) -> Result<Result<(), String>, Unread> {
    let message = read(bytes)?;
    let (found, name) = message.rest.split_first_chunk().ok_or(Unread::Garbage)?;
    if message.number != 0 {
        return Err(Unread::Garbage);
    }
    let is_same = u64::from_ne_bytes(*found) == fingerprint(shape);
    let name = std::str::from_utf8(name).map_err(|_| Unread::Garbage)?;
    Ok(if is_same { Ok(()) } else { Err(name.to_owned()) })
}

pub(super) fn answer(answer: Answer, text: &str) -> Vec<u8> {
    let mut bytes = write(answer as u32);
    bytes.extend(cut(text).as_bytes());
    bytes
}

pub(super) fn read_answer(bytes: &[u8]) -> Result<(Answer, String), Unread> {
    let message = read(bytes)?;
    let answer = Answer::of(message.number).ok_or(Unread::Garbage)?;
    let text = std::str::from_utf8(message.rest).map_err(|_| Unread::Garbage)?;
    Ok((answer, text.to_owned()))
}

pub(super) fn taken() -> Vec<u8> {
    write(0)
}

pub(super) fn is_taken(bytes: &[u8]) -> bool {
    bytes == taken()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let shape = Shape::of::<(u64, String)>("pipe", 1);
        let said = hello(&shape);
        assert_eq!(read_hello(&said, &shape), Ok(Ok(())));
        let other = Shape::of::<(String, u64)>("pipe", 1);
        assert_eq!(read_hello(&said, &other), Ok(Err(shape.type_name.to_owned())));
        let said = answer(Answer::Types, "x");
        assert_eq!(read_answer(&said), Ok((Answer::Types, "x".to_owned())));
        let said = answer(Answer::Failed, &"ä".repeat(MOST_TEXT));
        assert!(read_answer(&said).is_ok_and(|(_, text)| text.len() <= MOST_TEXT));
        for cut in 0..HEAD_BYTES {
            assert_eq!(read_answer(&said[..cut]), Err(Unread::Garbage));
        }
        assert!(is_taken(&taken()) && !is_taken(b"") && !is_taken(&said));
        assert_eq!(read(&[0; READ_BYTES]), Err(Unread::Garbage));
    }

    #[test]
    fn another_version_says_which() {
        let mut said = taken();
        said[8..12].copy_from_slice(&7_u32.to_ne_bytes());
        assert_eq!(read(&said), Err(Unread::Version(7)));
        assert!(!is_taken(&said));
    }
}
