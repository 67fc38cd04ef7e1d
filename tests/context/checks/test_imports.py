import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engram_context.checks.catalogue import findings
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.records import empty_record
from fixture import snapshot_of

Check = Callable[..., list[tuple[str, str, str]]]


def test_a_module_that_the_project_does_not_have_is_unresolved(check: Check):
    source = """
    -- pkg/__init__.py --
    -- pkg/app.py --
    from .utl import x
    from . import missing
    from pkg.util import there, absent
    import pkg.util
    import pkg.absent
    from pkg.util.deeper import y
    from ..above import z
    print(x, missing, there, absent, pkg, y, z)
    -- pkg/util.py --
    there = 1
    """
    assert check(source, "unresolved-import", "unknown-import-name") == [
        ("pkg/app.py", "unresolved-import", "utl"),
        ("pkg/app.py", "unknown-import-name", "missing"),
        ("pkg/app.py", "unknown-import-name", "absent"),
        ("pkg/app.py", "unresolved-import", "absent"),
        ("pkg/app.py", "unresolved-import", "deeper"),
        ("pkg/app.py", "unresolved-import", "above"),
    ]


def test_the_message_says_what_was_looked_for_and_offers_the_nearest(
    all_findings: Callable[[str], dict[str, tuple[Finding, ...]]],
):
    found = all_findings(
        """
        -- pkg/__init__.py --
        -- pkg/app.py --
        from .utl import greet
        from .util import gret
        print(greet, gret)
        -- pkg/util.py --
        def greet(): ...
        """
    )["pkg/app.py"]
    assert [finding.message for finding in found] == [
        "no module 'utl': neither pkg/utl.py nor pkg/utl/ exists",
        "'gret' is not in module '.util' (pkg/util.py)",
    ]
    assert [[fix.title for fix in finding.fixes] for finding in found] == [["Change to 'util'"], ["Change to 'greet'"]]
    assert [finding.severity for finding in found] == ["error", "error"]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import nothing_here.at_all\nexcept ImportError:\n    pass\n",
        "try:\n    from json import loads\nexcept Exception:\n    from json.missing import loads\nprint(loads)\n",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import json.missing\n",
        "import sys\nif sys.platform == 'win32':\n    from json import missing_c\n    import json.missing\nelse: pass\n",
        "import third_party\nfrom third_party.deep import thing\nprint(third_party, thing)\n",
        "from . import json\nprint(json)\n-- json.py --\n",
        "from __future__ import annotations\n",
        "from pkg import made\nprint(made)\n-- pkg/__init__.py --\ndef __getattr__(name): ...\n",
        "from pkg import made\nprint(made)\n-- pkg/__init__.py --\nfrom unknown import *\n",
        "from pkg import made\nprint(made)\n-- pkg/__init__.py --\nglobals()['made'] = 1\n",
        "import pkg.made\nprint(pkg)\n-- pkg/__init__.py --\n__path__ = []\n",
        "from pkg import sub, __file__, __doc__\nprint(sub, __file__, __doc__)\n-- pkg/__init__.py --\n-- pkg/sub/__init__.py --\n",
        "from space import leaf\nprint(leaf)\n-- space/leaf.py --\n",
        "from pkg import Maybe\nprint(Maybe)\n-- pkg.py --\nif 1:\n    class Maybe: ...\n",
    ],
)  # fmt: skip
def test_imports_that_work_or_cannot_be_judged_are_let_be(check: Check, source: str):
    assert check(source, "unresolved-import", "unknown-import-name") == []


def test_what_the_standard_library_lacks_is_unresolved(check: Check):
    assert check("import json.decodr\nprint(json)\n") == [("main.py", "unresolved-import", "decodr")]


def test_what_the_environment_lacks_is_a_warning(tmp_path: Path, all_findings: object):
    site = tmp_path / ".venv" / "lib" / "python3.12" / "site-packages"
    (site / "there").mkdir(parents=True)
    (site / "there" / "__init__.py").touch()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("version = 3.12\n")
    environment = Environment.discover(tmp_path)
    snapshot = snapshot_of({"app.py": "import there\nimport absent.part\nimport there.gone\nprint(there, absent)\n"})
    found = findings(snapshot, "app.py", environment)
    assert [(finding.severity, finding.message) for finding in found] == [
        ("warning", "no module 'absent' in the project, the standard library or .venv"),
        ("warning", "no module 'there.gone' in the installed package 'there' (.venv)"),
    ]


def test_compiled_and_ignored_modules_on_disk_count(tmp_path: Path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "_speed.cpython-312-x86_64-linux-gnu.so").touch()
    (tmp_path / "pkg" / "_version.py").touch()
    snapshot = snapshot_of(
        {
            "pkg/__init__.py": "from ._speed import a\nfrom . import _version, _gone\nfrom pkg._version import b\n",
            "x.py": "",
        }
    )
    found = findings(snapshot, "pkg/__init__.py", Environment.discover(tmp_path))
    assert [finding.message for finding in found if "unused" not in finding.code] == [
        "'_gone' is not in module '.' (pkg/__init__.py)"
    ]


def test_a_deleted_module_is_missed_by_those_that_import_it(environment: Environment):
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "x = 1\n",
        "b.py": "from pkg.a import x\nfrom pkg import a\nprint(x, a)\n",
    }
    snapshot = snapshot_of(files)
    assert findings(snapshot, "b.py", environment) == ()
    found = findings(snapshot.after({"pkg/a.py": None}), "b.py", environment)
    assert [finding.code for finding in found] == ["unresolved-import", "unknown-import-name"]


