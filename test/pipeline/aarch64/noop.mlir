// RUN: fovea-opt %s -convert-attn-to-online=cpu=neoverse-n1 -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1500 < %t.ll
// RUN: opt %t.ll -mtriple=aarch64-linux-gnu -mcpu=neoverse-n1 -passes="%cpu_passes" -S | llc -mtriple=aarch64-linux-gnu -mcpu=neoverse-n1 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=CALLS < %t.s

// One step of the scores: a pair of registers of queries, eight elements of keys
// that two multiply-adds share each, sixteen accumulators, no spill.
// CHECK-LABEL: dense_run:
// CHECK: ldp q{{[0-9]+}}, q{{[0-9]+}}, [x{{[0-9]+}}]
// CHECK-NOT: Spill
// CHECK: ld1r { v{{[0-9]+}}.4s }
// CHECK-NOT: Spill
// CHECK-COUNT-16: fmla v{{[0-9]+}}.4s, v{{[0-9]+}}.4s, v{{[0-9]+}}
// CHECK-NOT: {{fmla|Spill|Reload}}
// CHECK: b.{{ne|lt}} .LBB

// Kernels call their own helpers and nothing else.
// CALLS-NOT: bl {{expf|exp2f|memset|memcpy}}

!t = tensor<?x?x?x64xf32>
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
