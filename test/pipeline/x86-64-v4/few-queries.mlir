// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v4 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1560 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="default<O1>" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=SUMS < %t.s
// RUN: FileCheck %s --check-prefix=AGAIN < %t.ll
// RUN: FileCheck %s --check-prefix=CALLS < %t.s
// RUN: FileCheck %s --check-prefix=MERGE < %t.s
// RUN: sed 's/x128xf32>/x128xf16>/g' %s > %t.f16.mlir
// RUN: fovea-opt %t.f16.mlir -convert-attn-to-online="cpu=x86-64-v4 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.f16.ll
// RUN: %python %S/../Inputs/count_instructions.py 1680 < %t.f16.ll
// RUN: opt %t.f16.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -o %t.f16.s
// RUN: FileCheck %s --check-prefix=F16 < %t.f16.s

// Four keys meet four rows: eight loads, sixteen multiply-adds, sums in
// registers, whose lanes shuffles within and then across blocks add up.
// CHECK-LABEL: decode_run:
// CHECK: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK-COUNT-15: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// SUMS-LABEL: decode_run:
// SUMS: vunpcklpd {{.*}}%zmm
// SUMS-NOT: Spill
// SUMS: vshufps {{.*}}%zmm
// SUMS-NOT: Spill
// SUMS: vshuff{{32x4|64x2}} {{.*}}%zmm
// SUMS-NOT: Spill
// SUMS: j{{[a-z]+}} .LBB
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

// Rows fetch what the block's values take while keys are multiplied; and, in the
// first pass over rows, the lines of these keys that are read eight keys later,
// again. The same of a value.
// AGAIN-LABEL: define {{.*}}@decode_run
// AGAIN-COUNT-4: call void @llvm.prefetch.p0(ptr %{{.*}}, i32 0, i32 3, i32 1)
// AGAIN-NEXT: br i1
// AGAIN-COUNT-4: call void @llvm.prefetch.p0(ptr %{{.*}}, i32 0, i32 3, i32 1)
// AGAIN-NEXT: br label
// AGAIN-NOT: prefetch
// AGAIN-COUNT-16: call <16 x float> @llvm.fma
// AGAIN-NOT: prefetch
// AGAIN: llvm.x86.avx512.mask.scalef
// AGAIN-COUNT-4: call void @llvm.prefetch.p0
// AGAIN-NEXT: br i1
// AGAIN-COUNT-8: call void @llvm.prefetch.p0
// AGAIN-NEXT: br label

// CALLS-NOT: PLT

// f16 is read where it lies, a register of keys or values as two; a value meets
// all four rows at once.
// F16-LABEL: decode_run:
// F16-COUNT-8: vcvtph2ps {{.*}}(%r{{.*}}), %zmm
// F16-NOT: Spill
// F16-COUNT-31: vfmadd231ps {{.*}}%zmm
// F16-NOT: Spill
// F16: j{{[a-z]+}} .LBB
// F16: vcvtph2ps {{.*}}(%r{{.*}}), %zmm
// F16-NOT: Spill
// F16-COUNT-15: vfmadd231ps {{.*}}%zmm
// F16-NOT: Spill
// F16: j{{[a-z]+}} .LBB

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
