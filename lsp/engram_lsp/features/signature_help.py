"""textDocument/signatureHelp"""

from engram_context.text import Text, Unit
from engram_context.views.signatures import Signature, SignatureHelp
from engram_context.views.signatures import signature_help as find
from lsprotocol import types

from engram_lsp import harmless
from engram_lsp.capabilities import Client
from engram_lsp.guard import stale
from engram_lsp.session import Session


async def signature_help(session: Session, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    found = await session.in_background(lambda _: find(asked.snapshot, asked.place))
    if not session.is_current(asked):
        raise stale()
    if found is None:
        return None
    return to_protocol(found, session.client, chosen(found, params.context))


def chosen(found: SignatureHelp, context: types.SignatureHelpContext | None) -> int:
    """The signature to show: the one that the person has turned to, as long as they go on in the same call."""
    before = context.active_signature_help if context is not None and context.is_retrigger else None
    if before is not None and before.active_signature is not None:
        at = before.active_signature
        labels = [signature.label for signature in before.signatures]
        if [one.label for one in found.signatures] == labels and at < len(labels):
            return at if found.signatures[at].active is not None else found.active
    return found.active


def to_protocol(found: SignatureHelp, client: Client, active: int) -> types.SignatureHelp:
    return types.SignatureHelp(
        signatures=[signature(one, client) for one in found.signatures],
        active_signature=active,
        active_parameter=parameter(found.signatures[active]),
    )


def parameter(of: Signature) -> int:
    """An index past the last parameter says that none is active."""
    return len(of.parameters) if of.active is None else of.active


def signature(one: Signature, client: Client) -> types.SignatureInformation:
    label = Text.of(one.label)
    kind = types.MarkupKind.Markdown if client.signature_markdown else types.MarkupKind.PlainText
    doc = harmless.documentation(one.doc) if client.signature_markdown else one.doc
    parameters = [
        types.ParameterInformation(
            (units(label, one.label, each.start, client.unit), units(label, one.label, each.end, client.unit))
            if client.label_offsets
            else one.label[each.start : each.end]
        )
        for each in one.parameters
    ]
    return types.SignatureInformation(
        label=one.label,
        documentation=types.MarkupContent(kind, doc) if doc else None,
        parameters=parameters,
        active_parameter=parameter(one) if client.active_parameters else None,
    )


def units(text: Text, label: str, characters: int, unit: Unit) -> int:
    """A number of a label's characters in the client's unit."""
    return text.position(len(label[:characters].encode("utf-8", "surrogatepass")), unit)[1]
