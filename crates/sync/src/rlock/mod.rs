//! A lock that its owner may lock again.
