//! Shared memory that goes along with arguments and results.

use crossproc_process::spawn;
use crossproc_segment::{Segment, Shape};

crossproc_process::test_init!();

const BYTES: usize = 1 << 20;

fn shape() -> Shape {
    Shape::untyped("test", 1)
}

fn leave_object(segment: &Segment, name: &str) {
    segment.construct(Some(name), &shape(), 64, |_| ()).expect("there is room");
}

#[test]
fn an_anonymous_segment_crosses_as_an_argument() {
    let segment = Segment::anonymous(BYTES).unwrap();
    let there = spawn((segment.clone(), "from the child".to_owned()), |segment, name| {
        leave_object(&segment, &name);
        segment.size()
    });
    assert_eq!(there.unwrap().join().unwrap(), segment.size());
    assert!(segment.find("from the child", &shape()).is_ok());
}

#[test]
fn an_anonymous_segment_crosses_as_a_result() {
    let made = spawn((), || {
        let segment = Segment::anonymous(BYTES).expect("there is memory");
        leave_object(&segment, "made there");
        segment
    });
    let segment = made.unwrap().join().unwrap();
    assert!(segment.find("made there", &shape()).is_ok());
}

#[test]
fn more_segments_cross_than_a_message_carries() {
    let segments: Vec<_> = (0..260).map(|_| Segment::anonymous(BYTES).unwrap()).collect();
    let back = spawn((segments.clone(),), |segments| segments).unwrap().join().unwrap();
    assert!(segments.iter().zip(&back).all(|(sent, found)| sent.identity() == found.identity()));
    assert_eq!(segments.len(), back.len());
}

#[test]
fn all_generations_share_the_segment_of_their_tree() {
    let grandchild = spawn((), || {
        leave_object(&Segment::tree().expect("the parent gave it"), "of the child");
        let inner = spawn((), || {
            let tree = Segment::tree().expect("the parent gave it");
            leave_object(&tree, "of the grandchild");
            tree.find("of the child", &shape()).is_ok()
        });
        inner.expect("it starts").join().expect("it returns")
    });
    assert!(grandchild.unwrap().join().unwrap());
    assert!(Segment::tree().unwrap().find("of the grandchild", &shape()).is_ok());
}
