"""What the wheel and the source distribution take along besides what is listed in pyproject.toml."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The extension is made by npm (`make vsix`): whoever builds without it gets a package without it.
_VSIX = "editors/vscode/engram-ls.vsix"


class Clients(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable" and (Path(self.root) / _VSIX).is_file():
            inside = "engram_lsp/clients/vscode/engram-ls.vsix" if self.target_name == "wheel" else _VSIX
            build_data["force_include"][_VSIX] = inside
