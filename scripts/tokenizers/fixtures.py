"""Writes the results of Python's tokenizers for many parts of tokenizers and for whole tokenizers. The tests of
runtime/tasks/embedding/tokenizer/ compare with them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3
    /tmp/venv/bin/python scripts/tokenizers/fixtures.py test/fixtures/tokenizers
    /tmp/venv/bin/python scripts/tokenizers/fixtures.py /tmp/more --seed 7 --texts 2000

parts.json:     for every normalizer and pre-tokenizer with its options, its results for the same texts; a result is
                stored as the first 4 hex digits of its SHA-256
pipelines.json: complete tokenizers of all four models, each with a few texts and their ids with special tokens
"""

import argparse
import base64
import hashlib
import io
import itertools
import json
import os
import random

import tokenizers
from tokenizers import Tokenizer

WORDS = """the quick brown fox jumps over lazy dog and hello world serving models on kubernetes naïve café straße ΟΔΟΣ
Hello HELLO don't we've I'LL 12 345 2026 日本語 漢字 한국어 snake_case CamelCase e-mail (a) [b] {c} "d" 100% $5 a+b x=y ... !?
👍""".split()

ATOMS = [
    "the",
    "quick",
    "Fox",
    "HELLO",
    "don't",
    "I'LL",
    "we've",
    "'s",
    "'ſ",
    "K'S",
    "'ſſ",
    "naïve",
    "café",
    "cafe\u0301",
    "ΟΔΟΣ",
    "Σ",
    "ς",
    "straße",
    "ẞ",
    "İstanbul",
    "ǅ",
    "ﬁ",
    "ﬀ",
    "½",
    "²",
    "①",
    "Ⅷ",
    "１２３",
    "123",
    "4567",
    "9",
    "٣٤",
    "日本語",
    "漢字",
    "𠀀",
    "𫝀",
    "\U0002b820",
    "한국어",
    "\u1112\u1161\u11ab",
    "ひらがな",
    "カタカナ",
    "ｶﾞ",
    "ไทยำ",
    "हिन्दी",
    "क्षि",
    "தமிழ்",
    "العربية",
    "עברית",
    "\u0591",
    "👍🏽",
    "👨‍👩‍👧",
    "🇩🇪",
    "❤️",
    "e\u0301\u0323",
    "\u0301",
    "\u0300\u0345",
    "a\u0300\u0301\u0302",
    "\u200d",
    "\u200b",
    "\ufeff",
    "\u00ad",
    "\u2028",
    "\u0085",
    "\u00a0",
    "\u3000",
    "\u2581",
    "▁▁",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\v",
    "\f",
    "\x00",
    "\x01",
    "\x1f",
    "\x7f",
    "\ufffd",
    "\ue000",
    "\U000e0001",
    ".",
    ",",
    "!",
    "?",
    "...",
    "-",
    "_",
    "__",
    "$",
    "+",
    "<",
    "=",
    "~",
    "^",
    "`",
    "|",
    "@",
    "#",
    "%",
    "&",
    "*",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\\",
    "/",
    '"',
    "'",
    "’",
    "“",
    "”",
    "—",
    "、",
    "。",
    "！",
    "～",
    "\u2e52",
    "\u30fb",
    "<s>",
    "</s>",
    "[MASK]",
    "<mask>",
    "[CLS]",
    "<unk>",
    "[UNK]",
    "\U0001f16c",
    "\u32ff",
    "\u2b96",
    "a_b",
    "x1y2",
    "CamelCase",
    "snake_case",
    "http://x.y/z?q=1",
    "\U00010d24",
    "\u08ca",
    "\u1715",
    "ssſ",
    "ﬆ",
    "Å",
    "Ω",
    "\u1e9b\u0323",
    "\u0958",
    "\uac00\u11a8",
    "\U0001d15e",
    "ŉ",
    "ǰ",
    "ΐ",
    "lstrip",
    "rstrip",
    "word",
    "wordy",
    "Norm",
    "norm",
    "ab",
    "abc",
]

