"""textDocument/hover"""

from engram_context.languages import language_of
from engram_context.views.hover import HoverText
from lsprotocol import types

from engram_lsp import convert, harmless
from engram_lsp.session import Session

# What the languages are called in Markdown.
FENCES = {name: name for name in ("javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp")} | {
    "header": "cpp"
}


async def hover(session: Session, params: types.HoverParams) -> types.Hover | None:
    asked = await session.asked(params.text_document, params.position)
    found = asked and asked.snapshot.hover(asked.place)
    if not asked or not found:
        return None
    shown = contents(found, session.client.markdown, FENCES.get(language_of(asked.path) or "", "python"))
    return types.Hover(shown, convert.range_of(asked.text, found.span, session.unit))


def contents(found: HoverText, markdown: bool, language: str = "python") -> types.MarkupContent:
    if not markdown:
        parts = (found.signature, found.doc, found.module)
        return types.MarkupContent(types.MarkupKind.PlainText, "\n\n".join(part for part in parts if part))
    module = harmless.plain(found.module)
    parts = (harmless.fenced(found.signature, language), harmless.documentation(found.doc), module and f"*{module}*")
    return types.MarkupContent(types.MarkupKind.Markdown, "\n\n".join(part for part in parts if part))
