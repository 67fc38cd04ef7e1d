"""What is advertised only to clients that say they know of it.

Each line names the field of the client's `textDocument` capabilities, the method, who answers it, and what is said
about it. Handlers are imported when they are first needed: a start waits for none of them. What a client does not know
of is answered all the same, should it ask.
"""

import importlib
from collections.abc import Callable
from typing import Any

from lsprotocol import types

from engram_lsp.session import Session

Options = Callable[[], Any]


def _legend() -> types.SemanticTokensLegend:
    from engram_lsp.features.semantic_tokens import LEGEND

    return LEGEND


def _signatures() -> types.SignatureHelpOptions:
    return types.SignatureHelpOptions(trigger_characters=["(", ","], retrigger_characters=[")", "="])


def _plain() -> None:
    return None


ROUTES: tuple[tuple[str, str, str, Options], ...] = (
    ("signature_help", types.TEXT_DOCUMENT_SIGNATURE_HELP, "signature_help.signature_help", _signatures),
    ("document_highlight", types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, "document_highlight.document_highlight", _plain),
    ("declaration", types.TEXT_DOCUMENT_DECLARATION, "declaration.declaration", _plain),
    ("type_definition", types.TEXT_DOCUMENT_TYPE_DEFINITION, "type_definition.type_definition", _plain),
    ("implementation", types.TEXT_DOCUMENT_IMPLEMENTATION, "implementation.implementation", _plain),
    ("folding_range", types.TEXT_DOCUMENT_FOLDING_RANGE, "folding_range.folding_range", _plain),
    ("selection_range", types.TEXT_DOCUMENT_SELECTION_RANGE, "selection_range.selection_range", _plain),
    ("semantic_tokens", types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, "semantic_tokens.full", _legend),
    ("semantic_tokens", types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL_DELTA, "semantic_tokens.delta", _plain),
    ("semantic_tokens", types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, "semantic_tokens.range_", _plain),
    ("call_hierarchy", types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY, "call_hierarchy.prepare", _plain),
    ("call_hierarchy", types.CALL_HIERARCHY_INCOMING_CALLS, "call_hierarchy.incoming", _plain),
    ("call_hierarchy", types.CALL_HIERARCHY_OUTGOING_CALLS, "call_hierarchy.outgoing", _plain),
    ("type_hierarchy", types.TEXT_DOCUMENT_PREPARE_TYPE_HIERARCHY, "type_hierarchy.prepare", _plain),
    ("type_hierarchy", types.TYPE_HIERARCHY_SUPERTYPES, "type_hierarchy.supertypes", _plain),
    ("type_hierarchy", types.TYPE_HIERARCHY_SUBTYPES, "type_hierarchy.subtypes", _plain),
    ("inlay_hint", types.TEXT_DOCUMENT_INLAY_HINT, "inlay_hint.inlay_hint", _plain),
    ("code_lens", types.TEXT_DOCUMENT_CODE_LENS, "code_lens.code_lens", _plain),
    ("code_lens", types.CODE_LENS_RESOLVE, "code_lens.resolve", _plain),
    ("document_link", types.TEXT_DOCUMENT_DOCUMENT_LINK, "document_link.document_link", _plain),
)


def later(name: str) -> Callable[[Session, Any], Any]:
    """A handler by its module in `features` and its name there, imported when it is first asked."""
    module, _, handler = name.partition(".")

    async def answer(session: Session, params: Any) -> Any:
        found = getattr(importlib.import_module(f"engram_lsp.features.{module}"), handler)
        return await found(session, params)

    return answer