BEHAVIOURS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PATTERNS = [
    r"\s+",
    r" {2,}",
    r"[^\w\s]",
    r"\d",
    r"\w+",
    r"\W",
    r"\p{L}+",
    r"[\p{Mn}]",
    r"\b",
    r"^a|x$",
    r"(?<=a)b",
    r"[a-z&&[^aeiou]]",
    r"[^\p{L}\p{N}]+?",
    r"\p{Ll}",
    r"\p{Lo}",
    r"\P{L}",
    r"[\W_]",
    r".",
    r"(?i:the|fox)",
    r"(?i:[sk])",
    r"\S+\s?",
    r"(?=[A-Z])",
    r"a*",
    r"\p{Han}",
    r"\x{41}|\u0042",
    r"[\x41-\x43]",
    r"\p{^Lu}",
    r"(?>a|ab)c",
    r"(?:ab?){1,2}+",
    r"o{,2}",
    r"[\d\-.]+",
    r"(a|(?:b))c",
    r"\A.|.\z",
]
WORD_PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "llama3": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
        r"|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve"
        r"|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve"
        r"|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "clip": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "deepseek": (
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
}
EMPTY = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
}


def text_of(rng):
    def part():
        k = rng.random()
        if k < 0.08:
            return chr(
                rng.choice([rng.randrange(0x20, 0x3000), rng.randrange(0x20, 0xD800), rng.randrange(0xE000, 0x30000)])
            )
        if k < 0.15:
            return "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABC") for _ in range(rng.randrange(1, 9)))
        return rng.choice(ATOMS + WORDS)

    return "".join(part() + rng.choice(["", " ", " ", ""]) for _ in range(rng.randrange(1, 14)))


def small_charsmap():
    """A charsmap from SentencePiece's own builder. Its rules fold case, and lengthen, shorten or remove text."""
    import sentencepiece

    rules = {
        "A": "a",
        "H": "h",
        "É": "é",
        "e\u0301": "é",
        "ﬁ": "fi",
        "ß": "ss",
        "\u00a0": " ",
        "\u3000": " ",
        "\t": " ",
        "\n": " ",
        "１": "1",
        "２": "2",
        "３": "3",
        "ｶ\uff9e": "ガ",
        "Σ": "σ",
        "½": "1/2",
        "\u00ad": "",
        "\u200b": "",
        "①": "1",
        "日本": "nihon",
        "…": "...",
    }
    folder = os.environ.get("TMPDIR", "/tmp")
    table = os.path.join(folder, "charsmap.tsv")
    with open(table, "w", encoding="utf-8") as out:
        for source, target in rules.items():
            out.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 20),
        model_writer=model,
        vocab_size=90,
        hard_vocab_limit=False,
        normalization_rule_tsv=table,
        minloglevel=2,
    )
    # normalizer_spec (field 3) → precompiled_charsmap (field 2)
    return base64.b64encode(field(field(model.getvalue(), 3), 2)).decode()


def field(message, wanted):
    """The last length-delimited field with this number in a protobuf message."""
    at, found = 0, b""

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            varint()
        elif kind == 2:
            size = varint()
            if tag >> 3 == wanted:
                found = message[at : at + size]
            at += size
        else:
            at += 8 if kind == 1 else 4
    return found


def normalizers(charsmap):
    flags = [True, False]
    yield from (
        dict(type=name) for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")
    )
    yield from (dict(type="Strip", strip_left=a, strip_right=b) for a, b in itertools.product(flags, flags))
    yield from (
        dict(type="BertNormalizer", clean_text=a, handle_chinese_chars=b, strip_accents=c, lowercase=d)
        for a, b, c, d in itertools.product(flags, flags, [True, False, None], flags)
    )
    yield from (dict(type="Prepend", prepend=text) for text in ("▁", "xy "))
    yield dict(type="Precompiled", precompiled_charsmap=charsmap)
    yield from (
        dict(type="Replace", pattern={"Regex": regex}, content=content) for regex in PATTERNS for content in ("", "_")
    )
    yield from (
        dict(type="Replace", pattern={"String": text}, content=content)
        for text, content in ((" ", "▁"), ("``", '"'), (".", "$&"), ("a", ""))
    )
    yield dict(type="Sequence", normalizers=[dict(type="NFKD"), dict(type="StripAccents"), dict(type="Lowercase")])
    yield dict(
        type="Sequence",
        normalizers=[
            dict(type="Precompiled", precompiled_charsmap=charsmap),
            dict(type="Strip", strip_left=False, strip_right=True),
            dict(type="Replace", pattern={"Regex": " {2,}"}, content="▁"),
        ],
    )


