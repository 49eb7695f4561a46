"""Kernels that -convert-online-to-cpu refuses, each one edit away from a right one.

A case is a name, the message, the beginning of the line that it is reported at,
and edits (old, new) of the kernel.
"""

from pathlib import Path

KERNEL = (Path(__file__).parent / "kernel.mlir.in").read_text()

WIDE = "m = 192, n = 256, lanes = 16, exact = false, index_bits = 32"
FEW = "m = 32, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 16)"
ARGUMENTS = (
    "arguments of a kernel must be q…, k…, v, captures…, scale…, offsets, lengths"
    " [, block mask], out [, lse]; "
)
SEGMENTS = ", ".join(["[%c0, %n) full"] * 65)
TOO_MANY = "has more than 64 segments, got 65", "    %w ="
WIDE_CASES = [
    ("segments", *TOO_MANY, [("[%c0, %n) full", SEGMENTS)]),
    ("lanes", "schedule's lanes must fill 16, 32 or 64 bytes with scores of 4 bytes, got 2",
     "  online.grid", [("lanes = 16", "lanes = 2")]),
    ("pairs", "schedule's pairs need bf16 inputs, f32 scores and 16 lanes",
     "  online.grid", [("_bits = 32", "_bits = 32, pairs = true")]),
    ("rows", "schedule's m must be a positive multiple of 16, got 100",
     "  online.grid", [("<m = 192", "<m = 100")]),
    ("keys", "schedule's n must be a positive multiple of 16, got 40",
     "  online.grid", [("n = 256", "n = 40")]),
    ("no_schedule", "needs a #online.cpu_schedule",
     "  online.grid", [(f" schedule(#online.cpu_schedule<{WIDE}>)", "")]),
    ("taken", "cannot be lowered: the module has a symbol 'taken_run' already",
     "func.func", [("func.func", "llvm.func @taken_run()\nfunc.func")]),
    ("two_inits", "appears twice, which the CPU target does not lower", "    %i2 =",
     [("    %s =", "    %i2 = online.init normalizer #attn.softmax at(%bi, %bi, %m0)"
       " : <192x64xf32, t, l>\n    %s =")]),
    ("slice", "walk is not lowered by the CPU target", "    %s =",
     [("    %i =", "    %w2 = online.walk.slice %w part(%c0 of %rows)\n    %i ="),
      ("in %w ", "in %w2 ")]),
    ("unscaled", "is not supported in scalar code by the CPU target", "    %ev =",
     [("    %i =", "    %ev = vector.broadcast %c : f32 to vector<1xf32>\n"
       "    %e = vector.extract %ev[0] : f32 from vector<1xf32>\n    %i ="),
      ("scale(%c ", "scale(%e ")]),
    ("not_argument", "source must be an argument of the function", "    %K =",
     [("    %K =", "    %k2 = memref.cast %k : !t to !t\n    %K ="), ("%k[%b", "%k2[%b")]),
    ("scores", "is not supported in scalar code by the CPU target", "      %z =",
     [("      %p =", "      %z = tensor.empty() : tensor<192x256xf32>\n      %p ="),
      ("step %a, %x", "step %a, %z")]),
    ("foreign_scores", "scores must be computed from the dots of the sweep by online.map"
     " and elementwise arith", "      %s1 =",
     [("%c: f32", "%z4: memref<?x?x?x256xf32>, %c: f32"),
      ("    %w =", "    %Z = online.view %z4[%b, %h] : memref<?x?x?x256xf32> -> <?x256xf32>\n"
       "    %w ="),
      ("      %p =", "      %z = online.load %Z[%m0] : <?x256xf32> -> tensor<192x256xf32>\n"
       "      %p ="), ("step %a, %x", "step %a, %z")]),
    ("store", "must store a result of online.finish", "    online.store",
     [("store %o,", "store %qt,")]),
    ("not_stored", "result is not stored", "    %o =",
     [("    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>\n", "")]),
    ("diagonal", "of kind diag is not lowered by the CPU target", "      %g =",
     [("      %p =", "      %g = online.map diag(%m0, %n0) {\n      ^bb0(%d: i64):\n"
       "        online.yield %c : f32\n      } {columns = 256 : i64} -> tensor<447xf32>\n"
       "      %p =")]),
    ("foreign_walk", "walk is not lowered by the CPU target", "    %s =",
     [("    %i =", "    %yes = arith.constant true\n"
       "    %w2 = arith.select %yes, %w, %w : !online.walk\n    %i ="), ("in %w ", "in %w2 ")]),
    ("no_dot", "has no online.dot", "    %s =",
     [("%x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>,"
       " tensor<256x64xf32> ->", "%x = tensor.empty() :")]),
    ("contracted", "must contract [1, 1] on the CPU target", "      %y =",
     [("      %p =", "      %y = online.dot %kt, %vt contract [0, 0] : tensor<256x64xf32>,"
       " tensor<256x64xf32> -> tensor<64x64xf32>\n      %p =")]),
    ("not_loaded", "operand must come from an online.load on the CPU target",
     "      %x =", [("      %x =", "      %ke = tensor.empty() : tensor<256x64xf32>\n"
       "      %x ="), ("dot %qt, %kt", "dot %qt, %ke")]),
    ("foreign_view", "needs an online.view on the CPU target", "      %kt =",
     [("    %i =", "    %yes = arith.constant true\n"
       "    %K2 = arith.select %yes, %K, %V : !online.view<?x64xf32>\n    %i ="),
      ("%K[%n0]", "%K2[%n0]")]),
    ("foreign_result", "needs an online.view on the CPU target", "    online.store",
     [("    %i =", "    %yes = arith.constant true\n"
       "    %O2 = arith.select %yes, %O, %V : !online.view<?x64xf32>\n    %i ="),
      ("%O[%m0]", "%O2[%m0]")]),
    ("foreign_mask", "visible() must be an online.mask", "      %s1 =",
     [("      %p = online.mask at(%m0, %n0) class(%cls) :", "      %p = tensor.empty() :")]),
    ("two_blocks", "must have one block to be lowered to a CPU kernel", "func.func",
     [("  return\n", "  llvm.br ^bb1\n^bb1:\n  return\n")]),
    ("unknown_bound", "bound is not scalar code of the arguments", "  online.grid",
     [("in (%B, %B, %B)", "in (%B, %B, %z)"),
      ("  online.grid", "  %z = scf.execute_region -> index {\n"
       "    scf.yield %B : index\n  }\n  online.grid")]),
    ("types", "queries, keys and values must have one element type on the CPU target",
     "      %x =", [("%v: !t", "%v: memref<?x?x?x64xf16>"),
      ("%v[%b, %h] : !t -> <?x64xf32>", "%v[%b, %h] : memref<?x?x?x64xf16> -> <?x64xf16>"),
      ("%vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>",
       "%vt = online.load %V[%n0] : <?x64xf16> -> tensor<256x64xf16>"),
      ("tensor<192x256xf32>, tensor<256x64xf32>\n", "tensor<192x256xf32>, tensor<256x64xf16>\n")]),
    ("pages", "has pages, which the CPU target reads with a schedule with split alone",
     "    %V =", [("%V = online.view %v[%b, %h] : !t -> <?x64xf32>",
       "%V = online.view %v[%h] pages(%ko : !p) : !t -> <?x64xf32, paged>"),
      ("%V[%n0] : <?x64xf32>", "%V[%n0] : <?x64xf32, paged>")]),
    ("one_index", "must be of one (batch, head) on the CPU target", "    %K =",
     [("%c: f32", "%x3: memref<?x?x64xf32>, %c: f32"),
      ("%k[%b, %h] : !t", "%x3[%b] : memref<?x?x64xf32>")]),
]  # fmt: skip

