//! Something that is done once.
