//! What an atomic operation makes of a value.

use crate::AtomicOp;
use crate::limits::VALUE_BYTES_MAX;
use bytes::Bytes;

/// The value after `op` with `param` on `old` (`None` = no such key). The two versionstamp
/// operations write their parameter as it is; [`super::stamp`] has filled it before.
pub fn apply(op: AtomicOp, old: Option<&Bytes>, param: &Bytes) -> Option<Bytes> {
    let empty = Bytes::new();
    let value = old.unwrap_or(&empty);
    match op {
        AtomicOp::Add => Some(add(value, param)),
        AtomicOp::BitAnd if old.is_none() => Some(param.clone()),
        AtomicOp::BitAnd => Some(bytewise(value, param, |a, b| a & b)),
        AtomicOp::BitOr => Some(bytewise(value, param, |a, b| a | b)),
        AtomicOp::BitXor => Some(bytewise(value, param, |a, b| a ^ b)),
        AtomicOp::AppendIfFits => Some(append(value, param)),
        AtomicOp::Max => Some(pick(value, param, std::cmp::Ordering::Greater)),
        AtomicOp::Min if old.is_none() => Some(param.clone()),
        AtomicOp::Min => Some(pick(value, param, std::cmp::Ordering::Less)),
        AtomicOp::ByteMax => Some(if param > value { param.clone() } else { value.clone() }),
        AtomicOp::ByteMin if old.is_none() => Some(param.clone()),
        AtomicOp::ByteMin => Some(if param < value { param.clone() } else { value.clone() }),
        AtomicOp::CompareAndClear if old == Some(param) => None,
        AtomicOp::CompareAndClear => old.cloned(),
        AtomicOp::SetVersionstampedKey | AtomicOp::SetVersionstampedValue => Some(param.clone()),
    }
}

/// The byte at `index` of a value that is thought to go on with zeros (fact 18: the result has the
/// parameter's length).
fn byte(value: &[u8], index: usize) -> u8 {
    value.get(index).copied().unwrap_or(0)
}

fn bytewise(value: &[u8], param: &[u8], f: impl Fn(u8, u8) -> u8) -> Bytes {
    param.iter().enumerate().map(|(i, b)| f(byte(value, i), *b)).collect()
}

fn add(value: &[u8], param: &[u8]) -> Bytes {
    let mut carry = 0_u16;
    let sum = |(index, byte_of_param): (usize, &u8)| {
        let total = u16::from(byte(value, index)) + u16::from(*byte_of_param) + carry;
        carry = total >> 8;
        total as u8
    };
    param.iter().enumerate().map(sum).collect()
}

fn append(value: &Bytes, param: &Bytes) -> Bytes {
    if param.is_empty() || value.len() + param.len() > VALUE_BYTES_MAX {
        return value.clone();
    }
    [&value[..], &param[..]].concat().into()
}

/// Compares as little-endian numbers of the parameter's length; the value wins where it compares
/// as `wanted`, and is cut or extended to that length.
fn pick(value: &[u8], param: &Bytes, wanted: std::cmp::Ordering) -> Bytes {
    let ordering = (0..param.len())
        .rev()
        .map(|i| byte(value, i).cmp(&param[i]))
        .find(|o| o.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal);
    if ordering == wanted { bytewise(value, param, |a, _| a) } else { param.clone() }
}