def pre_tokenizers():
    flags = [True, False]
    yield from (dict(type=name) for name in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer"))
    yield from (dict(type="Punctuation", behavior=behaviour) for behaviour in BEHAVIOURS)
    yield from (dict(type="Digits", individual_digits=flag) for flag in flags)
    yield from (dict(type="CharDelimiterSplit", delimiter=char) for char in (" ", "_", "漢"))
    yield from (
        dict(type="Split", pattern={"String": text}, behavior=b, invert=i)
        for text in (" ", "an", ".")
        for b in BEHAVIOURS
        for i in flags
    )
    yield from (
        dict(type="Split", pattern={"Regex": regex}, behavior=BEHAVIOURS[n % 5], invert=n % 2 == 0)
        for n, regex in enumerate(PATTERNS)
    )
    yield from (
        dict(type="Split", pattern={"Regex": regex}, behavior=b, invert=i)
        for regex in WORD_PATTERNS.values()
        for b, i in (("Isolated", False), ("Removed", True))
    )
    yield from (
        dict(type="ByteLevel", add_prefix_space=a, trim_offsets=True, use_regex=b) for a in flags for b in flags
    )
    yield from (
        dict(type="Metaspace", replacement="▁", prepend_scheme=scheme, split=split)
        for scheme in ("always", "first", "never")
        for split in flags
    )
    yield from (dict(type="FixedLength", length=length) for length in (1, 3, 5))
    yield from (
        dict(
            type="Sequence",
            pretokenizers=[
                dict(type="WhitespaceSplit"),
                dict(type="Metaspace", replacement="▁", prepend_scheme=scheme, split=True),
            ],
        )
        for scheme in ("always", "first", "never")
    )
    yield dict(
        type="Sequence",
        pretokenizers=[
            dict(type="Punctuation", behavior="Isolated"),
            dict(type="Digits", individual_digits=True),
            dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True),
        ],
    )


def digest(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()[:4]


def part_results(charsmap, texts):
    empty_model = {"type": "BPE", "vocab": {}, "merges": []}
    for part, configs in (("normalizer", normalizers(charsmap)), ("pre_tokenizer", pre_tokenizers())):
        for config in configs:
            tokenizer = Tokenizer.from_str(json.dumps({**EMPTY, "model": empty_model, part: config}))
            if part == "normalizer":
                results = [tokenizer.normalizer.normalize_str(text) for text in texts]
            else:
                results = [[piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] for text in texts]
            yield {"part": part, "config": config, "digests": "".join(map(digest, results))}


# ── whole tokenizers ──


def added(id, content, **more):
    special = more.pop("special", True)
    return {
        "id": id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": not special,
        "special": special,
        **more,
    }


def around(before, after, ids):
    token = lambda text: {"SpecialToken": {"id": text, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [*map(token, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(token, after)],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            text: {
                "id": text,
                "ids": ids[text] if isinstance(ids[text], list) else [ids[text]],
                "tokens": [text] * (len(ids[text]) if isinstance(ids[text], list) else 1),
            }
            for text in {*before, *after}
        },
    }


def letters(*more):
    alphabet = sorted({char for word in WORDS for char in word} | set("abcdefghijklmnopqrstuvwxyz"))
    return [*more, *alphabet]


def word_piece(**options):
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters(),
        *("##" + char for char in letters()),
        "the",
        "quick",
        "brown",
        "fox",
        "##es",
        "jump",
        "##s",
        "hello",
        "world",
        "##ing",
        "serv",
        "model",
        "naive",
        "cafe",
        "日本",
    ]
    return {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {token: id for id, token in enumerate(dict.fromkeys(tokens))},
        **options,
    }


def byte_letters():
    return sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


def bpe(alphabet, pairs, *, first=(), last=(), **options):
    tokens = dict.fromkeys([*first, *alphabet])
    for left, right in pairs:
        prefix = options.get("continuing_subword_prefix") or ""
        tokens[left + right[len(prefix) :]] = None
    tokens.update(dict.fromkeys(last))
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: id for id, token in enumerate(tokens)},
        "merges": [list(pair) for pair in pairs],
        **options,
    }


