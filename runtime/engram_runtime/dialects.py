"""How servers are asked for the text between a prefix and a suffix, and how they answer. Pure functions of JSON.

    infill       llama.cpp:               POST /infill with input_prefix and input_suffix
    deepseek     DeepSeek's own service:  POST /beta/completions with prompt and suffix
    suffix       OpenAI's legacy form:    POST /v1/completions with prompt and suffix
    completions  vLLM, SGLang:            POST /v1/completions with a prompt that has DeepSeek's tokens in it as text

vLLM refuses `suffix`; others take it and leave it out of the prompt, which can be seen from the number of tokens that
they count: see `understood`.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from engram_runtime.servers import RemoteError
from engram_runtime.tokenizer import FIM_BEGIN, FIM_END, FIM_HOLE

Kind = Literal["infill", "deepseek", "suffix", "completions"]
Finish = Literal["stop", "length"]

LONGEST_EVENT = 1 << 20
"""Bytes in one event of a stream; more is not an answer to anything that was asked."""

# Statuses that say "not in this way": another one may do.
UNSUPPORTED = frozenset({400, 404, 405, 415, 422, 501})

# Every special token of DeepSeek's looks like this.
_SPECIAL = re.compile(r"<｜([^<>｜\n]{1,40})｜>")
# A version, as in /v1, or DeepSeek's beta: the path under which `completions` lies.
_VERSIONED = re.compile(r"/(?:v\d+|beta)\Z")


@dataclass(frozen=True, slots=True)
class Ask:
    """A gap to be filled, or with `suffix` None a text to be continued. `max_tokens` counts the server's tokens."""

    prefix: str
    suffix: str | None
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer. `log_prob` is None where the server does not tell it, `finish` None while more comes."""

    text: str
    log_prob: float | None
    finish: Finish | None


PROBE = Ask("x = ", "\n" + "y = 1\n" * 20, max_tokens=1)
# With its suffix the probe has more tokens than this in any vocabulary, without it fewer.
_WITH_SUFFIX = 20
_SHORT_PROBE = Ask("x = ", "\n", max_tokens=1)
# The three tokens of the form, the five characters between them, and what a server may add: more than these only
# where the vocabulary spells the names of the tokens out.
_WITHOUT_NAMES = 12


def kinds_for(base: str, wanted: Kind | None = None) -> tuple[Kind, ...]:
    """What to try at an address, the most certain first; only `wanted` where it is known."""
    if wanted is not None:
        return (wanted,)
    host = urlsplit(base).hostname or ""
    if host == "deepseek.com" or host.endswith(".deepseek.com"):
        return ("deepseek",)
    return ("infill", "suffix", "completions")


def url_of(kind: Kind, base: str) -> str:
    """Where a kind is asked; `base` may name the version already, as OpenAI's clients want it."""
    root = _VERSIONED.sub("", base)
    if kind == "infill":
        return f"{root}/infill"
    if kind == "deepseek":
        return f"{root}/beta/completions"
    return f"{base}/completions" if root != base else f"{base}/v1/completions"


def body(kind: Kind, model: str, ask: Ask, *, stream: bool = True) -> dict[str, Any]:
    """The request's JSON. Only fields that every server of the kind takes: some refuse what they do not know."""
    value: dict[str, Any] = {"temperature": ask.temperature, "top_p": ask.top_p, "stream": stream}
    if model:
        value["model"] = model
    if ask.temperature:
        value["seed"] = ask.seed
    if kind == "infill":
        return value | {
            "input_prefix": ask.prefix,
            "input_suffix": ask.suffix or "",
            "n_predict": ask.max_tokens,
            "n_probs": 1,
            "cache_prompt": True,
        }
    value |= {"max_tokens": ask.max_tokens, "logprobs": 1}
    if kind == "completions":
        return value | {"prompt": rendered(ask)}
    return value | {"prompt": ask.prefix} | ({} if ask.suffix is None else {"suffix": ask.suffix})


