"""textDocument/documentSymbol and workspace/symbol"""

from collections.abc import Iterator, Sequence

from engram_context.records import Kind, Symbol
from engram_context.text import Text, Unit
from engram_context.views.symbols import SymbolNode
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.folder import Folder
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session

# More than anyone scrolls through; clients ask again for every letter.
WORKSPACE_LIMIT = 200

KINDS: dict[Kind, types.SymbolKind] = {
    "module": types.SymbolKind.Module,
    "class": types.SymbolKind.Class,
    "function": types.SymbolKind.Function,
    "method": types.SymbolKind.Method,
    "variable": types.SymbolKind.Variable,
    "constant": types.SymbolKind.Constant,
    "parameter": types.SymbolKind.Variable,
    "attribute": types.SymbolKind.Field,
    "import": types.SymbolKind.Module,
    "type-parameter": types.SymbolKind.TypeParameter,
    "type-alias": types.SymbolKind.Class,
    "interface": types.SymbolKind.Interface,
    "struct": types.SymbolKind.Struct,
    "enum": types.SymbolKind.Enum,
    "namespace": types.SymbolKind.Namespace,
}


async def document_symbol(
    session: Session, params: types.DocumentSymbolParams
) -> list[types.DocumentSymbol] | list[types.SymbolInformation] | None:
    asked = await session.asked(params.text_document)
    if asked is None:
        return None
    nodes = asked.snapshot.document_symbols(asked.path)
    if session.client.hierarchical_symbols:
        return [nested(node, asked.text, session.unit) for node in nodes]
    return list(flat(nodes, asked.text, session.unit, asked.document.uri))


def nested(node: SymbolNode, text: Text, unit: Unit) -> types.DocumentSymbol:
    symbol = node.symbol
    return types.DocumentSymbol(
        name=symbol.name,
        kind=KINDS[symbol.kind],
        range=convert.range_of(text, symbol.body, unit),
        selection_range=convert.range_of(text, symbol.span, unit),
        detail=symbol.detail or None,
        children=[nested(child, text, unit) for child in node.children],
    )


def flat(
    nodes: Sequence[SymbolNode], text: Text, unit: Unit, uri: str, container: str | None = None
) -> Iterator[types.SymbolInformation]:
    for node in nodes:
        place = types.Location(uri, convert.range_of(text, node.symbol.body, unit))
        yield types.SymbolInformation(place, node.symbol.name, KINDS[node.symbol.kind], container_name=container)
        yield from flat(node.children, text, unit, uri, node.symbol.name)


async def workspace_symbol(session: Session, params: types.WorkspaceSymbolParams) -> list[types.SymbolInformation]:
    await session.until_listed()
    folders = [(folder, folder.snapshot) for folder in session.folders.values()]

    def find(cancelled: Cancelled) -> list[tuple[Folder, str, Symbol, types.Range]]:
        found: list[tuple[Folder, str, Symbol, types.Range]] = []
        for folder, snapshot in folders:
            if cancelled():
                break
            symbols = snapshot.workspace_symbols(params.query, WORKSPACE_LIMIT)
            texts = {path: snapshot.text(path) for path in {path for path, _ in symbols}}
            for path, symbol in symbols:
                if (text := texts[path]) is not None:
                    found.append((folder, path, symbol, convert.range_of(text, symbol.span, session.unit)))
        return found

    answer = await session.in_background(find)
    uris = {(id(folder), path): session.uri_of(folder, path) for folder, path, _, _ in answer}

    return [
        types.SymbolInformation(
            location=types.Location(uris[id(folder), path], range),
            name=symbol.name,
            kind=KINDS[symbol.kind],
            container_name=path,
        )
        for folder, path, symbol, range in answer
    ]
