"""What the client said it can do, in the words that our handlers ask in."""

from dataclasses import dataclass
from typing import Any

from engram_context.text import Unit
from lsprotocol import types
from pygls.capabilities import get_capability

_UNITS: tuple[Unit, ...] = ("utf-8", "utf-16", "utf-32")


@dataclass(frozen=True, slots=True)
class Client:
    """Every field answers a question of ours; a client that says nothing gets the plain old protocol."""

    name: str = ""
    unit: Unit = "utf-16"
    process_id: int | None = None
    # Text documents
    inline_completion: bool = False
    insert_replace: bool = False
    label_details: bool = False
    markdown: bool = False
    hierarchical_symbols: bool = False
    pulls_diagnostics: bool = False
    related_information: bool = False
    code_descriptions: bool = False
    completion_markdown: bool = False
    signature_markdown: bool = False
    label_offsets: bool = False
    active_parameters: bool = False
    fold_limit: int | None = None
    literal_code_actions: bool = False
    # Workspace edits
    document_changes: bool = False
    change_annotations: bool = False
    renames_files: bool = False
    # Conversation
    progress: bool = False
    configuration: bool = False
    registers_configuration: bool = False
    registers_watchers: bool = False
    refreshes_diagnostics: bool = False
    refreshes_tokens: bool = False
    refreshes_hints: bool = False
    refreshes_lenses: bool = False
    shows_status: bool = False  # our own notification engram/status

    @staticmethod
    def of(params: types.InitializeParams) -> "Client":
        capabilities = params.capabilities

        def has(path: str) -> bool:
            return bool(get_capability(capabilities, path, False))

        def names(path: str) -> list[Any]:
            return list(get_capability(capabilities, path, None) or ())

        operations = names("workspace.workspace_edit.resource_operations")
        signatures = "text_document.signature_help.signature_information"
        return Client(
            name=params.client_info.name if params.client_info else "",
            unit=unit_of(capabilities),
            process_id=params.process_id,
            inline_completion=get_capability(capabilities, "text_document.inline_completion", None) is not None,
            insert_replace=has("text_document.completion.completion_item.insert_replace_support"),
            label_details=has("text_document.completion.completion_item.label_details_support"),
            markdown=types.MarkupKind.Markdown in names("text_document.hover.content_format"),
            hierarchical_symbols=has("text_document.document_symbol.hierarchical_document_symbol_support"),
            pulls_diagnostics=get_capability(capabilities, "text_document.diagnostic", None) is not None,
            related_information=has("text_document.publish_diagnostics.related_information")
            or has("text_document.diagnostic.related_information"),
            code_descriptions=has("text_document.publish_diagnostics.code_description_support")
            or has("text_document.diagnostic.code_description_support"),
            completion_markdown=types.MarkupKind.Markdown
            in names("text_document.completion.completion_item.documentation_format"),
            signature_markdown=types.MarkupKind.Markdown in names(f"{signatures}.documentation_format"),
            label_offsets=has(f"{signatures}.parameter_information.label_offset_support"),
            active_parameters=has(f"{signatures}.active_parameter_support"),
            fold_limit=get_capability(capabilities, "text_document.folding_range.range_limit", None),
            literal_code_actions=get_capability(
                capabilities, "text_document.code_action.code_action_literal_support", None
            )
            is not None,
            # Neovim leaves `documentChanges` out and applies them all the same; file operations exist only in them.
            document_changes=has("workspace.workspace_edit.document_changes") or bool(operations),
            change_annotations=has("text_document.rename.honors_change_annotations")
            and get_capability(capabilities, "workspace.workspace_edit.change_annotation_support", None) is not None,
            renames_files=types.ResourceOperationKind.Rename in operations,
            progress=has("window.work_done_progress"),
            configuration=has("workspace.configuration"),
            registers_configuration=has("workspace.did_change_configuration.dynamic_registration"),
            registers_watchers=has("workspace.did_change_watched_files.dynamic_registration"),
            refreshes_diagnostics=has("workspace.diagnostics.refresh_support"),
            refreshes_tokens=has("workspace.semantic_tokens.refresh_support"),
            refreshes_hints=has("workspace.inlay_hint.refresh_support"),
            refreshes_lenses=has("workspace.code_lens.refresh_support"),
            shows_status=_extension(capabilities, "status"),
        )


def _extension(capabilities: types.ClientCapabilities, name: str) -> bool:
    """Whether the client knows something of ours: `experimental: {"engram": {name: true}}`."""
    ours: Any = capabilities.experimental
    for key in ("engram", name):
        ours = ours.get(key) if isinstance(ours, dict) else getattr(ours, key, None)
    return ours is True


def unit_of(capabilities: types.ClientCapabilities) -> Unit:
    """The first position encoding of the client's list that we know; what the protocol defaults to otherwise."""
    offered = get_capability(capabilities, "general.position_encodings", None) or ()
    for encoding in offered:
        name = str(getattr(encoding, "value", encoding))
        for unit in _UNITS:
            if unit == name:
                return unit
    return "utf-16"
