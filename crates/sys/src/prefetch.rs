//! Cache lines fetched ahead: an instruction that no stable intrinsic gives.

/// Asks for the cache line at `place`, to be written to, while the caller goes on. A hint: no value
/// depends on it, and an address that is not mapped is nothing to it.
///
/// It takes the line from a core that has it. Whoever asks for lines that another is about to write
/// to slows both down.
///
/// `PREFETCHW` on x86-64, where a processor without it does nothing; `PRFM PSTL1KEEP` on AArch64; nothing
/// elsewhere.
#[inline(always)]
pub fn for_write<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads and writes nothing that the program can see, and never faults.
    unsafe {
        core::arch::asm!(
            "prefetchw [{}]",
            in(reg) place.addr(),
            options(nostack, preserves_flags, nomem)
        );
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "prfm pstl1keep, [{}]",
            in(reg) place.addr(),
            options(nostack, preserves_flags, nomem)
        );
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::for_write;

    #[test]
    fn an_address_that_is_not_mapped_is_nothing_to_it() {
        let word = 7_u64;
        for_write(&raw const word);
        for_write(core::ptr::dangling::<u64>());
        for_write(core::ptr::null::<u64>());
        assert_eq!(word, 7);
    }
}
