// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1500 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=NOT < %t.s

// Twelve accumulators, the queries and a broadcast stay in 16 registers; the
// queries are loaded, and a line fetched, from pointers that move on.
// CHECK-LABEL: dense_run:
// CHECK: prefetcht1
// CHECK-NOT: {{Spill|imul|shl}}
// CHECK: vbroadcastss {{.*}}(%r{{[^i].*}}), %ymm
// CHECK-NOT: {{Spill|imul|shl}}
// CHECK-COUNT-12: vfmadd231ps %ymm{{.*}}, %ymm{{.*}}, %ymm
// CHECK-NOT: {{vfmadd|Spill|imul|shl}}
// CHECK: j{{[a-z]+}} .LBB
// So do those of four rows by three registers of columns, for as long as there are
// three; then eight.
// CHECK: prefetcht1
// CHECK-NOT: {{Spill|imul|shl}}
// CHECK-COUNT-12: vfmadd231ps %ymm{{.*}}, %ymm{{.*}}, %ymm
// CHECK-NOT: {{vfmadd|Spill|imul|shl}}
// CHECK: j{{[a-z]+}} .LBB
// CHECK: prefetcht1
// CHECK-NOT: {{Spill|imul|shl}}
// CHECK-COUNT-8: vfmadd231ps %ymm{{.*}}, %ymm{{.*}}, %ymm
// CHECK-NOT: {{vfmadd|Spill|imul|shl}}
// CHECK: j{{[a-z]+}} .LBB

// NOT-NOT: zmm
// NOT-NOT: PLT

!t = tensor<?x?x?x64xf32>
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
