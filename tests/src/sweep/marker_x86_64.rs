//! What stepping needs to know of x86-64: a stop of a few instructions, and what comes next.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::operand::{Operand, address, operand};

/// Whether this machine's instructions can be stepped through.
pub(super) const SUPPORTED: bool = true;

const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Stops the calling process by SIGSTOP, with no call into a library between mark and operation.
#[inline(always)]
pub(super) fn stop() {
    // SAFETY: takes no argument and touches no memory.
    let pid = unsafe { libc::getpid() };
    // SAFETY: kill(2) of ourselves; the kernel changes rax, rcx and r11, all named here.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_kill => _,
            in("rdi") i64::from(pid),
            in("rsi") i64::from(libc::SIGSTOP),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
}

/// What an instruction can do that others can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It enters the kernel.
    SystemCall,
    /// It writes no memory, or its own stack only.
    Private,
    /// It may write anywhere.
    Any,
}

/// The instructions of one victim that were looked at, by their address: code does not change.
#[derive(Debug, Default)]
pub(super) struct Code {
    known: HashMap<u64, (Next, Operand)>,
    /// What the victim shares with others; unknown before the first look and after each call.
    shared: Option<Vec<Range<u64>>>,
}

impl Code {
    /// What a stopped, traced child does next, and whether others can see that or it can see
    /// others.
    pub(super) fn next(&mut self, pid: libc::pid_t) -> (Next, bool) {
        let Some(registers) = registers(pid) else { return (Next::Any, true) };
        let rip = registers.rip;
        let (next, operand) = *self.known.entry(rip).or_insert_with(|| {
            let [low, high] = [bytes_at(pid, rip), bytes_at(pid, rip + 8)];
            (
                classify(low),
                operand(std::array::from_fn(|at| if at < 8 { low[at] } else { high[at - 8] })),
            )
        });
        if next == Next::SystemCall {
            self.shared = None;
            return (next, true);
        }
        let touches = match operand {
            Operand::Own => false,
            Operand::Unknown => true,
            Operand::At { .. } => {
                address(operand, &registers).is_none_or(|at| self.is_shared(pid, at))
            }
        };
        (next, touches)
    }

    fn is_shared(&mut self, pid: libc::pid_t, at: u64) -> bool {
        /// The longest operand.
        const WIDEST: u64 = 64;
        let shared = self.shared.get_or_insert_with(|| shared_ranges(pid));
        shared.iter().any(|range| range.start < at.saturating_add(WIDEST) && at < range.end)
    }
}

/// The mappings that a process shares, as far as /proc tells: all addresses if it does not.
fn shared_ranges(pid: libc::pid_t) -> Vec<Range<u64>> {
    let Ok(maps) = std::fs::read_to_string(format!("/proc/{pid}/maps")) else {
        return std::iter::once(0..u64::MAX).collect();
    };
    let shared = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let bound = |text| u64::from_str_radix(text, 16).ok();
        rest.get(3..4).filter(|&kind| kind == "s")?;
        Some(bound(start)?..bound(end)?)
    };
    maps.lines().filter_map(shared).collect()
}

fn registers(pid: libc::pid_t) -> Option<libc::user_regs_struct> {
    let mut registers = MaybeUninit::<libc::user_regs_struct>::uninit();
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the kernel fills the whole struct, which outlives the call.
    let got = unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid, nothing, registers.as_mut_ptr()) };
    // SAFETY: where the call succeeded the struct is filled.
    (got == 0).then(|| unsafe { registers.assume_init() })
}

/// Where the next instruction of a stopped, traced child lies.
pub(super) fn next_address(pid: libc::pid_t) -> Option<u64> {
    registers(pid).map(|registers| registers.rip)
}

/// An instruction of a traced child that can be made a trap: in the child's own copy of the code.
pub(super) struct Breakpoint {
    pid: libc::pid_t,
    address: u64,
    code: [u8; 8],
}

impl Breakpoint {
    const TRAP: u8 = 0xcc;

    pub(super) fn at(pid: libc::pid_t, address: u64) -> Result<Self, String> {
        Ok(Self { pid, address, code: bytes_at(pid, address) })
    }

    /// Makes it a trap, or the instruction again.
    pub(super) fn set(&self, trap: bool) -> Result<(), String> {
        let mut code = self.code;
        if trap {
            code[0] = Self::TRAP;
        }
        let word = usize::try_from(u64::from_ne_bytes(code)).unwrap_or(0);
        let word = std::ptr::without_provenance_mut::<libc::c_void>(word);
        // SAFETY: writes the child's memory, none of ours.
        match unsafe { libc::ptrace(libc::PTRACE_POKETEXT, self.pid, place(self.address), word) } {
            0 => Ok(()),
            _ => Err(format!("PTRACE_POKETEXT: {}", std::io::Error::last_os_error())),
        }
    }

