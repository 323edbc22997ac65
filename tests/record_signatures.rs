//! Signature verdicts are consensus rules, so they are pinned to public vectors: Project Wycheproof's Ed25519
//! cases, and the edge cases of "Taming the many EdDSAs" on which implementations disagree. Both files lie
//! beside the project; where they do not, these tests say so and pass.
#![allow(clippy::unwrap_used)]

#[path = "common/frozen.rs"]
mod frozen;

use frozen::unhex;
use lfdns::record::verify_signature;
use serde_json::Value;

/// A file of `../shared/vectors`, if that folder is there.
fn shared(file: &str) -> Option<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors").join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).expect("the vectors are JSON"))
}

/// The verdict; a key or signature of another length is none.
fn verdict(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    verify_signature(key, message, signature)
}

#[test]
fn every_wycheproof_case_gets_its_verdict() {
    let Some(file) = shared("wycheproof_ed25519.json") else { return };
    let mut seen = [0, 0];
    for group in file["testGroups"].as_array().expect("groups") {
        let key = unhex(&group["publicKey"]["pk"]);
        for case in group["tests"].as_array().expect("cases") {
            let valid = match case["result"].as_str() {
                Some("valid") => true,
                Some("invalid") => false,
                other => panic!("result {other:?}: decide what it means here"),
            };
            seen[usize::from(valid)] += 1;
            let got = verdict(&key, &unhex(&case["msg"]), &unhex(&case["sig"]));
            assert_eq!(got, valid, "case {}: {}", case["tcId"], case["comment"]);
        }
    }
    assert_eq!(seen.iter().sum::<usize>() as u64, file["numberOfTests"].as_u64().expect("a count"));
    assert!(seen.iter().all(|n| *n > 10), "{seen:?}");
}

/// Our verdicts on the twelve cases, in the file's order.
const SPECCHECK: [(bool, &str); 12] = [
    (false, "0: key and R of small order, S = 0: valid by either equation, but anybody can make it"),
    (false, "1: a key of small order signs nothing in particular"),
    (false, "2: R of small order, which verify_strict refuses"),
    (true, "3: key and R with a component of small order; the equation without cofactor holds"),
    (false, "4: the equation holds only if multiplied by the cofactor, which we do not"),
    (false, "5: the same, where 8·S·B is computed after reduction"),
    (false, "6: S is not below the group order (it is the order more than a valid one)"),
    (false, "7: S is far above the group order"),
    (false, "8: R is not canonically encoded (and of small order); hashed as it stands"),
    (false, "9: the same; valid where R is re-encoded before hashing"),
    (false, "10: the key is not canonically encoded (and of small order); hashed as it stands"),
    (false, "11: the same; valid where the key is re-encoded before hashing"),
];

#[test]
fn every_speccheck_case_gets_our_verdict() {
    let Some(file) = shared("ed25519_speccheck_cases.json") else { return };
    let cases = file.as_array().expect("a list");
    assert_eq!(cases.len(), SPECCHECK.len());
    for (case, (valid, why)) in cases.iter().zip(SPECCHECK) {
        let got = verdict(&unhex(&case["pub_key"]), &unhex(&case["message"]), &unhex(&case["signature"]));
        assert_eq!(got, valid, "{why}");
    }
}
