//! Which memory an x86-64 instruction reaches: as much of its encoding as tells that.
//!
//! What is not known for certain is told as [`Operand::Unknown`], which is taken for anything.

use libc::user_regs_struct as Registers;

/// The memory operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// It reaches no memory, or only this process's own: stack by push and call, thread-local
    /// variables, statics.
    Own,
    /// It reaches this address.
    At { base: Option<u8>, index: Option<u8>, scale: u8, offset: i32 },
    /// It may reach anything.
    Unknown,
}

/// The bits of a REX or VEX prefix that make register numbers longer.
#[derive(Clone, Copy, Default)]
struct Longer {
    index: bool,
    base: bool,
}

const SEGMENT_OF_THREAD: [u8; 2] = [0x64, 0x65];
const PREFIXES: [u8; 10] = [0x66, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];

/// Reads the beginning of an instruction.
pub(super) fn operand(bytes: [u8; 16]) -> Operand {
    let mut at = 0;
    let mut of_thread = false;
    while PREFIXES.contains(&bytes[at]) {
        of_thread |= SEGMENT_OF_THREAD.contains(&bytes[at]);
        at += 1;
        if at > 4 {
            return Operand::Unknown;
        }
    }
    if of_thread {
        return Operand::Own;
    }
    let mut longer = Longer::default();
    if bytes[at] & 0xf0 == 0x40 {
        longer = Longer { index: bytes[at] & 2 != 0, base: bytes[at] & 1 != 0 };
        at += 1;
    }
    match bytes[at] {
        0x0f => two_bytes(&bytes[at + 1..], longer),
        // VEX: what it says of registers is inverted; the instruction follows.
        0xc5 => of_modrm(&bytes[at + 3..], Longer::default()),
        0xc4 => {
            let longer =
                Longer { index: bytes[at + 1] & 0x40 == 0, base: bytes[at + 1] & 0x20 == 0 };
            of_modrm(&bytes[at + 4..], longer)
        }
        // EVEX, whose offsets are scaled; instructions on strings, whose operands are implied; and
        // those with an address in the instruction.
        0x62 | 0xa4..=0xa7 | 0xaa..=0xaf | 0xa0..=0xa3 | 0xd7 => Operand::Unknown,
        // The address is only computed.
        0x8d => Operand::Own,
        code if has_modrm(code) => of_modrm(&bytes[at + 1..], longer),
        _ => Operand::Own,
    }
}

fn has_modrm(code: u8) -> bool {
    match code {
        0x00..=0x3f => code & 7 < 4,
        0x63 | 0x69 | 0x6b | 0x80..=0x8f | 0xc0 | 0xc1 | 0xc6 | 0xc7 => true,
        0xd0..=0xd3 | 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff => true,
        _ => false,
    }
}

fn two_bytes(bytes: &[u8], longer: Longer) -> Operand {
    match bytes[0] {
        0x38 | 0x3a => of_modrm(&bytes[2..], longer),
        // System call, invalid opcode, time stamp, CPU's name, byte swaps, jumps; prefetch and nop.
        0x05 | 0x0b | 0x31 | 0xa2 | 0xc8..=0xcf | 0x80..=0x8f | 0x18..=0x1f | 0x77 => Operand::Own,
        // Segment registers' push and pop.
        0xa0 | 0xa1 | 0xa8 | 0xa9 => Operand::Own,
        _ => of_modrm(&bytes[1..], longer),
    }
}

/// The operand behind the opcode.
fn of_modrm(bytes: &[u8], longer: Longer) -> Operand {
    let (mode, low) = (bytes[0] >> 6, bytes[0] & 7);
    let long = |number: u8, longer: bool| number | u8::from(longer) << 3;
    let (base, index, scale, rest) = match (mode, low) {
        (3, _) => return Operand::Own,
        // Relative to the instruction: a static.
        (0, 5) => return Operand::Own,
        (_, 4) => {
            let sib = bytes[1];
            let (scale, index, base) = (sib >> 6, sib >> 3 & 7, sib & 7);
            let index = Some(long(index, longer.index)).filter(|&index| index != 4);
            let none = mode == 0 && base == 5;
            let base = (!none).then(|| long(base, longer.base));
            (base, index, scale, &bytes[2..])
        }
        (_, low) => (Some(long(low, longer.base)), None, 0, &bytes[1..]),
    };
    let wide = mode == 2 || base.is_none();
    let offset = match (mode, wide, rest) {
        (_, true, &[a, b, c, d, ..]) => i32::from_le_bytes([a, b, c, d]),
        (1, _, &[a, ..]) => i32::from(i8::from_le_bytes([a])),
        (0, false, _) => 0,
        _ => return Operand::Unknown,
    };
    Operand::At { base, index, scale, offset }
}