    /// After the trap: the instruction is the next.
    pub(super) fn go_back(&self) -> Result<(), String> {
        let mut registers = registers(self.pid).ok_or("PTRACE_GETREGS failed")?;
        if registers.rip != self.address + 1 {
            return Err(format!("a trap at {:#x}, not at the mark", registers.rip));
        }
        registers.rip = self.address;
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the kernel reads the whole struct, which outlives the call.
        let set =
            unsafe { libc::ptrace(libc::PTRACE_SETREGS, self.pid, nothing, &raw mut registers) };
        if set == 0 { Ok(()) } else { Err("PTRACE_SETREGS failed".to_owned()) }
    }
}

fn place(address: u64) -> *mut libc::c_void {
    std::ptr::without_provenance_mut(usize::try_from(address).unwrap_or(0))
}

fn bytes_at(pid: libc::pid_t, rip: u64) -> [u8; 8] {
    let at = place(rip);
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: reads the child's memory, none of ours. A failure is the value -1, no instruction
    // that anybody here knows.
    unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, pid, at, nothing) }.to_ne_bytes()
}

/// Knows the commonest instructions that for certain write nothing which others see, so that the
/// memory need not be compared after them; everything else may write.
fn classify(bytes: [u8; 8]) -> Next {
    if bytes.starts_with(&SYSCALL) {
        return Next::SystemCall;
    }
    let mut rest = bytes.into_iter().skip_while(|byte| *byte == 0x66).peekable();
    rest.next_if(|byte| (0x40..=0x4f).contains(byte));
    let (Some(code), Some(operand)) = (rest.next(), rest.next()) else { return Next::Any };
    let to_register = operand >> 6 == 3;
    let private = match code {
        // Conditional moves and jumps, extending loads, multiplication.
        0x0f => matches!(operand, 0x40..=0x4f | 0x80..=0x8f | 0xaf | 0xb6 | 0xb7 | 0xbe | 0xbf),
        // Jumps, calls, pushes.
        0x70..=0x7f | 0xe8 | 0xe9 | 0xeb | 0xc3 | 0x50..=0x5f => true,
        // Loads and addresses, compare and test, constants.
        0x63 | 0x8a | 0x8b | 0x8d | 0x38..=0x3d | 0x84 | 0x85 | 0xa8 | 0xa9 | 0xb0..=0xbf => true,
        // Arithmetic: the forms that go to a register, and those that may.
        0x00..=0x37 => matches!(code & 7, 2..=5) || (code & 7 < 2 && to_register),
        0x80 | 0x81 | 0x83 | 0x88 | 0x89 | 0xc0 | 0xc1 | 0xd1 | 0xd3 | 0xf6 | 0xf7 => to_register,
        _ => false,
    };
    if private { Next::Private } else { Next::Any }
}

#[cfg(test)]
mod tests {
    use super::{Next, classify};

    fn of(code: &[u8]) -> Next {
        let mut bytes = [0x90; 8];
        bytes[..code.len()].copy_from_slice(code);
        classify(bytes)
    }

    #[test]
    fn stores_and_what_is_unknown_may_write() {
        let stores: [&[u8]; 9] = [
            &[0x89, 0x07],             // mov [rdi], eax
            &[0x48, 0x89, 0x07],       // mov [rdi], rax
            &[0xf0, 0x0f, 0xb1, 0x0f], // lock cmpxchg [rdi], ecx
            &[0x48, 0x01, 0x07],       // add [rdi], rax
            &[0x83, 0x07, 0x01],       // add dword [rdi], 1
            &[0xc7, 0x07, 1, 0, 0, 0], // mov dword [rdi], 1
            &[0x87, 0x07],             // xchg [rdi], eax
            &[0xf3, 0x48, 0xab],       // rep stosq
            &[0x0f, 0x11, 0x07],       // movups [rdi], xmm0
        ];
        for store in stores {
            assert_eq!(of(store), Next::Any, "{store:x?}");
        }
    }

    #[test]
    fn loads_jumps_and_registers_are_private() {
        let private: [&[u8]; 6] = [
            &[0x8b, 0x07],             // mov eax, [rdi]
            &[0x48, 0x3b, 0x07],       // cmp rax, [rdi]
            &[0x75, 0x10],             // jne
            &[0x48, 0x89, 0xf8],       // mov rax, rdi
            &[0x48, 0x83, 0xc0, 0x01], // add rax, 1
            &[0x0f, 0xb6, 0x07],       // movzx eax, byte [rdi]
        ];
        for code in private {
            assert_eq!(of(code), Next::Private, "{code:x?}");
        }
        assert_eq!(of(&[0x0f, 0x05]), Next::SystemCall);
    }
}
