// Few queries of bf16 where there are tiles: they multiply keys and values as
// these lie. One row is widened: dot products of pairs are slow there.
// RUN: fovea-opt %s -convert-attn-to-online="cpu=sapphirerapids few-queries=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1680 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=sapphirerapids -passes="default<O1>" -disable-loop-unrolling -S | llc -mtriple=x86_64-linux-gnu -mcpu=sapphirerapids -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=NOT < %t.s
// RUN: fovea-opt %s -convert-attn-to-online="cpu=sapphirerapids few-queries=true one-row=true" -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.one.ll
// RUN: %python %S/../Inputs/count_instructions.py 1400 < %t.one.ll
// RUN: FileCheck %s --check-prefix=ONE < %t.one.ll

// Sixteen keys meet eight rows in two chains; nothing is done with a register
// of keys. Meanwhile four lines a step of what comes next are fetched, and four
// of the group that follows are asked for again.
// CHECK-LABEL: decode_run:
// CHECK: tilerelease
// CHECK: tilestored %tmm0
// CHECK: tilestored %tmm1
// CHECK: tilezero %tmm0
// CHECK-NEXT: tilezero %tmm1
// CHECK-NOT: zmm
// CHECK: tileloadd {{.*}}, %tmm3
// CHECK-NOT: zmm
// CHECK: tileloadd {{.*}}, %tmm2
// CHECK-NEXT: tdpbf16ps %tmm2, %tmm3, %tmm0
// CHECK-NOT: {{zmm|tdpbf16ps}}
// CHECK-COUNT-8: prefetcht0
// CHECK-NOT: {{zmm|prefetch}}
// CHECK: tdpbf16ps %tmm2, %tmm4, %tmm1
// CHECK-NOT: tdpbf16ps
// When a block's are stored the scale multiplies the sums of both, two keys a
// register.
// CHECK-COUNT-4: vmulps {{.*}}%zmm
// CHECK-NOT: vmulps
// CHECK: j{{[a-z]+}} .LBB
// Weights of sixteen keys lie across after two exchanges of four registers, of
// which the second puts keys in order, and are stored beside zeros, on either
// side.
// CHECK-COUNT-4: vcvtne2ps2bf16
// CHECK-NOT: {{Spill|vcvtne2}}
// CHECK-COUNT-4: vpermt2d
// CHECK-NOT: {{Spill|vperm|vunpck}}
// CHECK: j{{[a-z]+}} .LBB
// Sixteen values meet them, even columns and odd ones at once.
// CHECK: tileloadd {{.*}}, %tmm7
// CHECK: tileloadd {{.*}}, %tmm5
// CHECK-NOT: {{zmm|tdpbf16ps}}
// CHECK: tdpbf16ps %tmm3, %tmm5, %tmm6
// CHECK-NOT: {{zmm|tdpbf16ps}}
// CHECK: tdpbf16ps %tmm4, %tmm5, %tmm7
// CHECK-NOT: tdpbf16ps
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