PAIRS = [
    ("t", "h"),
    ("th", "e"),
    ("a", "n"),
    ("an", "d"),
    ("o", "n"),
    ("e", "l"),
    ("h", "el"),
    ("l", "o"),
    ("hel", "lo"),
    ("a", "b"),
    ("b", "c"),
    ("ab", "c"),
    ("o", "r"),
    ("i", "n"),
    ("in", "g"),
    ("s", "s"),
    ("1", "2"),
    (".", "."),
    ("..", "."),
]
BYTES = ["<0x%02X>" % byte for byte in range(256)]


def unigram(**options):
    pieces = [
        ["<s>", 0.0],
        ["<pad>", 0.0],
        ["</s>", 0.0],
        ["<unk>", 0.0],
        ["▁", -2.0],
        ["▁the", -3.5],
        ["▁a", -3.6],
        ["s", -3.0],
        ["▁serving", -6.0],
        ["▁model", -6.5],
        ["ing", -4.5],
        ["▁hello", -6.25],
        ["he", -5.0],
        ["llo", -5.5],
        ["▁world", -6.0],
        ["fi", -5.0],
        ["ガ", -6.0],
        ["nihon", -7.0],
    ]
    pieces += [[char, -7.0 - n / 64] for n, char in enumerate(letters("é", "σ", "▁▁"))]
    seen = {}
    for token, score in pieces:
        seen.setdefault(token, score)
    return {
        "type": "Unigram",
        "unk_id": 3,
        "vocab": [[token, score] for token, score in seen.items()],
        "byte_fallback": False,
        **options,
    }


BERT_SPECIALS = [added(id, token) for id, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])]
UNI_SPECIALS = [added(id, token) for id, token in enumerate(["<s>", "<pad>", "</s>", "<unk>"])]
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
BERT = {
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "added_tokens": BERT_SPECIALS,
    "post_processor": around(["[CLS]"], ["[SEP]"], {"[CLS]": 2, "[SEP]": 3}),
}


def byte_level(split=None):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": split is None}
    return (
        level
        if split is None
        else {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False},
                level,
            ],
        }
    )


