//! `#[derive(Pod)]` finds its crate: by the option, and under the name of the front door.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

// What `crossproc` re-exports, under its name.
extern crate crossproc_message as crossproc;

mod renamed {
    pub(crate) use crossproc_message as wire;
}

mod through_the_front_door {
    use crossproc::front::Pod;

    #[derive(Pod, Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    pub(crate) struct Point {
        pub(crate) x: f32,
        pub(crate) y: f32,
    }
}

/// Names that the written code uses may mean something else where it stands.
mod hidden_names {
    #[expect(dead_code, reason = "only in the way")]
    struct Result;
    pub(crate) mod __private {
        pub(crate) type Number = u16;
    }
    #[expect(unused_imports, reason = "only in the way")]
    use Result as Ok;

    #[derive(crate::renamed::wire::Pod, Clone, Copy, Debug, PartialEq)]
    #[pod(crate = crate::renamed::wire)]
    #[repr(C, align(4))]
    pub(crate) struct Pair(pub(crate) __private::Number, pub(crate) __private::Number);
}

fn round_trip<T: crossproc::Message + crossproc::Pod + PartialEq + std::fmt::Debug>(value: T) {
    let mut slot = [0xee; 8];
    let size = size_of::<T>();
    assert_eq!(crossproc::fixed_size::<T>(), Some(size));
    assert_eq!(crossproc::encode_into(&value, &mut slot).unwrap().len, size);
    assert_eq!(slot[..size], *crossproc::pod::bytes_of(&value));
    assert_eq!(crossproc::decode::<T>(&slot[..size], vec![]).unwrap(), value);
}

#[test]
fn the_derive_finds_its_crate() {
    round_trip(through_the_front_door::Point { x: 1.0, y: -0.5 });
    round_trip(hidden_names::Pair(1, 2));
}
