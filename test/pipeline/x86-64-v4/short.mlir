// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v4 schedule=m=16" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1500 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 | FileCheck %s

// Items of one vector of rows: 16 keys a group, broadcast by the multiply-add.
// CHECK-LABEL: short_run:
// CHECK: vfmadd231ps {{.*}}{1to16}
// CHECK-NOT: Spill
// CHECK-COUNT-15: vfmadd231ps {{.*}}{1to16}
// CHECK: j{{[a-z]+}} .LBB

!t = tensor<?x?x?x64xf32>
func.func @short(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> !t
  return %o : !t
}
