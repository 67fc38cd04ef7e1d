"""textDocument/foldingRange"""

from engram_context.views.folding import Fold, FoldKind, folds
from lsprotocol import types

from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session

KINDS: dict[FoldKind, types.FoldingRangeKind] = {
    "comment": types.FoldingRangeKind.Comment,
    "imports": types.FoldingRangeKind.Imports,
    "region": types.FoldingRangeKind.Region,
}


async def folding_range(session: Session, params: types.FoldingRangeParams) -> list[types.FoldingRange] | None:
    asked = await session.asked(params.text_document, behind=True)  # the tree is read here
    if asked is None:
        return None

    def find(_: Cancelled) -> tuple[Fold, ...]:
        tree = asked.folder.holder.tree(asked.path, asked.text)
        return () if tree is None else folds(tree, asked.text, session.client.fold_limit)

    found = await session.in_background(find)
    if not session.is_current(asked):
        raise stale()
    return [types.FoldingRange(one.start, one.end, kind=None if one.kind is None else KINDS[one.kind]) for one in found]
