"""nested.py KIND DEPTH: MLIR text with something so many times within itself."""

import sys

kind, depth = sys.argv[1], int(sys.argv[2])
print(
    {
        "modules": "module {\n" * depth + "}\n" * depth,
        "tuples": f"func.func private @f({'tuple<' * depth}i64{'>' * depth})",
        "arrays": f"module attributes {{a.b = {'[' * depth}{']' * depth}}} {{}}",
        "locations": f'module {{}} loc({"fused[" * depth}"a"{"]" * depth})',
        "affine": f"#m = affine_map<(d0) -> ({'(' * depth}d0{')' * depth})>",
        "signs": f"#m = affine_map<(d0) -> ({'- ' * depth}d0)>",
        # What no bracket is.
        "strings": f'module attributes {{a.b = "{"[" * depth}"}} {{}}',
        "comments": f"// {'[' * depth}\nmodule {{}}",
        "arrows": "".join(f"func.func private @f{i}() -> i64\n" for i in range(depth)),
        "comparisons": "".join(
            f"#s{i} = affine_set<(d0) : (d0 >= 0, -d0 + 9 >= 0)>\n"
            for i in range(depth)
        ),
    }[kind]
)
