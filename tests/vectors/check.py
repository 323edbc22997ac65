#!/usr/bin/env python3
"""Recomputes the frozen vectors without lfdns: from docs/FORMAT.md, with Python's hashlib, PyCA cryptography
(Ed25519, AES, AES-GCM-SIV, Argon2id: OpenSSL underneath) and Google's brotli.

    pip install cryptography brotli
    python3 tests/vectors/check.py

Run by hand, when a vector or the format changes. Exits with 1 at the first difference.
"""
import base64
import hashlib
import json
import pathlib
import sys

import brotli
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

HERE = pathlib.Path(__file__).parent
ZERO = bytes(32)
Z32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
B62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
checked = 0


def load(name):
    return json.loads((HERE / name).read_text())


def same(what, ours, frozen):
    global checked
    checked += 1
    if ours != frozen:
        sys.exit(f"{what} differs:\n  computed {ours}\n  frozen   {frozen}")


def h(tag, network, *parts):
    tag = tag.encode()
    state = bytes([len(tag)]) + tag + network
    for part in parts:
        state += len(part).to_bytes(4, "big") + part
    return hashlib.sha3_256(state).digest()


def private(seed):
    return Ed25519PrivateKey.from_private_bytes(seed)


def public(seed):
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return private(seed).public_key().public_bytes(*raw)


