// RUN: fovea-opt %s -convert-attn-to-online="cpu=neoverse-n1 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1550 < %t.ll
// RUN: opt %t.ll -mtriple=aarch64-linux-gnu -mcpu=neoverse-n1 -passes="default<O1>" -S | llc -mtriple=aarch64-linux-gnu -mcpu=neoverse-n1 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=CALLS < %t.s

// Registers of four features: four keys meet four rows; meanwhile the block's
// values are fetched, then, unless the rows are others of the item, later keys.
// CHECK-LABEL: decode_run:
// CHECK: // in Loop: Header={{.*}} Depth=7
// CHECK-NOT: Spill
// CHECK-COUNT-16: fmla v{{[0-9]+}}.4s
// CHECK-NOT: Spill
// CHECK: prfm pldl1keep
// CHECK-NEXT: cbnz {{.*}}, .LBB
// A weight times registers of values; the next keys are fetched, then values.
// CHECK: // in Loop: Header={{.*}} Depth=9
// CHECK-NOT: Spill
// CHECK-COUNT-8: fmla v{{[0-9]+}}.4s
// CHECK-NOT: Spill
// CHECK-COUNT-8: fmla v{{[0-9]+}}.4s, v{{[0-9]+}}.4s, v{{[0-9]+}}.s[0]
// CHECK-NOT: Spill
// CHECK: prfm pldl1keep
// CHECK-NEXT: cbnz {{.*}}, .LBB

// CALLS-NOT: {{bl +(exp|mem|fma)}}

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
