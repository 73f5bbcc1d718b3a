//! Items, arguments and results that cannot be sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossproc::crates::process::Error as ProcessError;
use crossproc::{
    DecodeError, EncodeError, JoinError, Lock, PutError, Queue, Segment, TryGetError, spawn,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tests::traces::leaves_nothing;

use crate::{alone, says};

/// Says yes or no where it is told to.
#[derive(Debug, PartialEq, Eq)]
enum Picky {
    Fine,
    NotWritten,
    NotRead,
}

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fine => "fine".serialize(serializer),
            Self::NotRead => "not read".serialize(serializer),
            Self::NotWritten => Err(serde::ser::Error::custom("not written, on purpose")),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "fine" => Ok(Self::Fine),
            _ => Err(serde::de::Error::custom("not read, on purpose")),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    before: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    perhaps: Option<u32>,
    after: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Chain(Option<Box<Chain>>);

fn chain(length: u32) -> Chain {
    (0..length).fold(Chain::default(), |tail, _| Chain(Some(Box::new(tail))))
}

/// Puts what cannot be put; gives the error's reason, with the item checked to have come back.
fn refused<T: crossproc::Message + PartialEq + std::fmt::Debug>(
    bad: impl Fn() -> T,
    good: impl Fn() -> T,
) -> EncodeError {
    let queue = Queue::<T>::bounded(1).unwrap();
    let error = queue.put(bad()).unwrap_err();
    says(&error, &["the item cannot be put"]);
    let PutError::Encode { item, source } = error else { panic!("{error}") };
    assert_eq!(item, bad());
    assert!(queue.is_empty());
    // No place is lost.
    queue.put(good()).unwrap();
    assert_eq!(queue.get().unwrap(), good());
    source
}

#[test]
fn an_item_that_does_not_serialise_comes_back() {
    alone(|| {
        leaves_nothing(|| {
            let reason = refused(|| Picky::NotWritten, || Picky::Fine);
            assert!(matches!(reason, EncodeError::Refused(_)), "{reason}");
            says(&reason, &["not written, on purpose"]);

            let skipping = |perhaps| Skipping { before: 1, perhaps, after: "x".to_owned() };
            let reason = refused(|| skipping(None), || skipping(Some(1)));
            assert!(matches!(reason, EncodeError::SkippedField { field: "perhaps" }), "{reason}");
            says(&reason, &["`perhaps`", "remove that attribute"]);

            let reason = refused(|| chain(1000), || chain(10));
            assert!(matches!(reason, EncodeError::TooDeep), "{reason}");
            says(&reason, &["nested deeper than", "send a `Vec`"]);
        });
    });
}

#[test]
fn an_item_that_does_not_deserialise_is_dropped_and_the_next_one_comes() {
    alone(|| {
        leaves_nothing(|| {
            let queue = Queue::bounded(4).unwrap();
            queue.put(Picky::NotRead).unwrap();
            queue.put(Picky::Fine).unwrap();
            let error = queue.try_get().unwrap_err();
            assert!(matches!(error, TryGetError::Malformed(DecodeError::Refused(_))), "{error}");
            says(&error, &["an item was dropped", "not read, on purpose"]);
            assert_eq!(queue.try_get().unwrap(), Picky::Fine);

            let queue = Queue::bounded(4).unwrap();
            queue.put(Untagged::Number(1)).unwrap();
            let error = queue.try_get().unwrap_err();
            says(
                &error,
                &["cannot be sent to another process", "untagged", "default representation"],
            );
            assert!(
                matches!(error, TryGetError::Malformed(DecodeError::SelfDescribing)),
                "{error}"
            );
            assert!(queue.is_empty());
        });
    });
}

#[test]
fn arguments_and_results_that_cannot_be_sent_are_told_apart() {
    alone(|| {
        leaves_nothing(|| {
            let error = spawn((Picky::NotWritten,), |_| ()).unwrap_err();
            assert!(matches!(error, ProcessError::Arguments(_)), "{error}");
            says(&error, &["the arguments cannot be sent", "not written, on purpose"]);

            let error = spawn((1, Picky::NotRead), |_, _| ()).unwrap().join().unwrap_err();
            assert!(matches!(error, JoinError::Arguments { .. }), "{error}");
            says(&error, &["could not read its arguments", "not read, on purpose"]);

            let error = spawn((), || Picky::NotWritten).unwrap().join().unwrap_err();
            assert!(matches!(error, JoinError::Result { .. }), "{error}");
            says(&error, &["could not send its result", "not written, on purpose"]);

            let error = spawn((), || Picky::NotRead).unwrap().join().unwrap_err();
            assert!(matches!(error, JoinError::Decode { .. }), "{error}");
            says(&error, &["the result of process", "cannot be read", "not read, on purpose"]);
        });
    });
}

/// Panics while it is written.
#[derive(Debug, Deserialize)]
struct Panicking;

impl Serialize for Panicking {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in serialize, on purpose")
    }
}

#[test]
fn a_panic_while_an_item_is_written_leaves_no_place_taken() {
    alone(|| {
        leaves_nothing(|| {
            let queue = Queue::<(Lock, Option<Panicking>)>::bounded(1).unwrap();
            let lock = Lock::new().unwrap();
            let put = || queue.put((lock.clone(), Some(Panicking)));
            assert!(catch_unwind(AssertUnwindSafe(put)).is_err());
            assert!(queue.is_empty());
            // Nor does this thread believe that it is still sending: a handle is refused elsewhere.
            let error = serde_json::to_string(&lock).unwrap_err();
            says(&error, &["on its way to another process", "not to a file"]);
            queue.put((lock.clone(), None)).unwrap();
            assert!(queue.get().is_ok());
        });
    });
}

#[test]
fn a_handle_is_refused_by_any_other_format() {
    alone(|| {
        leaves_nothing(|| {
            let sentence =
                "a crossproc handle can only be serialised on its way to another process";
            let segment = Segment::anonymous(4096).unwrap();
            says(&serde_json::to_string(&Lock::new().unwrap()).unwrap_err(), &[sentence]);
            says(&serde_json::to_string(&segment).unwrap_err(), &[sentence]);
            let queue = Queue::<u64>::bounded(1).unwrap();
            says(&serde_json::to_string(&queue).unwrap_err(), &[sentence]);
            says(&serde_json::from_str::<Lock>("{}").unwrap_err(), &[sentence]);
        });
    });
}