FEW_CASES = [
    ("few_segments", *TOO_MANY,
     [("    %K =", "    %g = arith.divui %h, %B : index\n    %K ="),
      ("%k[%b, %h]", "%k[%b, %g]"), ("%v[%b, %h]", "%v[%b, %g]"),
      ("[%c0, %n) full", SEGMENTS)]),
    ("few_wide", "schedule's wide must be at least 4 and fill 16, 32 or 64 bytes with"
     " scores of 4 bytes, got 2", "  online.grid", [("wide = 16", "wide = 2")]),
    ("few_lanes", "schedule's lanes must be 4 with split, got 8",
     "  online.grid", [("lanes = 4", "lanes = 8")]),
    ("few_split", "schedule's split must be a multiple of n (64), got 100",
     "  online.grid", [("split = 1024", "split = 100")]),
    ("one_row", "schedule's m may be 1 with split where wide fills 32 or 64 bytes and a"
     " query 1024 at most", "  online.grid", [("<m = 32", "<m = 1"), ("wide = 16", "wide = 4")]),
    ("few_bounds", "must have bounds (batch, head, query tile) for a schedule with split",
     "  online.grid", [("%mt) in (%B,", "%mt, %e) in (%B, %B,")]),
    ("few_views", "must have the indices (batch, head), of keys and values (batch, head"
     " divui heads a key head), for a schedule with split", "    %V =", []),
    ("few_pages", "must have the row of its batch in a page table that is an argument, one"
     " for all views, on the CPU target", "    %V =",
     [("    %K =", "    %g = arith.divui %h, %B : index\n    %K ="),
      ("%k[%b, %h]", "%k[%b, %g]"),
      ("%V = online.view %v[%b, %h] : !t -> <?x64xf32>",
       "%V = online.view %v[%g] pages(%qo : !p) : !t -> <?x64xf32, paged>"),
      ("%V[%n0] : <?x64xf32>", "%V[%n0] : <?x64xf32, paged>")]),
]  # fmt: skip

