"""C and C++: includes, declarations with their definitions, macros, classes defined in two files."""

from languages_support import check_definition, check_references, check_refused, check_rename, doubts

# --- C ------------------------------------------------------------------------------------------------


def test_a_function_is_one_thing_in_header_and_source():
    check_references(
        """
        -- include/lib.h --
        int $1help(int a);
        #define CALL(x) $2help(x) /* help */
        -- src/lib.c --
        #include "lib.h"
        int $3he$0lp(int a) { return a; }
        -- src/main.c --
        #include <lib.h>
        #include "../include/lib.h"
        int main(void) { return $4help(1); }
        -- other/tool.c --
        static int help(void) { return 1; }
        int main(void) { return help(); }
        """
    )


def test_programs_of_one_repository_do_not_share_what_they_define():
    check_references(
        "-- a.c --\nvoid $1us$0age(void) {}\nint main(void) { $2usage(); }\n-- b.c --\nvoid usage(void) {}\nint main(void) { usage(); }\n"
    )


def test_structs_enums_macros_and_typedefs_are_found():
    header = "-- a.h --\nstruct $1point { int x; };\ntypedef struct point pt;\n"
    check_definition(header + '-- a.c --\n#include "a.h"\nint f(struct $0point *p) { return 0; }\n')
    check_definition(
        '-- a.h --\nstruct p { int $1x; };\n-- a.c --\n#include "a.h"\nint f(struct p *p) { return p->$0x; }\n'
    )
    check_definition(
        '-- a.h --\ntypedef struct { int $1x; } box;\n-- a.c --\n#include "a.h"\nint f(box *p) { return p->$0x; }\n'
    )
    check_definition('-- a.h --\nenum e { $1ONE };\n-- a.c --\n#include "a.h"\nint x = $0ONE;\n')
    check_definition('-- a.h --\n#define $1MAX 3\n-- a.c --\n#include "a.h"\nint x[$0MAX];\n')
    check_definition("-- a.c --\nstruct p { int $1x; };\nstruct p q = { .$0x = 1 };\n")


def test_locals_and_parameters_keep_to_their_blocks():
    check_references("-- a.c --\nint f(int $1$0a, int b) { { int a = 1; b = a; } return $2a; }\nint g(int a);\n")
    check_definition("-- a.c --\nint f(void) { for (int $1i = 0; $0i < 1; i++) {} }\n")
    check_definition("-- a.c --\nint f(int (*$1cb)(int q)) { return $0cb(1); }\n")


def test_an_include_leads_to_its_file():
    check_definition('-- src/a.c --\n#include "sub/$0b.h"\n-- src/sub/b.h --\n$1int x;\n')


# --- C++ ----------------------------------------------------------------------------------------------

CLASS = """
-- box.h --
namespace ns {
class Box : public Base {
 public:
  Box(int n);
  int $1get(int q) const;
 private:
  int size_ = 1;
};
}
"""


def test_a_method_is_one_thing_inside_and_outside_of_its_class():
    check_references(
        CLASS
        + """
-- box.cpp --
#include "box.h"
namespace ns {
Box::Box(int n) : size_(n) {}
int Box::$2g$0et(int q) const { return this->$3get(size_) + $4get(q); }
}
-- main.cpp --
#include "box.h"
using namespace ns;
int main() { Box b(1); auto p = new ns::Box(2); std::unique_ptr<Box> u; return b.$5get(1) + p->$6get(2) + u->$7get(3); }
"""
    )


def test_namespaces_go_on_in_other_files():
    check_definition(
        '-- a.h --\nnamespace ns { int $1g(); }\n-- b.cpp --\n#include "a.h"\nnamespace ns { int f() { return $0g(); } }\n'
    )
    check_references(
        '-- a.h --\nnamespace ns { int $1g(); }\n-- b.cpp --\n#include "a.h"\nint ns::$2$0g() { return 1; }\nint f() { return ns::$3g(); }\n'
    )
    check_definition(
        '-- a.h --\nnamespace ns { int $1g(); }\n-- b.cpp --\n#include "a.h"\nusing ns::g;\nint f() { return $0g(); }\n'
    )


