"""What an error says is wrong, in the terms of what could repair it: read from its class and its message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from engram_context.trace.values import Trace

Kind = Literal[
    "attribute",  # `name` is no attribute of `owner`
    "name",  # nothing binds `name`
    "unbound",  # `name` is bound on other paths only
    "import",  # module `owner` has no `name`, or there is no module `name`
    "key",  # `name` is no key
    "index",
    "missing-argument",  # `name` is not given to `owner`
    "extra-argument",  # `owner` takes fewer arguments
    "keyword",  # `owner` has no parameter `name`, or has it already
    "none",  # something is None that should not be
    "unpack",  # the parts of a value are not as many as expected
    "type",  # a value of another type than expected
    "claim",  # a test's assertion does not hold
    "outside",  # the machine, the network or a person: nothing that a change of the project would repair
    "other",
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """`name` and `owner` are those of the message, "" where it says none. `hint` is the name that the interpreter
    itself proposes; `count` how many arguments or parts there are too many (too few if negative), 0 if unknown."""

    kind: Kind
    name: str = ""
    owner: str = ""
    hint: str = ""
    count: int = 0


_OUTSIDE = frozenset((
    "KeyboardInterrupt", "SystemExit", "GeneratorExit", "MemoryError", "ConnectionError", "ConnectionRefusedError",
    "ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError", "TimeoutError", "PermissionError", "gaierror",
    "timeout", "SSLError", "URLError", "HTTPError", "ConnectTimeout", "ReadTimeout", "ConnectError", "ProxyError",
    "BlockingIOError", "InterruptedError", "CancelledError", "Timeout", "Failed", "OperationalError",
    "SSLCertVerificationError",
))  # fmt: skip
"""Errors by the last part of their names."""

_WRAPPED = re.compile(r"\((\w+(?:Error|Exception))\)\Z")
_HINT = re.compile(r"Did you (?:mean|forget to import)(?::)? '(?:self\.)?([^'\n]+)'")
_CALLED = r"(?P<owner>[\w.<>]+)"
_MESSAGES: tuple[tuple[Kind, str, str], ...] = (
    ("none", "TypeError|AttributeError|ValueError", r"\bNoneType\b(?:' object has no attribute '(?P<name>\w+)')?"),
    ("attribute", "AttributeError", r"'(?P<owner>[^']*)'(?: object)? has no attribute '(?P<name>\w+)'"),
    ("attribute", "AttributeError", r"\b(?P<name>[^\W\d]\w*)$"),
    ("unbound", "UnboundLocalError|NameError", r"(?:local|free) variable '(?P<name>\w+)'"),
    ("name", "NameError", r"name '(?P<name>\w+)' is not defined"),
    ("import", "ImportError|ModuleNotFoundError", r"cannot import name '(?P<name>\w+)' from '(?P<owner>[\w.]+)'"),
    ("import", "ImportError|ModuleNotFoundError", r"No module named '(?P<name>[\w.]+)'"),
    ("key", "KeyError", r"\A['\"](?P<name>.*)['\"]\Z"),
    ("key", "KeyError", r""),
    ("index", "IndexError", r""),
    ("keyword", "TypeError", _CALLED + r"\(\) got an unexpected keyword argument '(?P<name>\w+)'"),
    ("keyword", "TypeError", _CALLED + r"\(\) got multiple values for argument '(?P<name>\w+)'"),
    ("keyword", "TypeError", _CALLED + r"\(\) got some positional-only arguments passed .*: '(?P<name>\w+)'"),
    ("keyword", "TypeError", r"'?(?P<name>\w+)'? is an invalid keyword argument for (?P<owner>\w+)"),
    ("missing-argument", "TypeError", _CALLED + r"\(\) missing \d+ required [\w-]+ arguments?: '(?P<name>\w+)'"),
    ("missing-argument", "TypeError", _CALLED + r"\(\) missing required argument '(?P<name>\w+)'"),
    (
        "extra-argument",
        "TypeError",
        _CALLED + r"\(\) takes (?:from \d+ to )?(?P<takes>\d+) positional arguments? but (?P<given>\d+) w",
    ),
    (
        "extra-argument",
        "TypeError",
        _CALLED + r"(?:\(\))? (?:takes|expected) (?:exactly |at most )(?P<takes>\w+) "
        r"(?:positional |keyword )?arguments?,? \(?(?:got )?(?P<given>\d+)",
    ),
    ("extra-argument", "TypeError", _CALLED + r"\(\) takes no (?:keyword )?arguments"),
    (
        "missing-argument",
        "TypeError",
        _CALLED + r"(?:\(\))? (?:takes|expected) at least \w+ (?:positional )?argument",
    ),
    ("unpack", "ValueError", r"(?:not enough|too many) values to unpack"),
    ("unpack", "TypeError", r"cannot unpack non-iterable (?P<owner>\w+) object"),
    ("type", "TypeError", r""),
)
_RULES: tuple[tuple[Kind, str, re.Pattern[str]], ...] = tuple(
    (kind, errors, re.compile(pattern)) for kind, errors, pattern in _MESSAGES
)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "no": 0}


def trouble_of(trace: Trace) -> Trouble:
    """What a Python trace's own error says, or one that it was raised from; "other" for what is not understood."""
    own = _of_one(trace)
    if own.kind != "other":
        return own
    found = [one for other in trace.walk() if (one := _of_one(other)).kind not in ("other", "claim")]
    return found[0] if found else own


def _of_one(trace: Trace) -> Trouble:
    name = trace.error.rpartition(".")[2]
    wrapped = _WRAPPED.search(trace.error)
    if wrapped is not None:
        name = wrapped[1]
    message = trace.message.strip()
    if name in _OUTSIDE or name.endswith(("ConnectionError", "TimeoutError", "Interrupt")):
        return Trouble("outside")
    hint = _HINT.search(message)
    for kind, errors, pattern in _RULES:
        if name not in errors.split("|"):
            continue
        match = pattern.search(message)
        if match is None:
            continue
        found = match.groupdict()
        takes, given = _number(found.get("takes")), _number(found.get("given"))
        count = given - takes if takes is not None and given is not None else 0
        owner = found.get("owner") or ""
        owner = owner if kind == "import" else owner.rpartition(".")[2]
        lacks = kind == "extra-argument" and count < 0
        return Trouble(
            "missing-argument" if lacks else kind, found.get("name") or "", owner, hint[1] if hint else "", count
        )
    if trace.kind == "assertion" or name == "AssertionError":
        return Trouble("claim")
    return Trouble("other", hint=hint[1] if hint else "")


def _number(text: str | None) -> int | None:
    if not text:
        return None
    return int(text) if text.isdigit() else _NUMBERS.get(text)
