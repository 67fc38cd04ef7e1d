"""TOML of strangers: `tomllib` takes quadratic time for keys of many parts."""

import re
import tomllib
from typing import Any

_PART = r"(?:[\w-]{1,80}|\"[^\"\n]{0,80}\"|'[^'\n]{0,80}')[ \t]*\.[ \t]*"
_ENDLESS = re.compile(rf"(?m)(?:^|[\[{{,])[ \t]*(?:{_PART}){{40}}")

# Comments and strings, to the end of the text where they have none: nothing is read twice.
_SAID = re.compile(
    r"""#[^\n]*"""
    r"""|\"{3}(?:[^"\\]+|\\.|"{1,2}(?!"))*(?:"{3,5})?"""
    r"""|'{3}(?:[^']+|'{1,2}(?!'))*(?:'{3,5})?"""
    r"""|"(?:[^"\\\n]+|\\[^\n])*"?|'[^'\n]*'?""",
    re.DOTALL,
)


def parsed(text: str) -> dict[str, Any]:
    """Raises ValueError for what is none, and for what nobody writes."""
    if _ENDLESS.search(_SAID.sub(lambda said: "" if said[0][0] == "#" else '""', text)):
        raise ValueError("a key of too many parts")
    try:
        return tomllib.loads(text)
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem
