// Few queries of bf16 where there are tiles: what is read is widened, since dot
// products of pairs are slower there.
// RUN: fovea-opt %s -convert-attn-to-online="cpu=sapphirerapids few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1680 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=sapphirerapids -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=sapphirerapids -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=NOT < %t.s
// RUN: fovea-opt %s -convert-attn-to-online="cpu=sapphirerapids few-queries=true one-row=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.one.ll
// RUN: %python %S/../Inputs/count_instructions.py 1400 < %t.one.ll
// RUN: FileCheck %s --check-prefix=ONE < %t.one.ll

// Four keys meet four rows, each register of keys as two.
// CHECK-LABEL: decode_run:
// CHECK-COUNT-4: vpslld $16, {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK-COUNT-31: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// A value meets four rows.
// CHECK: vpslld $16, {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK-COUNT-15: vfmadd231ps {{.*}}%zmm
// CHECK-NOT: Spill
// CHECK: j{{[a-z]+}} .LBB
// NOT-NOT: vdpbf16ps

// Of the form for one row a line is read, widened and multiplied twice.
// ONE-LABEL: define {{.*}}@decode_run
// ONE-COUNT-4: call void @llvm.prefetch.p0(ptr %{{.*}}, i32 0, i32 3, i32 1)
// ONE: shl <16 x i32>
// ONE: call <16 x float> @llvm.fma
// ONE-NOT: dpbf16ps

!t = tensor<?x?x?x128xbf16>
func.func @decode(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