def rendered(ask: Ask) -> str:
    """The prompt with DeepSeek's tokens written out, in the order that DeepSeek trains (prefix, suffix, middle).

    A file may hold the name of a special token as ordinary text, which the server could not tell from the token: its
    wide bars become ordinary ones.
    """
    prefix = _SPECIAL.sub(r"<|\1|>", ask.prefix)
    if ask.suffix is None:
        return prefix
    suffix = _SPECIAL.sub(r"<|\1|>", ask.suffix)
    return f"{FIM_BEGIN}{prefix}{FIM_HOLE}{suffix}{FIM_END}"


def probes(kind: Kind) -> Ask:
    """What is asked to find out whether a server understands a kind."""
    return _SHORT_PROBE if kind == "completions" else PROBE


def understood(kind: Kind, answer: object) -> str:
    """What is wrong with a server's answer (whole, not streamed) to `probes(kind)`; empty when nothing is."""
    said = piece(kind, answer)
    suffix = probes(kind).suffix or ""
    count = _prompt_tokens(answer)
    if kind in ("suffix", "deepseek") and (said.text.endswith(suffix) or (count is not None and count < _WITH_SUFFIX)):
        return "the suffix is not shown to the model"
    if kind == "completions" and count is not None and count > _WITHOUT_NAMES:
        return "the model does not know DeepSeek's fill-in-the-middle tokens"
    return ""


def piece(kind: Kind, event: object) -> Piece:
    """One event of an answer. Raises RemoteError for what is no such event, and for an error that the server tells."""
    if not isinstance(event, Mapping):
        raise RemoteError("its answer is not of the expected form")
    value = cast("Mapping[str, object]", event)
    if value.get("error"):
        raise RemoteError("it broke off with an error of its own")
    try:
        return _infill(value) if kind == "infill" else _completion(value)
    except (KeyError, TypeError, IndexError, AttributeError) as problem:
        raise RemoteError("its answer is not of the expected form") from problem


def _infill(event: Mapping[str, Any]) -> Piece:
    text: object = event["content"]
    if not isinstance(text, str):
        raise TypeError
    finish: Finish | None = None
    # Without a stream, or at its end, `stop` is true and `stop_type` says why.
    if event.get("stop", True):
        finish = "length" if event.get("stop_type") == "limit" or event.get("stopped_limit") else "stop"
    told = event.get("completion_probabilities") or event.get("probs") or ()
    return Piece(text, _sum([token.get("logprob") for token in told]), finish)


def _completion(event: Mapping[str, Any]) -> Piece:
    choices = event["choices"]
    if not choices:  # an event about usage alone
        return Piece("", None, None)
    choice = choices[0]
    text: object = choice.get("text") or ""
    if not isinstance(text, str):
        raise TypeError
    finish = choice.get("finish_reason")
    told = (choice.get("logprobs") or {}).get("token_logprobs") or ()
    return Piece(text, _sum(told), None if not finish else "length" if finish == "length" else "stop")


def _sum(log_probs: Any) -> float | None:
    known = [min(float(value), 0.0) for value in log_probs if isinstance(value, int | float) and math.isfinite(value)]
    return sum(known) if known else None


def _prompt_tokens(answer: object) -> int | None:
    usage = cast("Mapping[str, Any]", answer).get("usage")
    count = cast("Mapping[str, Any]", usage).get("prompt_tokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and count > 0 else None


class Events:
    """The `data` of server-sent events, from bytes as they arrive. Comments and other fields are left out."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> Iterator[object]:
        """The JSON values of the events that `data` completes; None for the `[DONE]` that ends a stream.

        Raises RemoteError for data that is no JSON, and for an event without an end.
        """
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").partition(b":")
            if field == b"error":
                raise RemoteError("it broke off with an error of its own")
            if field != b"data":
                continue
            if value.strip() == b"[DONE]":
                yield None
            else:
                yield read_json(value)
        if len(self._waiting) > LONGEST_EVENT:
            raise RemoteError("it sends an event without an end")


def read_json(data: bytes) -> object:
    """Raises RemoteError, which quotes nothing of `data`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise RemoteError("its answer is no JSON") from problem


def without_specials(text: str) -> tuple[str, bool]:
    """`text` up to the first special token that a server left in it, and whether there was one: it ends the answer."""
    special = _SPECIAL.search(text)
    return (text[: special.start()], True) if special else (text, False)
