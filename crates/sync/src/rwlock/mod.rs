//! A lock with many readers or one writer.