def test_no_import_of_the_standard_librarys_own_packages_is_wrong(environment: Environment):
    root = Path(sys.modules["json"].__file__ or "").parent
    for package in ("json", "email", "logging"):
        sources = sorted((root.parent / package).rglob("*.py"))
        files = {path.relative_to(root.parent).as_posix(): path.read_text(encoding="utf-8") for path in sources}
        snapshot = snapshot_of(files)
        for path in files:
            found = findings(snapshot, path, environment)
            codes = {finding.code for finding in found if finding.severity in ("error", "warning")}
            assert codes <= {"unused-import", "unused-variable"}, path


def test_a_name_that_a_dynamic_module_never_mentions_is_missed_where_it_has_one_much_like_it(check: Check):
    source = """
    -- lib.py --
    def make_text(value): ...
    def __getattr__(name):
        return globals()[f"_{name}"]
    _old_name = 1
    -- app.py --
    from lib import make_texts
    from lib import old_name
    from lib import something_else
    print(make_texts, old_name, something_else)
    """
    assert check(source, "unknown-import-name") == [("app.py", "unknown-import-name", "make_texts")]


def test_methods_and_other_objects_namespaces_make_no_module_dynamic(check: Check):
    source = """
    -- lib.py --
    import sys
    class Lazy:
        def __getattr__(self, name):
            return vars(self).get(name) or self.__dict__ or setattr(self, name, globals().get(name)) or sys.modules[name]
    -- app.py --
    from lib import Eager
    print(Eager)
    """
    assert check(source, "unknown-import-name") == [("app.py", "unknown-import-name", "Eager")]


@pytest.mark.parametrize(
    "source",
    [
        "def __getattr__(name): return name\n",
        "import sys\nsys.modules[__name__] = object()\n",
        "globals()['a' + 'b'] = 1\n",
        "import other\nglobals().update(vars(other))\n",
        "exec('x = 1')\n",
    ],
)
def test_a_module_that_binds_names_in_ways_of_its_own_may_have_any(check: Check, source: str):
    assert check(f"-- lib.py --\n{source}-- app.py --\nfrom lib import it\nprint(it)\n", "unknown-import-name") == []


def test_a_module_of_which_only_the_stub_is_left_is_missed(check: Check):
    source = """
    -- pkg/__init__.py --
    from .more import *
    from .done import two
    from ._compiled import three
    -- pkg/more.pyi --
    one: int
    -- pkg/done.py --
    two = 2
    -- pkg/done.pyi --
    two: int
    -- pkg/_compiled.pyi --
    three: int
    -- pkg/user.pyi --
    from .more import one
    -- stubs/only.pyi --
    from .others import four
    -- stubs/others.pyi --
    four: int
    """
    assert check(source, "unresolved-import") == [("pkg/__init__.py", "unresolved-import", "more")]


def test_stubs_import_from_stubs(check: Check):
    source = """
    -- pkg/__init__.py --
    -- pkg/core.py --
    one = 1
    -- pkg/core.pyi --
    Config = dict[str, int]
    one: int
    -- pkg/more.pyi --
    from .core import Config, one, two
    -- pkg/app.py --
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        from .core import Config
    from .core import Config as Other
    print(Other, "Config")
    """
    assert check(source, "unknown-import-name") == [
        ("pkg/more.pyi", "unknown-import-name", "two"),
        ("pkg/app.py", "unknown-import-name", "Config"),
    ]


def test_what_type_checkers_bring_along_need_not_be_installed_for_types(tmp_path: Path):
    environment = Environment.discover(tmp_path, Path(sys.executable))
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from _typeshed import SupportsRead\n    import nothing_at_all\n"
    snapshot = snapshot_of({"main.py": source, "main2.py": "from _typeshed import SupportsRead\n"})
    found = [
        finding.message.split("'")[1]
        for finding in findings(snapshot, "main.py", environment)
        if finding.code == "unresolved-import"
    ]
    assert found == ["nothing_at_all"]
    assert [one.code for one in findings(snapshot, "main2.py", environment) if one.severity == "warning"] == [
        "unresolved-import"
    ]


@pytest.mark.parametrize(
    "more",
    ["TEXT = (" + " + ".join(['"xxxxxxxxxxxxxxxxxxxxxx"'] * 1600) + ")\n", "DATA = [\n" + "    1,\n" * 12_000],
    ids=["a chain of operators", "a list that is not closed"],
)
def test_what_a_tool_wrote_has_its_names(environment: Environment, more: str):
    main = "from made import useful\n\nuseful()\n"
    snapshot = snapshot_of({"made.py": f"def useful():\n    pass\n\n\n{more}", "main.py": main})
    assert findings(snapshot, "main.py", environment) == ()
    assert {one.code for one in findings(snapshot, "made.py", environment)} <= {"syntax-error"}


def test_who_imports_from_what_took_too_long_to_read_is_not_blamed(environment: Environment):
    files = {"made.py": "x = 1\n" * 5_000, "main.py": "from made import useful\n\nuseful()\n"}
    snapshot = snapshot_of(files)
    record = snapshot.record("made.py")
    assert record is not None
    assert [one.code for one in findings(snapshot, "main.py", environment)] == ["unknown-import-name"]
    alone = empty_record(record.digest, "python", record.size, record.line_count)
    assert findings(snapshot.after({"made.py": alone}), "main.py", environment) == ()