def test_templates_lambdas_and_enum_classes_are_understood():
    check_definition("-- a.cpp --\ntemplate <typename $1T> $0T twice(T t) { return t; }\n")
    check_definition("-- a.cpp --\ntemplate <typename T> T $1twice(T t) { return t; }\nint x = $0twice(1);\n")
    check_definition("-- a.cpp --\nint f() { auto l = [&](int $1q) { return $0q; }; return l(1); }\n")
    check_definition("-- a.cpp --\nenum class E { $1A };\nint f() { return (int)E::$0A; }\n")
    check_definition("-- a.cpp --\ntemplate <class T> struct S { static int $1n; };\nint x = S<int>::$0n;\n")
    check_definition("-- a.cpp --\nint f() { auto [u, $1v] = p(); return $0v; }\n")


# --- rename -------------------------------------------------------------------------------------------


def test_a_function_is_renamed_in_its_header_and_in_macros():
    check_rename(
        """
        -- lib.h --
        int $1help(int a);
        #define CALL(x) $2help(x)
        -- lib.c --
        #include "lib.h"
        /* help */
        int $3he$0lp(int a) { return a; }
        """,
        "aid",
        """
        -- lib.h --
        int aid(int a);
        #define CALL(x) aid(x)
        -- lib.c --
        #include "lib.h"
        /* help */
        int aid(int a) { return a; }
        """,
    )


def test_a_class_is_renamed_with_its_constructors():
    check_rename(
        """
        -- box.h --
        class $1Bo$0x { public: $2Box(int n); ~$3Box(); static $4Box make(); };
        -- box.cpp --
        #include "box.h"
        $5Box::$6Box(int n) {}
        $7Box::~$8Box() {}
        $9Box $10Box::make() { return $11Box(1); }
        """,
        "Crate",
    )


def test_members_of_unknown_objects_ask():
    result = check_rename("-- a.c --\nstruct p { int $1$0x; };\nint f(struct p *p) { return p->$2x + q->x; }\n", "y")
    assert len(doubts(result)) == 1


def test_renames_that_would_change_a_meaning_are_refused():
    check_refused("-- a.c --\nint $0a; int f(int b) { return a + b; }\n", "b", "would mean")
    check_refused("-- a.c --\nint $0a; int b;\n", "b", "already defined")
    check_refused("-- a.c --\nint $0a;\n", "int", "keyword")
    check_refused(
        '-- a.h --\nint b;\n-- a.c --\n#include "a.h"\nint $0a; int f(void) { return a + b; }\n', "b", "would mean"
    )
    check_refused("-- a.c --\nint f(void) { return prin$0tf(1); }\n", "x", "not known")


def test_what_an_include_path_may_show_is_offered():
    check_references("-- lib/own.h --\nint $1f$0(void);\n-- a.c --\n#include <own.h>\nint x = $2f();\n")
    result = check_rename('-- lib/own.h --\nint $1f$0(void);\n-- a.c --\n#include "generated.h"\nint x = f();\n', "g")
    assert doubts(result) == ["'f', which is not known to be bound anywhere"]


def test_variables_behind_a_macro_are_mentions_of_themselves():
    check_references(
        "-- a.c --\nint f(void) {\n  int $1$0n = g();\n  END_THREADS\n\n  if (bad($2n)) { return $3n; }\n  return 0;\n}\n"
    )


def test_what_may_be_an_assignment_behind_a_macro_asks():
    source = (
        "-- a.c --\nint f(void) {\n  int n$0 = 0;\n  while (1) { BEGIN_THREADS n = g(); if (n) { return n; } }\n}\n"
    )
    assert doubts(check_rename(source, "m"))
