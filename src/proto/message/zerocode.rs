//! Zero coding: a run of n zero bytes travels as `00 n`.

use super::{DecodeError, HEADER_LEN, MAX_EXPANDED};

/// Expands `coded` into `out`, which is cleared first.
///
/// `00 00 n` means 256 + n zeros, as the viewer and hippolyzer read it; no encoder produces it.
/// The output is bounded, so a hostile datagram cannot make us allocate.
pub(super) fn expand(coded: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    const MAX_BODY: usize = MAX_EXPANDED - HEADER_LEN;
    out.clear();
    let mut rest = coded;
    loop {
        let literal = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
        if out.len() + literal > MAX_BODY {
            return Err(DecodeError::TooLarge);
        }
        out.extend_from_slice(&rest[..literal]);
        rest = &rest[literal..];
        if rest.is_empty() {
            return Ok(());
        }
        let mut zeros = 0;
        rest = &rest[1..];
        loop {
            match rest.split_first() {
                None => return Err(DecodeError::DanglingZero),
                Some((0, tail)) => {
                    zeros += 256;
                    rest = tail;
                }
                Some((&n, tail)) => {
                    zeros += usize::from(n);
                    rest = tail;
                    break;
                }
            }
            if zeros > MAX_EXPANDED {
                return Err(DecodeError::TooLarge);
            }
        }
        if out.len() + zeros > MAX_BODY {
            return Err(DecodeError::TooLarge);
        }
        out.resize(out.len() + zeros, 0);
    }
}

/// Whether a run of zeros is said to have none.
pub(super) fn has_empty_run(coded: &[u8]) -> bool {
    let mut bytes = coded.iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 && bytes.next() == Some(&0) {
            return true;
        }
    }
    false
}

/// The high bit of each byte of a word.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of a word that is zero.
#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    !(((word & !HIGH) + !HIGH) | word) & HIGH
}

/// How many bytes stand before the first whose high bit is set.
#[inline(always)]
fn before(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The eight bytes at a place; behind the end of the data none is zero.
#[inline(always)]
fn word(data: &[u8], at: usize) -> u64 {
    match data[at..].first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            let mut bytes = [0xFF; 8];
            bytes[..data.len() - at].copy_from_slice(&data[at..]);
            u64::from_le_bytes(bytes)
        }
    }
}

/// Writes `plain` into `out` from `begin` on, zero-coded, and returns where it ended. Runs longer
/// than 255 are cut; `00 00` is never written. `out` only grows: what stands behind the end is rest.
///
/// It goes by words of eight bytes: most messages are short literals and short runs in turn, and
/// looking at each byte would cost a wrong guess at every turn.
pub(super) fn compress(plain: &[u8], out: &mut Vec<u8>, begin: usize) -> usize {
    // At worst every other byte is a zero of its own; and a word is written whole.
    let most = begin + plain.len() + plain.len() / 2 + 16;
    if out.len() < most {
        out.resize(most, 0);
    }
    let (mut from, mut to) = (0, begin);
    while from < plain.len() {
        let bytes = word(plain, from);
        let zeros = zero_bytes(bytes);
        let literal = before(zeros).min(plain.len() - from);
        out[to..to + 8].copy_from_slice(&bytes.to_le_bytes());
        (from, to) = (from + literal, to + literal);
        if zeros == 0 {
            continue;
        }
        // Shifting brings in bytes that count as other than zero.
        let mut run = before(!(zeros >> (8 * literal)) & HIGH);
        from += run;
        if literal + run == 8 {
            while from < plain.len() {
                let more = before(!zero_bytes(word(plain, from)) & HIGH);
                (run, from) = (run + more, from + more);
                if more < 8 {
                    break;
                }
            }
        }
        while run > 0 {
            let cut = u8::try_from(run).unwrap_or(u8::MAX);
            (out[to], out[to + 1]) = (0, cut);
            (run, to) = (run - usize::from(cut), to + 2);
        }
    }
    to
}

/// `plain` zero-coded, whatever it is.
pub(crate) fn zero_coded(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let end = compress(plain, &mut out, 0);
    out.truncate(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeros(n: usize) -> Vec<u8> {
        let mut plain = vec![1];
        plain.resize(n + 1, 0);
        plain.push(2);
        plain
    }

    #[test]
    fn runs_are_cut_at_255() {
        assert_eq!(zero_coded(&zeros(255)), [1, 0, 255, 2]);
        assert_eq!(zero_coded(&zeros(256)), [1, 0, 255, 0, 1, 2]);
        assert_eq!(zero_coded(&zeros(300)), [1, 0, 255, 0, 0x2D, 2]);
        assert_eq!(zero_coded(&zeros(510)), [1, 0, 255, 0, 255, 2]);
    }

    #[test]
    fn every_count_expands_to_that_many_zeros() {
        let mut out = Vec::new();
        for n in 1..=255u8 {
            expand(&[0, n], &mut out).unwrap();
            assert_eq!(out, vec![0; usize::from(n)]);
        }
        expand(&[0, 0, 0x2C], &mut out).unwrap();
        assert_eq!(out.len(), 300);
    }

    #[test]
    fn expansion_is_bounded() {
        let bomb: Vec<u8> = [0, 255].repeat(4000);
        assert_eq!(expand(&bomb, &mut Vec::new()), Err(DecodeError::TooLarge));
        assert_eq!(expand(&[0; 60000], &mut Vec::new()), Err(DecodeError::TooLarge));
        assert_eq!(expand(&[5, 0], &mut Vec::new()), Err(DecodeError::DanglingZero));
    }

    proptest::proptest! {
        #[test]
        fn what_is_compressed_expands_to_itself(
            plain in proptest::collection::vec(proptest::prop_oneof![3 => 0u8..1, 1 => 0u8..255], 0..4000)
        ) {
            let mut out = Vec::new();
            let coded = zero_coded(&plain);
            proptest::prop_assert!(!coded.windows(2).any(|w| w == [0, 0]));
            expand(&coded, &mut out).unwrap();
            proptest::prop_assert_eq!(out, plain);
        }
    }
}
