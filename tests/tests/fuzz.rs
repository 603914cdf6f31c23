//! The fuzz targets on stable Rust: their corpus, random bytes, and texts of the kind that each parser reads. The
//! properties stand in `fuzz/src/lib.rs`, which the fuzzer of nightly Rust calls, too.

use std::{fs, path::Path};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

#[expect(unreachable_pub, reason = "it is a library of its own for the fuzzer")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use targets::TARGETS;

/// Random inputs for each target, in the short form and in the long one.
const CASES: u32 = 1_500;
const CASES_LONG: u32 = 100_000;

/// Digits, codes and separators in every width, and words that stand around them: what parsers look twice at.
fn telling() -> impl Strategy<Value = Vec<u8>> {
    let letters = prop::sample::select(
        "0123456789０１２３４５６７８９零一二三四五六七八九幺〇ABCXYZabcxyzILOilo -－—.+()（）/*[]号楼单元室电话年月日\u{200b}\u{202e}\u{0}=_"
            .chars()
            .collect::<Vec<_>>(),
    );
    vec(letters, 0..40).prop_map(|letters| letters.into_iter().collect::<String>().into_bytes())
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let read =
        |file: std::io::Result<fs::DirEntry>| fs::read(file.expect("a file").path()).expect("its bytes");
    files.map(read).collect()
}

#[test]
fn every_target_holds() {
    let cases = if std::env::var_os("XINGFUMA_TESTS_LONG").is_some() { CASES_LONG } else { CASES };
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 4, "{name} has a corpus");
        corpus.iter().for_each(|bytes| target(bytes));
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
        let mutated = (prop::sample::select(corpus.clone()), any::<prop::sample::Index>(), any::<u8>());
        let mutated = mutated.prop_map(|(mut bytes, place, byte)| {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        });
        let inputs = prop_oneof![
            vec(any::<u8>(), 0..120),
            any::<String>().prop_map(String::into_bytes),
            telling(),
            mutated
        ];
        let held = runner.run(&inputs, |bytes| {
            target(&bytes);
            Ok(())
        });
        held.unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
}

/// A property that cannot break holds nothing: each of these breaks one on purpose.
#[test]
fn a_broken_property_is_noticed() {
    let broken = std::panic::catch_unwind(|| {
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) });
        runner.run(&telling(), |bytes| {
            prop_assert!(String::from_utf8_lossy(&bytes).parse::<xingfuma_domain::phone::Phone>().is_err());
            let text = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert_eq!(xingfuma_domain::masking::mask_text(&text).text, text);
            Ok(())
        })
    });
    assert!(broken.expect("proptest catches it").is_err(), "texts with nothing to mask prove nothing");
    assert_eq!(
        TARGETS.len(),
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets"))
            .expect("targets")
            .count()
    );
}