def pipelines(charsmap):
    alphabet = byte_letters()
    spaced = [("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e"), *PAIRS]
    precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    plain = {
        "type": "WordLevel",
        "unk_token": "[UNK]",
        "vocab": {
            token: id for id, token in enumerate(["[UNK]", *dict.fromkeys(WORDS), ",", ".", "!", "'", "a", "don", "t"])
        },
    }
    yield "BERT", {**BERT, "model": word_piece()}
    yield "BERT, cased, with BertProcessing", {
        **BERT,
        "normalizer": {**BERT["normalizer"], "lowercase": False},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": word_piece(),
    }
    yield "WordPiece with short words and another prefix", {
        **BERT,
        "model": word_piece(continuing_subword_prefix="", max_input_chars_per_word=4),
    }
    yield "WordPiece without pre-tokenizer and normalizer", {"model": word_piece()}
    yield "WordPiece of a file without the model's type", {
        **BERT,
        "model": {key: value for key, value in word_piece().items() if key != "type"},
    }
    yield "WordLevel with Whitespace", {"pre_tokenizer": {"type": "Whitespace"}, "model": plain}
    yield "WordLevel with lower-case and punctuation", {
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}],
        },
        "model": plain,
    }
    yield "GPT-2", {
        "pre_tokenizer": byte_level(),
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        "model": bpe(alphabet, spaced, last=["<|endoftext|>"]),
        "added_tokens": [added(256 + len(spaced), "<|endoftext|>")],
    }
    yield "RoBERTa", {
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", 2],
            "cls": ["<s>", 0],
            "trim_offsets": True,
            "add_prefix_space": True,
        },
        "model": bpe(alphabet, spaced, first=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]),
        "added_tokens": [*UNI_SPECIALS, added(4, "<mask>", lstrip=True)],
    }
    yield "Qwen2", {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": byte_level(WORD_PATTERNS["qwen2"]),
        "model": bpe(alphabet, spaced),
        "added_tokens": [added(256 + len(spaced), "<|im_start|>"), added(257 + len(spaced), "<|im_end|>")],
        "post_processor": {
            "type": "Sequence",
            "processors": [
                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
                around([], ["<|im_end|>"], {"<|im_end|>": 257 + len(spaced)}),
            ],
        },
    }
    yield "Llama 3, ignoring merges", {
        "pre_tokenizer": byte_level(WORD_PATTERNS["llama3"]),
        "model": bpe(alphabet, spaced, last=["Ġquick", "Ġfox", "hello"], ignore_merges=True),
    }
    yield "o200k", {"pre_tokenizer": byte_level(WORD_PATTERNS["o200k"]), "model": bpe(alphabet, spaced)}
    yield "Llama 2, bytes for unknown letters", {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "model": bpe(
            [*BYTES, "▁", *letters()],
            PAIRS,
            first=["<unk>", "<s>", "</s>"],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        ),
        "post_processor": around(["<s>"], [], {"<s>": 1}),
        "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
    }
    yield "Llama 2, Metaspace first", {
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        "model": bpe(
            [*BYTES, "▁", *letters()],
            PAIRS,
            first=["<unk>", "<s>", "</s>"],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        ),
        "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>", normalized=True, special=True)],
    }
    yield "Gemma", {
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "model": bpe(
            [*BYTES, "▁", *letters()],
            PAIRS,
            first=["<unk>", "<bos>"],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        ),
        "post_processor": around(["<bos>"], [], {"<bos>": 1}),
    }
    for fuse in (True, False):
        yield f"BPE with unknown letters, fused: {fuse}", {
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "model": bpe(letters(), PAIRS, first=["<unk>"], unk_token="<unk>", fuse_unk=fuse),
        }
        yield f"BPE with some bytes and unknown letters, fused: {fuse}", {
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "model": bpe(
                [*BYTES[:0xE3], *letters()],
                PAIRS,
                first=["<unk>"],
                unk_token="<unk>",
                fuse_unk=fuse,
                byte_fallback=True,
            ),
        }
    yield "BPE that drops unknown letters", {"pre_tokenizer": {"type": "Whitespace"}, "model": bpe(letters(), PAIRS)}
    yield "BPE with dropout 0 and merges as text", {
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {**bpe(letters(), PAIRS, dropout=0.0), "merges": [" ".join(pair) for pair in PAIRS]},
    }
    yield "CLIP, end of word", {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": WORD_PATTERNS["clip"]}, "behavior": "Removed", "invert": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "model": bpe(
            [*alphabet, *(char + "</w>" for char in alphabet)],
            [*PAIRS[:2], ("th", "e</w>"), ("o", "x</w>"), ("f", "ox</w>")],
            first=["<|startoftext|>", "<|endoftext|>"],
            unk_token="<|endoftext|>",
            end_of_word_suffix="</w>",
        ),
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["<|endoftext|>", 1],
            "cls": ["<|startoftext|>", 0],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
    }
    yield "BPE with a prefix inside of words", {
        "pre_tokenizer": {"type": "Whitespace"},
        "model": bpe(
            [*letters(), *("##" + char for char in letters())],
            [("t", "##h"), ("th", "##e"), ("a", "##n"), ("##o", "##n")],
            first=["[UNK]"],
            unk_token="[UNK]",
            continuing_subword_prefix="##",
        ),
    }
    yield "XLM-R", {
        "normalizer": precompiled,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]},
        "model": unigram(),
        "added_tokens": UNI_SPECIALS,
        "post_processor": around(["<s>"], ["</s>"], {"<s>": 0, "</s>": 2}),
    }
    yield "multilingual E5, as its file has it", {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                precompiled,
                {"type": "Strip", "strip_left": False, "strip_right": True},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
            ],
        },
        "pre_tokenizer": {**METASPACE, "prepend_scheme": "first"},
        "model": unigram(),
        "added_tokens": UNI_SPECIALS,
        "post_processor": around(["<s>"], ["</s>"], {"<s>": 0, "</s>": 2}),
    }
    yield "Unigram with bytes for unknown letters", {
        "pre_tokenizer": METASPACE,
        "model": {**unigram(byte_fallback=True), "vocab": [*unigram()["vocab"], *([byte, -20.0] for byte in BYTES)]},
    }
    yield "Unigram without pre-tokenizer", {"model": unigram()}
    yield "added tokens that strip, stand alone, or are normalized", {
        **BERT,
        "model": word_piece(),
        "added_tokens": [
            *BERT_SPECIALS,
            *(
                added(len(word_piece()["vocab"]) + n, token, **more)
                for n, (token, more) in enumerate(
                    [
                        ("lstrip", {"lstrip": True, "special": False, "normalized": False}),
                        ("rstrip", {"rstrip": True, "special": False, "normalized": False}),
                        ("word", {"single_word": True, "special": False, "normalized": False}),
                        ("Norm", {"special": False}),
                        ("ab", {"special": False}),
                        ("abc", {"special": False, "normalized": False}),
                        ("a b", {"single_word": True, "lstrip": True, "rstrip": True}),
                    ]
                )
            ),
        ],
    }
    yield "added tokens, all special and cased, unnormalized", {
        **BERT,
        "model": word_piece(),
        "added_tokens": [
            *BERT_SPECIALS,
            added(len(word_piece()["vocab"]), "NAÏVE", normalized=True),
            added(len(word_piece()["vocab"]) + 1, "café", special=False),
            added(len(word_piece()["vocab"]) + 2, " the", special=False, normalized=False),
        ],
    }
    yield "a template with several tokens of one name", {
        **BERT,
        "model": word_piece(),
        "post_processor": around(["[CLS]", "[MASK]"], ["[SEP]", "[SEP]"], {"[CLS]": [2, 4], "[MASK]": 4, "[SEP]": 3}),
    }
    yield "no special tokens at all", {**BERT, "post_processor": None, "added_tokens": [], "model": word_piece()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--texts", type=int, default=70)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    os.makedirs(options.folder, exist_ok=True)
    charsmap = small_charsmap()
    texts = ["", " ", "a", "▁", "  a", " a ", *(text_of(rng) for _ in range(options.texts))]
    made = f"scripts/tokenizers/fixtures.py, tokenizers {tokenizers.__version__}, seed {options.seed}"

    def write(name, value):
        text = (
            json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            .replace('{"part"', '\n{"part"')
            .replace('{"name"', '\n{"name"')
        )
        with open(os.path.join(options.folder, name), "w", encoding="utf-8") as out:
            out.write(
                text.replace(json.dumps(charsmap), '"CHARSMAP"').replace('["","CHARSMAP"]', json.dumps(charsmap)) + "\n"
            )

    write(
        "parts.json",
        {"made": made, "charsmap": ["", charsmap], "texts": texts, "parts": list(part_results(charsmap, texts))},
    )
    whole = []
    for number, (name, config) in enumerate(pipelines(charsmap)):
        config = {**EMPTY, **config}
        tokenizer = Tokenizer.from_str(json.dumps(config))
        mine = [
            "hello world, the fox",
            "HELLO  the\tnaïve Norm abc wordy word ",
            *rng.sample(texts[6:], min(len(texts) - 6, 10 if options.texts <= 100 else 500)),
        ]
        whole.append(
            {"name": name, "tokenizer": config, "cases": [[text, tokenizer.encode(text).ids] for text in mine]}
        )
    write("pipelines.json", {"made": made, "pipelines": whole})


main()
