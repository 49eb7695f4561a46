// The form for one row in sixteen registers of 32 bytes, in f32 and with pages; in
// bf16.
// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v3 few-queries=true one-row=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1330 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=NONE < %t.ll
// RUN: fovea-opt %s -convert-attn-to-online="cpu=x86-64-v3 few-queries=true one-row=true paged=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.pages.ll
// RUN: %python %S/../Inputs/count_instructions.py 1370 < %t.pages.ll
// RUN: sed 's/x128xf32>/x128xbf16>/g' %s > %t.bf16.mlir
// RUN: fovea-opt %t.bf16.mlir -convert-attn-to-online="cpu=x86-64-v3 few-queries=true one-row=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.bf16.ll
// RUN: %python %S/../Inputs/count_instructions.py 1400 < %t.bf16.ll
// RUN: FileCheck %s --check-prefix=AHEAD < %t.bf16.ll
// RUN: opt %t.bf16.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.bf16.s
// RUN: FileCheck %s --check-prefix=BF16 < %t.bf16.s

// Half of the query stays in eight registers, which meet keys in memory; the rest
// is read again for each key.
// CHECK-LABEL: decode_run:
// CHECK: vfmadd231ps {{.*}}(%r{{.*}}), %ymm
// CHECK-NOT: Spill
// CHECK-COUNT-13: vfmadd231ps {{.*}}(%r{{.*}}), %ymm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB

// BF16-LABEL: decode_run:
// BF16: prefetcht0
// BF16-NOT: Spill
// BF16-COUNT-14: vfmadd{{[0-9]+}}ps {{.*}}%ymm
// BF16-NOT: Spill
// BF16: j{{[a-z]+}} .LBB

// Nothing is fetched beside these: a core asks for more lines by itself.
// NONE-LABEL: define {{.*}}@decode_run
// NONE-NOT: @llvm.prefetch

// Where elements are widened the lines sixteen keys later are fetched, of values
// half a row at a time.
// AHEAD-LABEL: define {{.*}}@decode_run
// AHEAD-COUNT-4: call void @llvm.prefetch.p0(ptr %{{.*}}, i32 0, i32 3, i32 1)
// AHEAD-NOT: br
// AHEAD-COUNT-16: call <8 x float> @llvm.fma
// AHEAD-COUNT-2: call void @llvm.prefetch.p0
// AHEAD-NOT: br
// AHEAD-COUNT-8: call <8 x float> @llvm.fma

!t = tensor<?x?x?x128xf32>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
