// The form for one row, in f32 and with pages; pairs of bf16, and both.
// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v4 few-queries=true one-row=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1260 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="default<O1>" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=AHEAD < %t.ll
// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v4 few-queries=true one-row=true paged=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.pages.ll
// RUN: %python %S/../Inputs/count_instructions.py 1300 < %t.pages.ll
// RUN: sed 's/x128xf32>/x128xbf16>/g' %s > %t.bf16.mlir
// RUN: fovea-opt %t.bf16.mlir -convert-attn-to-online="cpu=znver5 few-queries=true one-row=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.pairs.ll
// RUN: %python %S/../Inputs/count_instructions.py 1300 < %t.pairs.ll
// RUN: fovea-opt %t.bf16.mlir -convert-attn-to-online="cpu=znver5 few-queries=true one-row=true paged=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.both.ll
// RUN: %python %S/../Inputs/count_instructions.py 1330 < %t.both.ll
// RUN: FileCheck %s --check-prefix=PAIRS < %t.both.ll

// A key is read in one go, its products with queries in registers.
// CHECK-LABEL: decode_run:
// CHECK: prefetcht0
// CHECK-NOT: Spill
// CHECK-COUNT-7: vfmadd231ps {{.*}}(%r{{.*}}), %zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// PAIRS: dpbf16ps.512

// Meanwhile the one eight keys later is fetched; the same of a value.
// AHEAD-LABEL: define {{.*}}@decode_run
// AHEAD-COUNT-8: call void @llvm.prefetch.p0(ptr %{{.*}}, i32 0, i32 3, i32 1)
// AHEAD-NOT: br
// AHEAD-COUNT-8: call <16 x float> @llvm.fma
// AHEAD: llvm.x86.avx512.mask.scalef
// AHEAD-COUNT-8: call void @llvm.prefetch.p0
// AHEAD-NOT: br
// AHEAD-COUNT-8: call <16 x float> @llvm.fma

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
