import json
import sys
from pathlib import Path

import pytest
from engram_context.outside.environment import Environment


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def no_active_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site-packages of a virtual environment inside the project `tmp_path / "project"`."""
    venv = tmp_path / "project" / ".venv"
    write(venv / "pyvenv.cfg", f"home = {tmp_path / 'nowhere' / 'bin'}\nversion = 3.12.1\n")
    folder = venv / "lib" / "python3.12" / "site-packages"
    folder.mkdir(parents=True)
    return folder


def discover(site: Path) -> Environment:
    return Environment.discover(site.parents[3])


def test_the_standard_library_is_known_without_any_environment(tmp_path: Path):
    environment = Environment.discover(tmp_path)
    for module in ("os", "os.path", "sys", "json.decoder", "xml.etree.ElementTree", "concurrent.futures", "_io"):
        assert environment.has_module(module) is True, module
    for module in ("os.nope", "json.nope", "xml.etree.nope", "sys.nope", "concurrent.nope"):
        assert environment.has_module(module) is False, module


def test_modules_that_only_some_pythons_have_are_never_called_missing(tmp_path: Path):
    environment = Environment.discover(tmp_path)
    for module in ("imp", "distutils.core", "asyncore", "compression.zstd", "annotationlib", "test.support"):
        assert environment.has_module(module) is not False, module


def test_every_standard_module_of_the_running_python_is_found(tmp_path: Path):
    environment = Environment.discover(tmp_path)
    assert all(environment.has_module(name) for name in sys.stdlib_module_names)


def test_without_an_environment_third_party_modules_cannot_be_known(tmp_path: Path):
    environment = Environment.discover(tmp_path)
    assert environment.has_module("requests") is None
    assert environment.has_module("requests.adapters") is None
    assert not environment.exhaustive


def test_installed_packages_modules_and_extensions_are_found_and_others_are_missing(site: Path):
    write(site / "pkg" / "__init__.py")
    write(site / "pkg" / "part.py")
    write(site / "pkg" / "_fast.cpython-312-x86_64-linux-gnu.so")
    write(site / "single.py")
    write(site / "space" / "inner" / "leaf.py")
    environment = discover(site)
    assert environment.label == ".venv"
    assert environment.version == (3, 12)
    for module in ("pkg", "pkg.part", "pkg._fast", "single", "space", "space.inner.leaf"):
        assert environment.has_module(module) is True, module
    for module in ("absent", "absent.part", "pkg.absent", "pkg.part_", "space.absent", "pkg..part", ""):
        assert environment.has_module(module) is False, module


def test_a_module_below_a_plain_module_cannot_be_known(site: Path):
    write(site / "six.py")
    assert discover(site).has_module("six.moves") is None


def test_a_package_that_makes_modules_itself_is_not_judged_by_its_files(site: Path):
    write(site / "magic" / "__init__.py", "import sys\nsys.modules[__name__ + '.extra'] = object()\n")
    write(site / "extended" / "__init__.py", "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
    assert discover(site).has_module("magic.extra") is None
    assert discover(site).has_module("extended.extra") is None


def test_plain_paths_of_pth_files_are_followed_and_code_in_them_is_not(site: Path, tmp_path: Path):
    write(tmp_path / "elsewhere" / "src" / "linked" / "__init__.py")
    write(tmp_path / "old" / "egg_linked.py")
    write(site / "_linked.pth", f"# comment\n\n{tmp_path / 'elsewhere' / 'src'}\n")
    write(site / "evil.pth", "import os; os.environ['ENGRAM_TEST_RAN'] = '1'\n")
    write(site / "old.egg-link", f"{tmp_path / 'old'}\n.\n")
    write(site / "gone.pth", "/this/folder/does/not/exist\n")
    environment = discover(site)
    assert environment.has_module("linked") is True
    assert environment.has_module("egg_linked") is True
    assert environment.has_module("absent") is False


def test_setuptools_finders_are_read_as_literals(site: Path, tmp_path: Path):
    write(tmp_path / "code" / "hooked" / "__init__.py")
    write(tmp_path / "code" / "hooked" / "part.py")
    mapping = {"hooked": str(tmp_path / "code" / "hooked")}
    write(site / "__editable___hooked_1_0_finder.py", f"import sys\nMAPPING: dict[str, str] = {mapping!r}\n")
    environment = discover(site)
    assert environment.has_module("hooked") is True
    assert environment.has_module("hooked.part") is True
    assert environment.has_module("hooked.absent") is False
    assert environment.find_module("hooked.part") == tmp_path / "code" / "hooked" / "part.py"


def test_an_editable_install_that_cannot_be_read_makes_its_names_unknown(site: Path):
    write(site / "Odd_Build-1.0.dist-info" / "direct_url.json", json.dumps({"dir_info": {"editable": True}}, indent=1))
    write(site / "legacy-2.dist-info" / "top_level.txt", "legacy_top\n")
    environment = discover(site)
    assert environment.has_module("odd_build") is None
    assert environment.has_module("legacy_top.part") is None
    assert environment.has_module("absent") is False


def test_stubs_alone_neither_prove_nor_deny_a_module(site: Path):
    write(site / "yaml-stubs" / "__init__.pyi")
    assert discover(site).has_module("yaml") is None


def test_the_project_environment_wins_over_the_active_one(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = tmp_path / "other"
    write(other / "pyvenv.cfg", "version = 3.11\n")
    write(other / "lib" / "python3.11" / "site-packages" / "only_there.py")
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    assert discover(site).has_module("only_there") is False
    assert Environment.discover(tmp_path / "unrelated").has_module("only_there") is True
    assert Environment.discover(tmp_path / "unrelated").has_module("absent") is False


def test_a_configured_interpreter_wins_over_everything(site: Path, tmp_path: Path):
    other = tmp_path / "other"
    write(other / "pyvenv.cfg", "version = 3.11\n")
    python = write(other / "bin" / "python")
    write(other / "lib" / "python3.11" / "site-packages" / "only_there.py")
    root = site.parents[3]
    assert Environment.discover(root, python).has_module("only_there") is True
    assert Environment.discover(root, other).has_module("only_there") is True
    assert Environment.discover(root, tmp_path / "missing").has_module("only_there") is False


def test_what_the_servers_own_environment_lacks_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    environment = Environment.discover(tmp_path)
    assert environment.has_module("pytest") is True
    assert environment.has_module("surely_not_installed") is None


def test_a_windows_environment_is_read(tmp_path: Path):
    venv = tmp_path / "venv"
    write(venv / "pyvenv.cfg", "home = C:\\Python312\nversion = 3.12.0\n")
    write(venv / "Lib" / "site-packages" / "winpkg" / "__init__.py")
    environment = Environment.discover(tmp_path)
    assert environment.has_module("winpkg") is True
    assert environment.has_module("absent") is False


def test_a_nested_project_uses_the_environment_of_its_repository_and_no_other(site: Path, tmp_path: Path):
    write(site / "shared.py")
    root = site.parents[3]
    nested = root / "services" / "api"
    nested.mkdir(parents=True)
    assert Environment.discover(nested).has_module("shared") is None
    (root / ".git").mkdir()
    assert Environment.discover(nested).has_module("shared") is True


def test_module_names_list_the_top_level_and_packages(site: Path):
    write(site / "pkg" / "__init__.py")
    write(site / "pkg" / "part.py")
    write(site / "pkg-1.0.dist-info" / "METADATA")
    environment = discover(site)
    assert {"pkg", "os", "json"} <= set(environment.module_names())
    assert "pkg-1" not in environment.module_names()
    assert environment.module_names("pkg") == ("part",)
    assert "decoder" in environment.module_names("json")
    assert environment.module_names("absent") == ()


def test_unreadable_configuration_is_no_environment(tmp_path: Path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_bytes(b"\xff\xfe\x00garbage")
    environment = Environment.discover(tmp_path)
    assert environment.has_module("os") is True
    assert environment.has_module("requests") is None
