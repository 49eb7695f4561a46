// The other forms for few queries, within their budget of instructions: pages,
// pairs of bf16, and both.
// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v4 few-queries=true paged=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.pages.ll
// RUN: %python %S/../Inputs/count_instructions.py 1530 < %t.pages.ll
// RUN: sed 's/f32>/bf16>/g' %s > %t.bf16.mlir
// RUN: fovea-opt %t.bf16.mlir -convert-attn-to-online="cpu=znver5 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.pairs.ll
// RUN: %python %S/../Inputs/count_instructions.py 1560 < %t.pairs.ll
// RUN: fovea-opt %t.bf16.mlir -convert-attn-to-online="cpu=znver5 few-queries=true paged=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.both.ll
// RUN: %python %S/../Inputs/count_instructions.py 1590 < %t.both.ll

// What they multiply with, and that pages are looked up.
// RUN: FileCheck %s --check-prefix=PAIRS < %t.both.ll
// RUN: FileCheck %s --check-prefix=PAIRS < %t.pairs.ll
// RUN: FileCheck %s --check-prefix=F32 < %t.pages.ll
// PAIRS: dpbf16ps.512
// F32-NOT: dpbf16ps
// F32: llvm.fma.v16f32

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> !t
  return %o : !t
}
