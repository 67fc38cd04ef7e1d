"""What real editors said they can do."""

import pytest
from engram_lsp.capabilities import Client, unit_of
from lsprotocol import types
from lsprotocol.converters import get_converter
from wire_support import capabilities


def client(editor: str) -> Client:
    params = {"processId": 1, "rootUri": None, "clientInfo": {"name": editor}, "capabilities": capabilities(editor)}
    return Client.of(get_converter().structure(params, types.InitializeParams))


def test_real_editors_are_understood() -> None:
    vscode, neovim, eglot = map(client, ("vscode", "neovim", "eglot"))
    assert (vscode.unit, neovim.unit, eglot.unit) == ("utf-16", "utf-8", "utf-32")
    assert (vscode.inline_completion, neovim.inline_completion, eglot.inline_completion) == (True, True, False)
    assert (vscode.pulls_diagnostics, neovim.pulls_diagnostics, eglot.pulls_diagnostics) == (True, True, False)
    assert (vscode.registers_watchers, neovim.registers_watchers, eglot.registers_watchers) == (True, False, True)
    assert (vscode.change_annotations, neovim.change_annotations, eglot.change_annotations) == (True, True, False)
    # Neovim says so only by its file operations, and can.
    assert vscode.document_changes and neovim.document_changes and eglot.document_changes
    assert (vscode.renames_files, neovim.renames_files, eglot.renames_files) == (True, True, False)
    assert all(editor.progress and editor.configuration for editor in (vscode, neovim, eglot))
    assert all(editor.label_offsets and editor.active_parameters for editor in (vscode, neovim, eglot))
    assert (vscode.signature_markdown, neovim.signature_markdown, eglot.signature_markdown) == (True, True, False)
    assert (vscode.completion_markdown, neovim.completion_markdown, eglot.completion_markdown) == (True, True, False)
    assert (vscode.fold_limit, neovim.fold_limit, eglot.fold_limit) == (5000, None, None)
    assert (vscode.refreshes_hints, neovim.refreshes_hints, eglot.refreshes_hints) == (True, True, False)


def test_a_client_that_says_nothing_gets_the_plain_protocol() -> None:
    silent = Client.of(types.InitializeParams(types.ClientCapabilities()))
    assert silent == Client()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["utf-8"], "utf-8"), (["utf-7", "utf-32", "utf-8"], "utf-32"), (["utf-7"], "utf-16"), ([], "utf-16")],
)
def test_the_first_encoding_that_both_know_is_taken(offered: list[str], chosen: str) -> None:
    said = types.ClientCapabilities(general=types.GeneralClientCapabilities(position_encodings=offered))
    assert unit_of(said) == chosen
