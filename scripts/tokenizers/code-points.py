"""Tests each of the 1,112,064 characters with Python's tokenizers, to find where its classes differ from JavaScript's.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python scripts/tokenizers/code-points.py code-points.json        # about a minute

`ranges` are the members of each class, `maps` the characters that a normalizer changes, and to what. The ranges in
runtime/tasks/embedding/tokenizer/unicode.ts are the differences from \\p{…} of the Node.js in use: members of only one
of the two classes.
`inert` in unicode.ts has the characters whose normal forms differ between Python and JavaScript: alone, after U+0301 or
U+0345, or before U+0323 or U+0301. It also has the characters that they decompose to.
"""

import json
import sys

from tokenizers import Regex, normalizers, pre_tokenizers

CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
BERT_OFF = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)


def ranges(is_member):
    found = []
    for char in CHARACTERS:
        if is_member(char):
            code = ord(char)
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return found


def pieces(pre_tokenizer, count):
    """Whether `a`, the character and `b` together become `count` pieces."""
    return lambda char: len(pre_tokenizer.pre_tokenize_str(f"a{char}b")) == count


def becomes(normalizer, wanted):
    return lambda char: normalizer.normalize_str(f"a{char}b") == wanted.replace("?", char)


def matches(regex):
    split = pre_tokenizers.Split(Regex(regex), "removed")
    return lambda char: split.pre_tokenize_str(char) == []


def main():
    bert = lambda **flags: normalizers.BertNormalizer(**{**BERT_OFF, **flags})
    classes = {
        "blank": pieces(pre_tokenizers.WhitespaceSplit(), 2),
        "punctuation": pieces(pre_tokenizers.BertPreTokenizer(), 3),
        "digit": pieces(pre_tokenizers.Digits(True), 3),
        "wordCharacter": pieces(pre_tokenizers.Whitespace(), 1),
        "control": becomes(bert(clean_text=True), "ab"),
        "chinese": becomes(bert(handle_chinese_chars=True), "a ? b"),
        "combiningMark": becomes(normalizers.StripAccents(), "ab"),
        "nmtRemoved": becomes(normalizers.Nmt(), "ab"),
        "nmtBlank": becomes(normalizers.Nmt(), "a b"),
        **{
            regex: matches(regex)
            for regex in (
                r"\p{L}",
                r"\p{N}",
                r"\p{P}",
                r"\p{S}",
                r"\p{M}",
                r"\p{Z}",
                r"\p{Ll}",
                r"\p{Lu}",
                r"\p{Lo}",
                r"\p{Han}",
                r"\s",
                r"\w",
                r"\d",
            )
        },
    }
    maps = {
        "NFC": normalizers.NFC(),
        "NFD": normalizers.NFD(),
        "NFKC": normalizers.NFKC(),
        "NFKD": normalizers.NFKD(),
        "Lowercase": normalizers.Lowercase(),
        "strip_accents": bert(strip_accents=True),
    }
    result = {
        "ranges": {name: ranges(is_member) for name, is_member in classes.items()},
        "maps": {
            name: {ord(char): out for char in CHARACTERS if (out := one.normalize_str(char)) != char}
            for name, one in maps.items()
        },
    }
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(result, out)


main()
