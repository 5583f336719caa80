//! Key files and signatures, with OpenSSL as the judge.

mod support;

use std::os::unix::fs::PermissionsExt as _;

use support::Bench;

#[test]
fn openssl_reads_our_keys_and_derives_the_same_public_key() {
    let bench = Bench::new();
    bench.done("keygen --out k");
    assert_eq!(bench.other("openssl", "pkey -in k.key.pem -pubout"), bench.read("k.pub.pem"));
    assert!(String::from_utf8_lossy(&bench.other("openssl", "pkey -in k.key.pem -text -noout")).starts_with("ED25519 Private-Key"));
}

#[test]
fn openssl_decrypts_our_encrypted_keys_and_we_need_the_passphrase() {
    let bench = Bench::with_owner();
    bench.write("passphrase", b"correct horse\nbattery\n");
    bench.write("wrong", b"battery\n");
    bench.done("keygen --out k --passphrase-file passphrase");
    assert_eq!(bench.other("openssl", "pkey -in k.key.pem -passin file:passphrase -pubout"), bench.read("k.pub.pem"));
    bench.done("pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o x.slot");
    let missing = bench.run("sign x.slot --key k.key.pem");
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("the private key is encrypted: give --passphrase-file (code 207"), "{}", missing.stderr);
    let wrong = bench.run("sign x.slot --key k.key.pem --passphrase-file wrong");
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("the passphrase is wrong"), "{}", wrong.stderr);
    bench.done("sign x.slot --key k.key.pem --passphrase-file passphrase");
}

#[test]
fn we_read_keys_that_openssl_makes() {
    let bench = Bench::with_owner();
    bench.other("openssl", "genpkey -algorithm ed25519 -out o.key.pem");
    bench.other("openssl", "pkey -in o.key.pem -pubout -out o.pub.pem");
    bench.done("trust --key o.pub.pem --threshold 1 -o o.toml");
    bench.done("pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o x.slot");
    bench.done("sign x.slot --key o.key.pem");
    bench.done("verify x.slot --trust o.toml --product lamp");
}

#[test]
fn a_private_key_that_others_may_read_signs_nothing() {
    let bench = Bench::with_owner();
    bench.done("pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o x.slot");
    let set_mode = |mode| std::fs::set_permissions(bench.path("owner.key.pem"), std::fs::Permissions::from_mode(mode)).expect("our own file");
    for mode in [0o640, 0o604, 0o620, 0o644] {
        set_mode(mode);
        let refused = bench.run("sign x.slot --key owner.key.pem");
        assert_eq!(refused.code, 1, "mode {mode:o}");
        assert!(refused.stderr.contains("others may read this private key, which is not encrypted: chmod 600 it"), "{}", refused.stderr);
    }
    set_mode(0o400);
    bench.done("sign x.slot --key owner.key.pem");
}

#[test]
fn a_private_key_is_for_its_owner_only_and_is_never_overwritten() {
    let bench = Bench::new();
    bench.done("keygen --out k");
    let mode = std::fs::metadata(bench.path("k.key.pem")).expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = bench.read("k.key.pem");
    let again = bench.run("keygen --out k");
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (2, "hosttool: k.key.pem: exists already, and keys are never overwritten: choose another --out\n")
    );
    assert_eq!(bench.read("k.key.pem"), before);
    assert_eq!(bench.files(), ["k.key.pem", "k.pub.pem"]);
}

#[test]
fn openssl_verifies_our_signature_over_the_prepared_bytes() {
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    bench.done("sign --prepare x.slot -o tbs");
    assert_eq!(bench.read("tbs"), bench.read("x.slot")[..732]);
    bench.write("signature", &bench.read("x.slot")[740..804]);
    bench.other("openssl", "pkeyutl -verify -rawin -pubin -inkey owner.pub.pem -in tbs -sigfile signature");
}

#[test]
fn a_signature_made_by_openssl_is_attached_only_when_it_holds() {
    let bench = Bench::with_owner();
    bench.done("keygen --out other");
    bench.done("pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o x.slot");
    bench.done("sign --prepare x.slot -o tbs");
    bench.other("openssl", "pkeyutl -sign -rawin -inkey owner.key.pem -in tbs -out signature");
    let unsigned = bench.read("x.slot");
    for wrong in ["sign --attach signature --public other.pub.pem x.slot", "sign --attach tbs --public owner.pub.pem x.slot"] {
        assert_eq!(bench.json(wrong)["name"], "WrongSignature");
        assert_eq!(bench.read("x.slot"), unsigned, "{wrong}");
    }
    bench.done("sign --attach signature --public owner.pub.pem x.slot");
    bench.done("verify x.slot --trust trust.toml --product lamp");
}

#[test]
fn four_keys_sign_in_any_order_and_no_key_signs_twice() {
    let bench = Bench::with_owner();
    bench.done("pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o x.slot");
    let digest = bench.json("inspect x.slot")["header"]["header_digest"].clone();
    for name in ["one", "two", "three", "four"] {
        bench.done(&format!("keygen --out {name}"));
    }
    for name in ["three", "one", "two"] {
        bench.done(&format!("sign x.slot --key {name}.key.pem"));
    }
    assert_eq!(bench.json("sign x.slot --key one.key.pem")["name"], "AlreadySigned");
    bench.done("sign x.slot --key four.key.pem");
    assert_eq!(bench.json("sign x.slot --key owner.key.pem")["name"], "NoRoomForSignature");
    let header = &bench.json("inspect x.slot")["header"];
    assert_eq!((&header["header_digest"], header["signed_by"].as_array().map(Vec::len)), (&digest, Some(4)));
    bench.done("trust --key one.pub.pem --key two.pub.pem --key three.pub.pem --key four.pub.pem --threshold 4 -o four.toml");
    bench.done("verify x.slot --trust four.toml --product lamp");
}
