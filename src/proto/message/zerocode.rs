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

/// Appends `plain` to `out`, zero-coded. Runs longer than 255 are cut; `00 00` is never written.
pub(super) fn compress(plain: &[u8], out: &mut Vec<u8>) {
    let mut rest = plain;
    while !rest.is_empty() {
        let literal = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..literal]);
        rest = &rest[literal..];
        let mut zeros = rest.iter().position(|&b| b != 0).unwrap_or(rest.len());
        rest = &rest[zeros..];
        while zeros > 0 {
            let run = zeros.min(255);
            out.extend_from_slice(&[0, run as u8]);
            zeros -= run;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(plain, &mut out);
        out
    }

    fn zeros(n: usize) -> Vec<u8> {
        let mut plain = vec![1];
        plain.resize(n + 1, 0);
        plain.push(2);
        plain
    }

    #[test]
    fn runs_are_cut_at_255() {
        assert_eq!(coded(&zeros(255)), [1, 0, 255, 2]);
        assert_eq!(coded(&zeros(256)), [1, 0, 255, 0, 1, 2]);
        assert_eq!(coded(&zeros(300)), [1, 0, 255, 0, 0x2D, 2]);
        assert_eq!(coded(&zeros(510)), [1, 0, 255, 0, 255, 2]);
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
            let coded = coded(&plain);
            proptest::prop_assert!(!coded.windows(2).any(|w| w == [0, 0]));
            expand(&coded, &mut out).unwrap();
            proptest::prop_assert_eq!(out, plain);
        }
    }
}
