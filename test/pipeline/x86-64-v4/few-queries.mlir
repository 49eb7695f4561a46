// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v4 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1640 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="default<O1>" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=CALLS < %t.s
// RUN: FileCheck %s --check-prefix=MERGE < %t.s

// Four keys meet four rows: eight loads, sixteen multiply-adds, sums in
// registers, whose lanes shuffles within and then across blocks add up. The
// block's values are fetched.
// CHECK-LABEL: decode_run:
// CHECK: prefetchnta
// CHECK: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK-COUNT-15: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: vunpcklpd {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: vshufps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: vshuff{{32x4|64x2}} {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// Weights of four keys at once.
// CHECK: vrndscaleps $8, {{.*}}%zmm
// CHECK: vscalefps {{.*}}%zmm
// The values of a key for two rows.
// CHECK: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK-COUNT-15: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// The part that is ready last merges.
// MERGE: lock

// CALLS-NOT: PLT

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
