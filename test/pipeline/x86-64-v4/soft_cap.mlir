// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1600 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 | FileCheck %s

// tanh is inline: no call of libm. 16-bit types are widened once a block, so the
// products are those of f32.
// CHECK-NOT: tanh
// CHECK-LABEL: capped_run:
// CHECK-COUNT-16: vfmadd231ps %zmm
// Scale, cap and the unit of tanh are one product of a score, r² and the odd
// polynomial two more; cap and log2 e are one product.
// CHECK: vmulps (%{{.*}}), %zmm
// CHECK-NEXT: vmulps 64(%{{.*}}), %zmm
// CHECK-NOT: vmulps
// CHECK: vrndscaleps
// CHECK: vsubps
// CHECK-NEXT: vsubps
// CHECK-NEXT: vmulps
// CHECK-NEXT: vmulps
// CHECK-NOT: vmulps
// CHECK: vfmadd213ps
// CHECK: vmulps
// CHECK-NEXT: vmulps
// CHECK-NOT: vmulps
// CHECK: vscalefps
// CHECK: vdivps
// CHECK-NOT: vmulps
// CHECK: vdivps
// CHECK-NEXT: vmulps
// CHECK-NEXT: vmulps
// CHECK: {{jne|jl}}
// The weights: a difference in log2 units, no product before 2^x.
// CHECK: vsubps %zmm{{[0-9]+}}, %zmm{{[0-9]+}}, %zmm
// CHECK-NOT: vmulps
// CHECK: vrndscaleps
// CHECK-NOT: PLT
// CHECK: .Lfunc_end

!t = tensor<?x?x?x64xbf16>
func.func @capped(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %cap = arith.constant 30.0 : f32
    %x = arith.divf %s, %cap : f32
    %t = math.tanh %x : f32
    %r = arith.mulf %t, %cap : f32
    attn.yield %r : f32
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
