from engram_context.renames.name_ideas import name_ideas, spelled, spelling_of
from engram_context.renames.prose import words_of
from fixture import parse_fixture


def ideas(source: str) -> list[str]:
    fixture = parse_fixture(source)
    return [idea.name for idea in name_ideas(fixture.snapshot(), fixture.cursor)]


def test_a_name_against_the_projects_habit_is_spelled_like_the_others():
    habit = "".join(f"def read_line_{n}(): ...\n" for n in range(6))
    assert ideas(f"{habit}def read$0File(): ...\n") == ["read_file"]
    assert ideas("class html_$0page: ...\n") == ["HtmlPage"]
    assert ideas(f"{habit}def read_fi$0le(): ...\n") == []


def test_a_variable_is_called_like_the_same_thing_elsewhere():
    found = ideas(
        """
        -- a.py --
        from lib import get_parser
        def f():
            $0x = get_parser()
        def g():
            arg_parser = get_parser()
        def h():
            arg_parser = get_parser()
        """
    )
    assert found == ["arg_parser", "parser"]


def test_an_object_is_called_like_its_class_and_an_element_like_one_of_many():
    assert ideas("class FileReader: ...\n$0q = FileReader()\n") == ["file_reader"]
    assert ideas("def f(entries):\n    for $0e in entries: print(e)\n") == ["entry"]


def test_a_parameter_is_called_like_what_is_passed_for_it():
    found = ideas(
        """
        -- a.py --
        def show($0a, b): ...
        -- b.py --
        from a import show
        def f(user, other):
            show(user, 1)
            show(user, b=2)
            show(other, 2)
        """
    )
    assert found == ["user", "other"]


def test_names_that_are_taken_are_no_ideas():
    assert ideas("class Parser: ...\ndef f():\n    parser = 1\n    $0p = Parser()\n") == []
    assert ideas("import $0os\n") == [] and ideas("x = $0(1)\n") == []


def test_words_go_from_every_style_to_every_style():
    for name in ("read_http_header", "readHttpHeader", "ReadHttpHeader", "READ_HTTP_HEADER"):
        style = spelling_of(name)
        assert style is not None and spelled(words_of(name), style) == name
        assert spelled(words_of(name), "snake") == "read_http_header"
