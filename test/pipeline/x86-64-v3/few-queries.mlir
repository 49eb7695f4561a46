// The form for few queries in sixteen registers of 32 bytes: f32, bf16, which is
// widened as it is multiplied, and f16 in pages.
// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v3 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1560 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=NOT < %t.s
// RUN: sed 's/x128xf32>/x128xbf16>/g' %s > %t.bf16.mlir
// RUN: fovea-opt %t.bf16.mlir -convert-attn-to-online="cpu=x86-64-v3 few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.bf16.ll
// RUN: %python %S/../Inputs/count_instructions.py 1680 < %t.bf16.ll
// RUN: opt %t.bf16.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.bf16.s
// RUN: FileCheck %s --check-prefix=BF16 < %t.bf16.s
// RUN: FileCheck %s --check-prefix=NOT < %t.bf16.s
// RUN: sed 's/x128xf32>/x128xf16>/g' %s > %t.f16.mlir
// RUN: fovea-opt %t.f16.mlir -convert-attn-to-online="cpu=x86-64-v3 few-queries=true paged=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.f16.ll
// RUN: %python %S/../Inputs/count_instructions.py 1680 < %t.f16.ll
// RUN: opt %t.f16.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.f16.s
// RUN: FileCheck %s --check-prefix=F16 < %t.f16.s

// Two keys meet four rows: eight sums stay in registers, four registers of
// columns are a step, in which some lines are fetched, once.
// CHECK-LABEL: decode_run:
// CHECK: vfmadd231ps {{.*}}%ymm
// CHECK-NOT: {{Spill|prefetch}}
// CHECK-COUNT-31: vfmadd231ps {{.*}}%ymm
// CHECK-NOT: Spill
// CHECK-COUNT-4: prefetcht0
// CHECK-NOT: {{Spill|prefetch}}
// CHECK: j{{[a-z]+}} .LBB
// A value meets two rows, in eight sums as well.
// CHECK: vbroadcastss (%{{r[a-z0-9]+,%r[a-z0-9]+}}), %ymm
// CHECK-NOT: Spill
// CHECK-COUNT-4: vfmadd231ps {{.*}}%ymm
// CHECK-NOT: {{Spill|prefetch}}
// CHECK: j{{[a-z]+}} .LBB

// Of bf16 a register of keys becomes two, by a shift and a mask.
// BF16-LABEL: decode_run:
// BF16: prefetcht0
// BF16: vpslld $16, {{.*}}%ymm
// BF16-NOT: Spill
// BF16-COUNT-31: vfmadd231ps {{.*}}%ymm
// BF16-NOT: Spill
// BF16: j{{[a-z]+}} .LBB
// BF16: vpslld $16, {{.*}}%ymm
// BF16-NOT: Spill
// BF16-COUNT-8: vfmadd231ps {{.*}}%ymm
// BF16-NOT: Spill
// BF16: j{{[a-z]+}} .LBB

// Of f16 each half by a conversion that reads memory.
// F16-LABEL: decode_run:
// F16: prefetcht0
// F16-COUNT-4: vcvtph2ps {{.*}}(%r{{.*}}), %ymm
// F16-COUNT-16: vfmadd231ps {{.*}}%ymm
// F16: j{{[a-z]+}} .LBB

// NOT-NOT: zmm
// NOT-NOT: PLT

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
