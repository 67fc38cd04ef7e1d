"""Which packages may be trained on: their declared licence must be permissive, or they are refused.

Reads the three places core metadata keeps a licence, the most exact first: `License-Expression` (SPDX, PEP 639),
the `License ::` classifiers, the free-text `License` field.
"""

import re
from email.message import Message
from typing import Final

_PERMISSIVE: Final = re.compile(
    r"^(0BSD|AFL-\d.*|Apache-\d.*|BSD-.*|BSL-1\.0|CC0-1\.0|CNRI-Python.*|HPND.*|ISC|MIT|MIT-.*|MIT-CMU|"
    r"OFL-.*|Python-2\.0(\.1)?|PSF-2\.0|Unlicense|UPL-1\.0|W3C|WTFPL|X11|Zlib|ZPL-2\.\d|LicenseRef-Public-Domain)$",
    re.IGNORECASE,
)
_COPYLEFT_WORDS: Final = re.compile(
    r"\b(A?GPL|LGPL|GNU|MPL|Mozilla|EUPL|CeCILL|EPL|CDDL|copyleft|proprietary|non-?commercial|share-?alike)",
    re.IGNORECASE,
)
_PERMISSIVE_WORDS: Final = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Zope Public|ZPL|Unlicense|Public Domain|CC0|HPND|"
    r"Historical Permission|zlib|X11)\b|Permission is hereby granted, free of charge|"
    r"Redistribution and use in source and binary forms",
    re.IGNORECASE,
)
_COPYLEFT_HEADER: Final = re.compile(
    r"GNU (Lesser |Library |Affero )?General Public|\bA?L?GPL(v?[23]|\b)|Mozilla Public License", re.IGNORECASE
)


def expression_is_permissive(expression: str) -> bool:
    """Whether an SPDX expression can be met with permissive licences alone: any side of an OR, every side of an AND."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    position = 0

    def alternatives() -> bool:
        nonlocal position
        answer = conjunction()
        while position < len(tokens) and tokens[position].upper() == "OR":
            position += 1
            answer = conjunction() or answer
        return answer

    def conjunction() -> bool:
        nonlocal position
        answer = term()
        while position < len(tokens) and tokens[position].upper() == "AND":
            position += 1
            answer = term() and answer
        return answer

    def term() -> bool:
        nonlocal position
        if position >= len(tokens):
            return False
        token = tokens[position]
        position += 1
        if token == "(":
            answer = alternatives()
            position += 1  # the closing parenthesis
            return answer
        answer = bool(_PERMISSIVE.match(token))
        if position < len(tokens) and tokens[position].upper() == "WITH":
            position += 2  # an exception only ever adds permission
        return answer

    return alternatives() and position == len(tokens)


_DEBIAN_NAMES: Final = {
    "apache": "Apache-2.0",
    "expat": "MIT",
    "expat-nginx": "MIT",
    "mit/x11": "MIT",
    "curl": "MIT",
    "postgresql": "MIT",
    "go": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "bsd-like": "BSD-3-Clause",
    "zlib/libpng": "Zlib",
    "libpng": "Zlib",
    "libpng-2.0": "Zlib",
    "public-domain": "LicenseRef-Public-Domain",
    "pd": "LicenseRef-Public-Domain",
    "boost": "BSL-1.0",
    "boost-1.0": "BSL-1.0",
    "bsl-1": "BSL-1.0",
}
"""Short names of Debian's copyright files that SPDX does not know; as permissive as what they are mapped to."""


def debian_licence_is_permissive(name: str) -> bool:
    """Whether the short name of a stanza in a machine-readable `debian/copyright` can be met permissively."""
    expression = re.sub(r"\band/or\b|,\s*and\b", " and ", name, flags=re.IGNORECASE).replace(",", " ")
    expression = re.sub(r"\bwith\s+(\S+)\s+exception\b", r"with \1", expression, flags=re.IGNORECASE)
    words = re.sub(r"[^\s()]+", lambda word: _DEBIAN_NAMES.get(word[0].lower(), word[0]), expression)
    return expression_is_permissive(words)


def permissive_licence(metadata: Message) -> str | None:
    """The declared licence in a few words when it is permissive; None when it is copyleft or unknown."""
    if expression := (metadata.get("License-Expression") or "").strip():
        return expression if expression_is_permissive(expression) else None
    prefix = "License ::"
    classifiers = [
        value.split("::")[-1].strip()
        for value in metadata.get_all("Classifier") or []
        if value.startswith(prefix) and value.split("::")[-1].strip() != "OSI Approved"
    ]
    stated = "; ".join(classifiers)
    if not stated:
        # The field may hold a whole licence: its opening says which, and its body may cite others.
        stated = " ".join((metadata.get("License") or "").split())[:200]
    if _COPYLEFT_WORDS.search(stated) or not _PERMISSIVE_WORDS.search(stated):
        return None
    return stated[:80]


def has_copyleft_header(text: str) -> bool:
    """Whether a file's opening claims another, copyleft licence than its package's."""
    return bool(_COPYLEFT_HEADER.search(text[:3000]))
