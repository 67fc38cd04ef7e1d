"""Which names a symbol could have instead."""

from engram_context.renames.rename import RenameTarget, rename_target
from engram_lsp.renaming import combined
from fixture import parse_fixture


def test_what_the_model_expects_must_be_a_name() -> None:
    fixture = parse_fixture("def f(count, __):\n    $0first = 1\n    return first\n")
    target = rename_target(fixture.snapshot(), fixture.cursor)
    assert isinstance(target, RenameTarget)
    names = combined(
        (),
        (
            ("return", -0.1),
            ("None", -0.2),
            ("first", -0.3),
            ("__", -0.4),
            ("_count", -0.5),
            ("cou", -0.6),
            ("count", -2.0),
        ),
        target,
        fixture.snapshot(),
    )
    assert [one.name for one in names] == ["count"]
    assert combined((), (("count", -2.0),), target, fixture.snapshot(), {"count"}) == []
