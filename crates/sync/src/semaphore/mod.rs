//! Semaphores: permits that come back when their holder dies.
