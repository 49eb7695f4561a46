// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1500 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=FETCH < %t.s
// RUN: FileCheck %s --check-prefix=CALLS < %t.s
// RUN: FileCheck %s --check-prefix=CANCEL < %t.ll

// One step of the scores: two loads of queries, eight broadcasts of a key's
// element that two multiply-adds share each, no spill.
// CHECK-LABEL: dense_run:
// CHECK: vbroadcastss {{.*}}(%r{{[^i].*}}), %zmm
// CHECK-NOT: Spill
// CHECK-COUNT-16: vfmadd231ps %zmm{{.*}}, %zmm{{.*}}, %zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// Between steps a key's weights of the panel before: a table and four products
// a register; they wait for no products. What is too small is left out: Intel's
// processors take hundreds of clocks for a subnormal number.
// CHECK-NOT: Spill
// CHECK-COUNT-2: vpermps
// CHECK-NOT: Spill
// CHECK-COUNT-2: vscalefps {{.*}} {%k{{[0-9]}}} {z}
// One step of the values: two loads of a row of values, eight broadcasts of its
// weights.
// CHECK: vmovups 64(%r{{.*}}), %zmm
// CHECK-NOT: Spill
// CHECK-COUNT-16: vfmadd231ps %zmm{{.*}}, %zmm{{.*}}, %zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB

// Each step of either product fetches a line.
// FETCH-LABEL: dense_run:
// FETCH-COUNT-2: prefetcht1
// FETCH-NOT: prefetcht1

// Before each 32,768 keys a call that is over is left.
// CANCEL: define {{.*}}@dense_run(
// CANCEL: load atomic i32, ptr %{{.*}} monotonic
// CANCEL-NEXT: icmp ne i32
// CANCEL-NEXT: select i1

// Kernels call their own helpers and nothing else.
// CALLS-NOT: PLT

!t = tensor<?x?x?x64xf32>
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