TILE_CASES = [
    ("tiles", "schedule's amx needs m and n to be multiples of 32, got 48 and 256",
     "  online.grid", []),
]  # fmt: skip

FEW_TILE_CASES = [
    ("few_tile_lanes", "schedule's lanes must be 8 with split and amx, got 4",
     "  online.grid", [("lanes = 8", "lanes = 4")]),
    ("few_tile_rows", "schedule's m may not be 1 with amx",
     "  online.grid", [("<m = 32", "<m = 1")]),
]  # fmt: skip

ARGUMENT_CASES = [
    ("no_scale", "found no scale", "%a: index"),
    ("few_tensors", "too few tensors before the scales", "%q: !t, %k: !t, %c: f32"),
    ("rank", "argument 1 is not a memref of rank 4", "%q: !t, %k: !p, %v: !t, %c: f32"),
    ("capture", "argument 3 is not a memref",
     "%q: !t, %k: !t, %v: !t, %x: tensor<4xf32>, %c: f32"),
    ("offsets", "argument 5 is not a memref of rank 1",
     "%q: !t, %k: !t, %v: !t, %c: f32, %a: !p, %b: !t, %d: !p, %e: !p, %o: !t"),
    ("no_out", "argument 8 is not a memref of rank 4, which out is",
     "%q: !t, %k: !t, %v: !t, %c: f32, %a: !p, %b: !p, %d: !p, %e: !p, %o: f32"),
    ("more", "argument 9 is one too many",
     "%q: !t, %k: !t, %v: !t, %c: f32, %a: !p, %b: !p, %d: !p, %e: !p, %o: !t, %x: !p"),
]  # fmt: skip

EMPTY = """\
!t = memref<?x?x?x64xf32>
!p = memref<?xi64>
func.func @NAME(ARGUMENTS) {
  %n = arith.constant 1 : index
  online.grid (%i) in (%n) {
  }
  return
}
"""
RIGHT_ARGUMENTS = (
    "%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %o: !t"
)


def at(text: str, line: str, message: str) -> str:
    """The text with an expectation of the message above the line."""
    lines = text.splitlines(keepends=True)
    places = [i for i, each in enumerate(lines) if each.startswith(line)]
    assert len(places) == 1, (line, text)
    lines.insert(places[0], f"// expected-error @below {{{{{message}}}}}\n")
    return "".join(lines)


def edited(text: str, edits: list[tuple[str, str]]) -> str:
    for old, new in edits:
        assert old in text, (old, text)
        text = text.replace(old, new)
    return text


def kernel(name: str, rows: int, keys: int, schedule: str, element: str = "f32") -> str:
    return edited(
        KERNEL,
        [("NAME", name), ("MROWS", str(rows)), ("NKEYS", str(keys)),
         ("SCHEDULE", schedule), ("ELEMENT", element)],
    )  # fmt: skip


def modules() -> list[str]:
    texts = []
    tiles = WIDE.replace("192", "48") + ", pairs = true, amx = true"
    few_tiles = FEW.replace("lanes = 4", "lanes = 8").replace(
        " few", ", pairs = true, amx = true few"
    )
    for cases, *shape in (
        (WIDE_CASES, 192, 256, WIDE),
        (FEW_CASES, 32, 64, FEW),
        (TILE_CASES, 48, 256, tiles, "bf16"),
        (FEW_TILE_CASES, 32, 64, few_tiles, "bf16"),
    ):
        for name, message, line, edits in cases:
            texts.append(at(edited(kernel(name, *shape), edits), line, message))
    for name, message, arguments in ARGUMENT_CASES:
        text = edited(EMPTY, [("NAME", name), ("ARGUMENTS", arguments)])
        texts.append(at(text, "func.func", ARGUMENTS + message))
    text = edited(EMPTY, [("NAME", "no_sweep"), ("ARGUMENTS", RIGHT_ARGUMENTS)])
    no_sweep = "has no online.sweep, which the CPU target needs"
    texts.append(at(text, "  online.grid", no_sweep))
    return texts


print("\n// -----\n\n".join(modules()))
