"""Java: packages, nested classes, members by plain names and by declared types."""

from languages_support import check_definition, check_references, check_refused, check_rename, doubts

# --- names --------------------------------------------------------------------------------------------


def test_classes_of_a_package_see_each_other():
    check_references(
        """
        -- src/p/A.java --
        package p;
        class A { $1Util u = new $2Util(); int x = $3Ut$0il.help(); }
        -- src/p/Util.java --
        package p;
        public class $4Util { $5Util() {} static int help() { return 1; } }
        -- src/q/B.java --
        package q;
        import p.$6Util;
        class B extends $7Util {}
        -- src/q/Util2.java --
        package q;
        import p.*;
        class Util2 { $8Util u; }
        -- src/r/C.java --
        package r;
        class C { Util u; }
        """
    )


def test_static_imports_and_nested_classes_are_found():
    check_definition(
        "-- p/U.java --\npackage p;\npublic class U { static void $1help() {} }\n-- q/A.java --\npackage q;\nimport static p.U.help;\nclass A { void f() { $0help(); } }\n"
    )
    check_definition(
        "-- p/U.java --\npackage p;\npublic class U { static void $1help() {} }\n-- q/A.java --\npackage q;\nimport static p.U.*;\nclass A { void f() { $0help(); } }\n"
    )
    check_definition(
        "-- p/U.java --\npackage p;\npublic class U { static class $1In {} }\n-- q/A.java --\npackage q;\nimport p.U.In;\nclass A { $0In x; }\n"
    )
    check_definition(
        "-- p/U.java --\npackage p;\npublic class U { static class $1In {} }\n-- p/A.java --\npackage p;\nclass A { U.$0In x; }\n"
    )


def test_methods_variables_and_types_have_names_of_their_own():
    check_definition(
        "-- A.java --\nclass A { int $1size() { return 1; } int f() { int size = $0size(); return size; } }\n"
    )
    check_definition(
        "-- A.java --\nclass A { int size() { return 1; } int f() { int $1size = size(); return $0size; } }\n"
    )
    check_definition("-- A.java --\nclass A { int $1size; A(int size) { this.$0size = size; } }\n")
    check_definition("-- A.java --\nclass A { int size; A(int $1size) { this.size = $0size; } }\n")


def test_locals_are_bound_by_every_form():
    for statement in (
        "for (int $1i = 0; $0i < 1;) {}",
        "for (String $1s : xs) { $0s.x(); }",
        "try (var $1r = open()) { $0r.x(); }",
        "try {} catch (A | B $1e) { $0e.x(); }",
        "run(($1a, b) -> $0a + b);",
        "run($1c -> $0c);",
        "if (o instanceof String $1s && $0s.x()) {}",
        "if (o instanceof R(int $1q, var w)) { $0q++; }",
    ):
        check_definition("-- A.java --\nclass A { void f(Object o) { " + statement + " } }\n")


# --- members ------------------------------------------------------------------------------------------


def test_members_are_known_by_the_declared_type():
    check_references(
        """
        -- A.java --
        class Base { int $1count; int get() { return $2cou$0nt; } }
        class A extends Base {
            Base made() { return new Base(); }
            void f(Base b, Unknown u) {
                $3count = 1; this.$4count++; b.$5count--; u.count = 1; made().$6count = 2;
                var v = new A(); v.$7count = 3; super.$8count = 4;
                new Base() { void g() { $9count = 1; } };
            }
        }
        """
    )
    check_definition("-- A.java --\nrecord R(int $1x) {}\nclass A { int f(R r) { return r.$0x(); } }\n")
    check_definition("-- A.java --\nenum E { $1ONE; }\nclass A { E e = E.$0ONE; }\n")
    check_definition("-- A.java --\nclass A { void $1m() {} Runnable r = this::$0m; }\n")


# --- rename -------------------------------------------------------------------------------------------


def test_a_class_is_renamed_with_its_constructors_imports_and_file():
    result = check_rename(
        """
        -- src/p/Util.java --
        package p;
        public class $1Ut$0il { $2Util() {} }
        -- src/q/B.java --
        package q;
        import p.$3Util;
        import static p.$4Util.help;
        class B { $5Util u = new $6Util(); }
        """,
        "Tool",
    )
    assert result.moves == (("src/p/Util.java", "src/p/Tool.java"),)


def test_a_method_is_renamed_with_its_overrides_and_its_field_namesake_stays():
    check_rename(
        """
        -- A.java --
        interface I { int $1size(); }
        class A implements I { int size; public int $2si$0ze() { return size; } int f() { return $3size(); } }
        class B extends A { @Override public int $4size() { return super.$5size(); } }
        """,
        "length",
    )


def test_what_may_override_something_from_outside_asks():
    source = "-- A.java --\nclass A extends Outside { @Override void m$0() {} }\n"
    assert doubts(check_rename(source, "n")) == ["a class that it belongs to extends one from outside the project"]
    assert doubts(check_rename("-- A.java --\nclass A { public String to$0String() { return null; } }\n", "n"))


def test_members_of_unknown_objects_ask():
    result = check_rename("-- A.java --\nclass A { int $1$0x; void f(A a) { a.$2x = 1; unknown().x = 2; } }\n", "y")
    assert len(doubts(result)) == 1


def test_renames_that_would_change_a_meaning_are_refused():
    check_refused("-- A.java --\nclass A { int a; int f(int $0b) { return a + b; } }\n", "a", "would mean")
    check_refused("-- A.java --\nclass A { int $0a; int f(int b) { return a + b; } }\n", "b", "would mean")
    check_refused("-- A.java --\nclass A { int $0a; int b; }\n", "b", "already defined")
    check_refused("-- A.java --\nclass A { int $0a; }\n", "class", "keyword")
    check_refused("-- p/A.java --\npackage p;\nclass $0A {}\n-- p/B.java --\npackage p;\nclass B {}\n", "B", "")
    check_refused("-- A.java --\nimport java.util.List;\nclass A { Li$0st x; }\n", "L", "outside the project")