def z32(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(Z32[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))


def base62(data):
    digits, number = "", int.from_bytes(data, "big")
    while number:
        number, digit = divmod(number, 62)
        digits = B62[digit] + digits
    return "0" * (len(data) - len(data.lstrip(b"\0"))) + digits


def mask(key, ordinal, trace=None):
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    low, width = 0, 2**128 - 1
    for level in range(64):
        prefix = ordinal >> (64 - level)
        block = aes.update(bytes([level]) + bytes(7) + prefix.to_bytes(8, "big"))
        r, e = int.from_bytes(block[:8], "big"), width >> 3
        left = 3 * e + ((2 * e * r) >> 64)
        bit = ordinal >> (63 - level) & 1
        if trace:
            trace(level, width, r, left, bit)
        if bit:
            low, width = low + left, width - left
        else:
            width = left
    return (low + width // 2).to_bytes(16, "big")


def ordinal_key(network, name):
    return h("lfdns ordinal v1", network, name)[:16]


def selector_seed(network, name):
    return h("lfdns selector v1", network, name)


def varint(number):
    out = b""
    while number >= 0x80:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def check_texts():
    for case in load("hash.json"):
        parts = [bytes.fromhex(part) for part in case["parts"]]
        same(case["tag"], h(case["tag"], bytes.fromhex(case["network"]), *parts).hex(), case["hash"])
    text = load("text.json")
    for case in text["encodings"]:
        data = bytes.fromhex(case["bytes"])
        same("z-base-32", z32(data), case["z32"])
        same("base 62", base62(data), case["base62"])
    same("owner", "@" + z32(bytes.fromhex(text["owner"]["key"])), text["owner"]["text"])
    for form in ("record_id", "zero_record_id"):
        same("record id", "=" + base62(bytes.fromhex(text[form]["id"])), text[form]["text"])


def check_selectors():
    for case in load("selectors.json"):
        network, name = bytes.fromhex(case["network"]), bytes.fromhex(case["name"])
        same("seed", selector_seed(network, name).hex(), case["seed"])
        same("selector", public(selector_seed(network, name)).hex(), case["public"])
        same("ordinal key", ordinal_key(network, name).hex(), case["ordinal_key"])
        same("ordinal 2", mask(ordinal_key(network, name), 2).hex(), case["masked_2"])
    for case in load("ordinals.json"):
        key = bytes.fromhex(case["key"])
        for image in case["images"]:
            same("ordinal", mask(key, int(image["ordinal"])).hex(), image["masked"])


def path_of(network, publics):
    path = h("lfdns path root v1", network)[:16]
    for key in publics:
        path = h("lfdns path v1", ZERO, path, key)[:16]
    return path


def rest_of(ordinals):
    return int.from_bytes(h("lfdns rest v1", ZERO, *ordinals)[:8], "big") >> 1


def check_paths():
    case = load("paths.json")
    network, publics = bytes.fromhex(case["network"]), []
    same("root", path_of(network, []).hex(), case["root"])
    for step in case["steps"]:
        publics.append(public(selector_seed(network, bytes.fromhex(step["name"]))))
        same("path", path_of(network, publics).hex(), step["path"])
    for rest in case["rest"]:
        same("rest", str(rest_of([bytes.fromhex(m) for m in rest["before"]])), rest["rest"])


def check_record(case):
    """Builds the whole record from what its author decided, and compares every byte."""
    get = lambda key: bytes.fromhex(case[key])
    network, seed, time = get("network"), get("owner_seed"), case["time"]
    names = [bytes.fromhex(s["name"]) for s in case["selectors"]]
    ordinals = [int(s["ordinal"]) for s in case["selectors"]]
    links = sorted(bytes.fromhex(link) for link in case["links"])
    pulse = bytes.fromhex(case["pulse_key"]) if case["pulse_key"] else b""
    head = bytes([0x10, len(links) | (0x10 if pulse else 0)]) + time.to_bytes(6, "big")
    head += public(seed) + b"".join(links) + pulse
    publics = [public(selector_seed(network, name)) for name in names]
    masked = [mask(ordinal_key(network, n), o) for n, o in zip(names, ordinals)]
    keys_and_ordinals = b"".join(key + m for key, m in zip(publics, masked))
    plain, value = get("plain_value"), b""
    if plain:
        key = h("lfdns value key v1", network, get("masking_key"), public(seed), time.to_bytes(8, "big"))
        nonce = h("lfdns nonce v1", network, keys_and_ordinals)[:12]
        siv = AESGCMSIV(key)
        if case["case"] == "brotli":
            value = get("masked_value")
            opened = siv.decrypt(nonce, value, head + keys_and_ordinals)
            same("brotli byte", opened[0], 1)
            same("brotli value", brotli.decompress(opened[1:]), plain)
        else:
            value = siv.encrypt(nonce, b"\0" + plain, head + keys_and_ordinals)
    same("masked value", value.hex(), case["masked_value"])
    header = head + varint(len(value))
    header += h("lfdns value v1", network, value) if value else b""
    body = header + bytes([len(names)])
    for index, name in enumerate(names):
        digest = h("lfdns claim v1", network, header, keys_and_ordinals, bytes([index]))
        claim = private(selector_seed(network, name)).sign(digest)
        same("claim", claim.hex(), case["claims"][index])
        body += publics[index] + masked[index] + claim
    body += b"\0"
    record_id = h("lfdns record v1", network, body)
    same("id", record_id.hex(), case["id"])
    signature = private(seed).sign(record_id)
    same("signature", signature.hex(), case["signature"])
    same("record", (body + signature + value).hex(), case["record"])
    same("slot", path_of(network, publics).hex(), case["slot"])
    same("rest", str(rest_of(masked[:-1])), case["rest"])


def canonical(rules):
    """RFC 8785 for what the rules hold: integers, strings, booleans, lists, objects with ASCII keys."""
    return json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def check_network():
    case = load("network.json")
    seed, rules = bytes.fromhex(case["owner_seed"]), case["rules"].encode()
    same("canonical JSON", canonical(json.loads(rules)), rules)
    scope, link, network = ZERO, b"", None
    for genesis in case["records"]:
        body = bytes([0x11, len(link) // 32]) + genesis["time"].to_bytes(6, "big") + public(seed) + link
        body += varint(len(rules)) + h("lfdns value v1", scope, rules) + b"\0\0"
        record_id = h("lfdns record v1", scope, body)
        record = body + private(seed).sign(record_id) + rules
        same("genesis", record.hex(), genesis["record"])
        same("genesis id", record_id.hex(), genesis["id"])
        network = network or h("lfdns network v1", ZERO, record)
        scope, link = network, record_id
    same("network", network.hex(), case["network"])
    for refused in load("rules_not_canonical.json"):
        same(refused["why"], canonical(json.loads(refused["rules"])) == refused["rules"].encode(), False)


def check_pulses():
    for case in load("pulses.json"):
        get = lambda key: bytes.fromhex(case[key])
        minute = case["minute"].to_bytes(4, "big")
        same("pulse key", public(get("seed")).hex(), case["public"])
        digest = h("lfdns pulse v1", get("network"), get("record"), minute)
        same("pulse", (get("record") + minute + private(get("seed")).sign(digest)).hex(), case["pulse"])


def check_dns():
    u16 = lambda number: number.to_bytes(2, "big")
    u32 = lambda number: number.to_bytes(4, "big")

    def counted(hexes, count):
        return count + b"".join(u16(len(one) // 2) + bytes.fromhex(one) for one in hexes)

    def rdatas(hexes):
        return counted(hexes, u16(len(hexes)))

    def front(tag, case, ttl):
        path = counted(case["path"], bytes([len(case["path"])]))
        return bytes([tag, 0 if case["path"] else 1]) + ttl + u16(case["max_silence"]) + path

    dns = load("dns.json")
    for case in dns["rrsets"]:
        same("RRset", (front(0xD1, case, u32(case["ttl"])) + rdatas(case["rdatas"])).hex(), case["value"])
    for case in dns["bundles"]:
        value = front(0xD2, case, b"") + u16(len(case["sets"]))
        for one in case["sets"]:
            value += u16(one["type"]) + u32(one["ttl"]) + rdatas(one["rdatas"])
        same("bundle", value.hex(), case["value"])


def check_owners():
    owners = load("owners.json")
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    for case in owners["from_seed"]:
        seed = bytes.fromhex(case["seed"])
        same("key", public(seed).hex(), case["key"])
        same("PKCS#8", private(seed).private_bytes(*kinds).decode(), case["pem"])
        text = base64.b64encode(b"\3" + seed + public(seed)).decode()
        lines = "".join(text[at : at + 64] + "\n" for at in range(0, len(text), 64))
        label, headers = "LF OWNER PRIVATE KEY-----\n", f"Public: @{z32(public(seed))}\nType: ed25519\n\n"
        same("LF PEM", f"-----BEGIN {label}{headers}{lines}-----END {label}", case["lf_pem"])
    for case in owners["passphrase"]:
        salt = h("lfdns passphrase v1", ZERO)
        argon = Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=256 * 1024)
        seed = argon.derive(case["passphrase"].encode())
        same("passphrase", public(seed).hex(), case["key"])
        same("passphrase PEM", private(seed).private_bytes(*kinds).decode(), case["pem"])


def main():
    check_texts()
    check_selectors()
    check_paths()
    for case in load("records.json") + load("brotli.json"):
        check_record(case)
    check_network()
    check_pulses()
    check_dns()
    check_owners()
    print(f"{checked} values agree")


if __name__ == "__main__":
    if sys.argv[1:2] == ["trace"]:  # The table of docs/FORMAT.md "Ordinal".
        mask(bytes(range(16)), 1 << 32, lambda *step: print("%2d %032x %016x %032x %d" % step))
    else:
        main()
