//! The rules of NOR flash, one test each.

use super::*;

const SECTORS: u32 = 4;

fn blank() -> Vec<AtomicU32> {
    (0..SECTORS * ERASE_SIZE / 4).map(|_| AtomicU32::new(ERASED)).collect()
}

const fn extent(offset: u32, size: u32) -> Extent {
    Extent { offset, size }
}

/// Sectors 1 and 3 are unlocked.
fn nor(words: &[AtomicU32]) -> Nor<'_> {
    Nor::new(words, [extent(ERASE_SIZE, ERASE_SIZE), extent(3 * ERASE_SIZE, ERASE_SIZE), extent(0, 0), extent(0, 0)])
}

fn contents(nor: &mut Nor<'_>) -> Vec<u8> {
    let mut bytes = vec![0; nor.capacity()];
    nor.read(0, &mut bytes).expect("the whole flash can be read");
    bytes
}

#[test]
fn what_is_written_is_read_back_and_the_rest_stays() {
    let words = blank();
    let mut nor = nor(&words);
    nor.write(ERASE_SIZE + 4, &[1, 2, 3, 4, 5, 6, 7, 8]).expect("erased and unlocked");
    let bytes = contents(&mut nor);
    assert_eq!(bytes.get(0x1004..0x100c), Some(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
    assert!(bytes.iter().enumerate().all(|(at, byte)| (0x1004..0x100c).contains(&at) || *byte == 0xff));
}

#[test]
fn reads_take_any_offset_and_length() {
    let words = blank();
    for (index, word) in words.iter().enumerate() {
        word.store(u32::try_from(index).expect("small").wrapping_mul(0x0403_0201), Ordering::Relaxed);
    }
    let mut nor = nor(&words);
    let all = contents(&mut nor);
    for offset in 0..9 {
        for len in 0..13 {
            let mut bytes = vec![0; len];
            nor.read(u32::try_from(offset).expect("small"), &mut bytes).expect("inside");
            assert_eq!(Some(&bytes[..]), all.get(offset..offset + len), "offset {offset}, length {len}");
        }
    }
    let mut last = [0; 3];
    nor.read(SECTORS * ERASE_SIZE - 3, &mut last).expect("inside");
    assert_eq!(Some(&last[..]), all.get(all.len() - 3..));
}

#[test]
fn a_word_is_programmed_once_until_its_sector_is_erased() {
    let words = blank();
    let mut nor = nor(&words);
    nor.write(ERASE_SIZE, &[0xf0; 4]).expect("erased");
    for again in [[0xf0; 4], [0x00; 4], [0xff; 4]] {
        assert_eq!(nor.write(ERASE_SIZE, &again), Err(NorError::NotErased));
    }
    nor.erase(ERASE_SIZE, 2 * ERASE_SIZE).expect("unlocked");
    nor.write(ERASE_SIZE, &[0x0f; 4]).expect("erased again");
}

#[test]
fn a_refused_write_changes_nothing() {
    let words = blank();
    let mut nor = nor(&words);
    nor.write(ERASE_SIZE + 8, &[1; 4]).expect("erased");
    let before = contents(&mut nor);
    assert_eq!(nor.write(ERASE_SIZE, &[2; 16]), Err(NorError::NotErased));
    assert_eq!(contents(&mut nor), before);
}

#[test]
fn operations_take_whole_words_and_sectors_only() {
    let words = blank();
    let mut nor = nor(&words);
    assert_eq!(nor.write(ERASE_SIZE + 2, &[0; 4]), Err(NorError::Unaligned));
    assert_eq!(nor.write(ERASE_SIZE, &[0; 3]), Err(NorError::Unaligned));
    assert_eq!(nor.erase(ERASE_SIZE, ERASE_SIZE + 4), Err(NorError::Unaligned));
    assert_eq!(nor.erase(ERASE_SIZE + 4, 2 * ERASE_SIZE), Err(NorError::Unaligned));
}

#[test]
fn what_is_not_unlocked_is_protected() {
    let words = blank();
    let mut nor = nor(&words);
    assert_eq!(nor.write(0, &[0; 4]), Err(NorError::Protected));
    assert_eq!(nor.write(2 * ERASE_SIZE - 4, &[0; 8]), Err(NorError::Protected), "runs over the end of what is unlocked");
    assert_eq!(nor.erase(0, ERASE_SIZE), Err(NorError::Protected));
    assert_eq!(nor.erase(ERASE_SIZE, 4 * ERASE_SIZE), Err(NorError::Protected), "covers a protected sector between two unlocked ones");
    assert!(contents(&mut nor).iter().all(|byte| *byte == 0xff));
}

#[test]
fn nothing_reaches_outside_the_flash() {
    let words = blank();
    let everything = extent(0, u32::MAX);
    let mut nor = Nor::new(&words, [everything; 4]);
    assert_eq!(nor.read(SECTORS * ERASE_SIZE - 1, &mut [0; 2]), Err(NorError::OutOfBounds));
    assert_eq!(nor.read(u32::MAX, &mut [0; 2]), Err(NorError::OutOfBounds));
    assert_eq!(nor.write(SECTORS * ERASE_SIZE, &[0; 4]), Err(NorError::OutOfBounds));
    assert_eq!(nor.write(0xffff_fffc, &[0; 8]), Err(NorError::OutOfBounds));
    assert_eq!(nor.erase(0, (SECTORS + 1) * ERASE_SIZE), Err(NorError::OutOfBounds));
}

#[test]
fn an_erase_that_runs_backwards_is_refused() {
    let words = blank();
    let mut nor = nor(&words);
    assert!(nor.erase(2 * ERASE_SIZE, ERASE_SIZE).is_err());
}
