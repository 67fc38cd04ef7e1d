import pytest
from engram_context.outside.classes import class_members
from engram_context.outside.environment import Environment


@pytest.mark.parametrize(
    ("dotted", "own", "inherited"),
    [
        ("list", "append", "__len__"),
        ("threading.Thread", "daemon", "__init__"),
        ("json.JSONEncoder", "iterencode", "__repr__"),
        ("unittest.TestCase", "assertEqual", "__init__"),
        ("logging.FileHandler", "baseFilename", "setFormatter"),
        ("collections.abc.MutableMapping", "popitem", "keys"),
        ("collections.OrderedDict", "move_to_end", "update"),
    ],
)
def test_members_of_the_librarys_classes_are_seen_through_bases_and_reexports(dotted: str, own: str, inherited: str):
    members = class_members(dotted, Environment.standard())
    assert members is not None
    assert {own, inherited} <= members


@pytest.mark.parametrize("dotted", ["nowhere.Class", "json.nothing", "_io.BytesIO", "", "json"])
def test_what_has_no_source_or_is_no_class_is_not_known(dotted: str):
    assert class_members(dotted, Environment.standard()) is None
