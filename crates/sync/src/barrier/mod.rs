//! A barrier: processes that wait for each other.
