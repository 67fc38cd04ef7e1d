"""Go: packages are folders, methods belong to their receivers' types."""

from fixture import parse_fixture
from languages_support import check_definition, check_references, check_refused, check_rename, doubts

MODULE = "-- go.mod --\nmodule example.com/mod\n"

# --- names --------------------------------------------------------------------------------------------


def test_the_files_of_a_package_share_their_names():
    check_references(
        """
        -- a.go --
        package main
        func main() { $1helper(1) }
        -- b.go --
        package main
        func $2hel$0per(n int) int { return n }
        -- c_test.go --
        package main_test
        func helper() {}
        -- sub/d.go --
        package main
        func helper() {}
        """
    )


def test_a_variable_is_seen_behind_its_declaration():
    check_definition("-- a.go --\npackage a\nfunc f($1x int) { if true { x := $0x + 1; _ = x } }\n")
    check_definition("-- a.go --\npackage a\nfunc f(x int) { if true { $1x := x + 1; _ = $0x } }\n")
    check_definition("-- a.go --\npackage a\nfunc f(v any) { switch $1s := v.(type) { case int: _ = $0s } }\n")
    check_definition("-- a.go --\npackage a\nfunc f(xs []int) { for _, $1x := range xs { _ = $0x } }\n")
    check_references("-- a.go --\npackage a\nfunc f() { a, $1$0err := g(); b, $2err := g(); _ = $3err }\n")


def test_imports_lead_to_packages_by_the_module_path():
    check_definition(
        MODULE
        + """
-- util/u.go --
package util
func $1New() {}
-- main.go --
package main
import "example.com/mod/util"
func main() { util.$0New() }
"""
    )
    check_definition(
        MODULE
        + '-- util/u.go --\npackage util\nfunc $1New() {}\n-- main.go --\npackage main\nimport u "example.com/mod/util"\nfunc main() { u.$0New() }\n'
    )
    check_definition(
        MODULE
        + '-- util/u.go --\npackage util\nfunc new() {}\n-- main.go --\npackage main\nimport u "example.com/mod/util"\nfunc main() { u.$0new() }\n'
    )


def test_files_for_other_systems_define_the_same_things():
    check_references(
        "-- a_linux.go --\npackage a\nfunc $1run() {}\n-- a_windows.go --\npackage a\nfunc $2r$0un() {}\n-- b.go --\npackage a\nfunc f() { $3run() }\n"
    )


# --- members ------------------------------------------------------------------------------------------


def test_methods_and_fields_are_known_by_the_type():
    check_references(
        """
        -- a.go --
        package a
        type Box struct { $1size int }
        func New() (*Box, error) { return &Box{$2size: 1}, nil }
        -- b.go --
        package a
        type Big struct { Box; name string }
        func (b *Big) Grow(other Box) int {
            box, err := New()
            many := []Box{{size: 1}}
            return b.$3si$0ze + other.$4size + box.$5size + many[0].size
        }
        """
    )


def test_methods_of_generic_types_are_known():
    check_definition(
        "-- a.go --\npackage a\ntype G[K any] struct{}\nfunc (g *G[K]) $1Get(k K) {}\nfunc f() { var g G[int]; g.$0Get(1) }\n"
    )
    check_definition("-- a.go --\npackage a\ntype G[K any] struct{}\nfunc (g *G[$1K]) Get(k $0K) {}\n")


# --- rename -------------------------------------------------------------------------------------------


def test_a_function_is_renamed_in_other_packages_too():
    check_rename(
        MODULE
        + """
-- util/u.go --
package util
// New is new.
func $1New() {}
func init() { $2Ne$0w() }
-- main.go --
package main
import "example.com/mod/util"
func New() {}
func main() { util.$3New(); New() }
""",
        "Make",
    )


def test_a_local_is_renamed_alone():
    check_rename(
        "-- a.go --\npackage a\nfunc f() { $1x$0 := 1; { x := $2x; _ = x }; _ = T{x: $3x} }\ntype T struct { x int }\n",
        "y",
    )


def test_capital_letters_are_not_lost_where_another_package_needs_them():
    source = (
        MODULE
        + '-- util/u.go --\npackage util\nfunc $0New() {}\n-- main.go --\npackage main\nimport "example.com/mod/util"\nfunc main() { util.New() }\n'
    )
    check_refused(source, "make1", "would not be exported")
    check_rename(MODULE + "-- util/u.go --\npackage util\nfunc $1$0New() {}\n", "make1")


def test_methods_that_may_be_an_interface_s_ask():
    source = """
    -- a.go --
    package a
    type Runner interface { Run() }
    type A struct{}
    func (a A) R$0un() {}
    """
    fixture = parse_fixture(source)
    result = check_rename(source, "Go")
    assert doubts(result) and fixture.files


def test_renames_that_would_change_a_meaning_are_refused():
    check_refused(
        "-- a.go --\npackage a\nvar $0x = 1\n-- b.go --\npackage a\nfunc f(y int) int { return x + y }\n",
        "y",
        "would mean",
    )
    check_refused("-- a.go --\npackage a\nvar $0x = 1\n-- b.go --\npackage a\nvar y = 2\n", "y", "would mean")
    check_refused("-- a.go --\npackage a\nvar $0x = 1\n", "func", "keyword")
    check_refused('-- a.go --\npackage a\nimport "fmt"\nfunc f() { fm$0t.Println() }\n', "x", "outside the project")
    check_refused("-- a.go --\npackage a$0\n", "b", "names a package")


def test_the_outline_shows_types_with_their_fields():
    snapshot = parse_fixture(
        "-- a.go --\npackage a\n// T is a T.\ntype T struct { x int }\nfunc (t T) M() {}\nvar V = 1\n"
    ).snapshot()
    tree = snapshot.document_symbols("a.go")
    assert [(node.symbol.kind, node.symbol.name) for node in tree] == [
        ("struct", "T"),
        ("method", "M"),
        ("variable", "V"),
    ]
    assert [child.symbol.name for child in tree[0].children] == ["x"]
    assert tree[0].symbol.doc == "T is a T."