/// The address that an operand means; `None` if none can be told.
pub(super) fn address(operand: Operand, registers: &Registers) -> Option<u64> {
    let Operand::At { base, index, scale, offset } = operand else { return None };
    let of = |number: Option<u8>| number.map_or(0, |number| register(registers, number));
    let scaled = of(index) << scale;
    Some(of(base).wrapping_add(scaled).wrapping_add_signed(i64::from(offset)))
}

fn register(registers: &Registers, number: u8) -> u64 {
    match number {
        0 => registers.rax,
        1 => registers.rcx,
        2 => registers.rdx,
        3 => registers.rbx,
        4 => registers.rsp,
        5 => registers.rbp,
        6 => registers.rsi,
        7 => registers.rdi,
        8 => registers.r8,
        9 => registers.r9,
        10 => registers.r10,
        11 => registers.r11,
        12 => registers.r12,
        13 => registers.r13,
        14 => registers.r14,
        _ => registers.r15,
    }
}

#[cfg(test)]
mod tests {
    use super::{Operand, operand};

    fn of(code: &[u8]) -> Operand {
        let mut bytes = [0x90; 16];
        bytes[..code.len()].copy_from_slice(code);
        operand(bytes)
    }

    #[test]
    fn an_address_is_read_with_base_index_scale_and_offset() {
        let at = |base, index, scale, offset| Operand::At { base, index, scale, offset };
        // mov rax, [rdi]
        assert_eq!(of(&[0x48, 0x8b, 0x07]), at(Some(7), None, 0, 0));
        // lock cmpxchg [r8 + 0x10], rcx
        assert_eq!(of(&[0xf0, 0x49, 0x0f, 0xb1, 0x48, 0x10]), at(Some(8), None, 0, 16));
        // mov eax, [rsp + 8]
        assert_eq!(of(&[0x8b, 0x44, 0x24, 0x08]), at(Some(4), None, 0, 8));
        // mov [rax + r12*8 - 0x100], edx
        let code = [0x42, 0x89, 0x94, 0xe0, 0x00, 0xff, 0xff, 0xff];
        assert_eq!(of(&code), at(Some(0), Some(12), 3, -256));
        // mov eax, [r13 + 0]
        assert_eq!(of(&[0x41, 0x8b, 0x45, 0x00]), at(Some(13), None, 0, 0));
        // vmovdqu ymm0, [r9]
        assert_eq!(of(&[0xc4, 0xc1, 0x7e, 0x6f, 0x01]), at(Some(9), None, 0, 0));
        // movups xmm0, [rsi + 0x20]
        assert_eq!(of(&[0x0f, 0x10, 0x46, 0x20]), at(Some(6), None, 0, 32));
        // cmp byte [rbx], 0
        assert_eq!(of(&[0x80, 0x3b, 0x00]), at(Some(3), None, 0, 0));
    }

    #[test]
    fn registers_stack_statics_and_thread_locals_are_the_processs_own() {
        let own: [&[u8]; 8] = [
            &[0x48, 0x89, 0xf8],                         // mov rax, rdi
            &[0x48, 0x8d, 0x47, 0x08],                   // lea rax, [rdi + 8]
            &[0x8b, 0x05, 1, 0, 0, 0],                   // mov eax, [rip + 1]
            &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], // mov rax, fs:[0]
            &[0x55],                                     // push rbp
            &[0x0f, 0x84, 1, 0, 0, 0],                   // je
            &[0xc3],                                     // ret
            &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],       // nop
        ];
        for code in own {
            assert_eq!(of(code), Operand::Own, "{code:x?}");
        }
    }

    #[test]
    fn what_is_implied_or_scaled_is_unknown() {
        assert_eq!(of(&[0xf3, 0xa4]), Operand::Unknown); // rep movsb
        assert_eq!(of(&[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07]), Operand::Unknown); // vmovups zmm0
    }
}
