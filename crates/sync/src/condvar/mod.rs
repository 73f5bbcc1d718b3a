//! A condition variable, beside a lock.
