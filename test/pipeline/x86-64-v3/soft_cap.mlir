// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.s
// RUN: FileCheck %s < %t.s

// The scale, 1/cap and what tanh multiplies by are a part of the queries: the
// clamp of tanh reads the product from memory. The cap and log2 e are one
// product after the quotient.
// CHECK-LABEL: softcap_run:
// CHECK: vmaxps {{[0-9]*}}(%r{{[^)]*}}), %ymm
// CHECK-NOT: vmulps
// CHECK: vroundps
// CHECK: vdivps
// CHECK: vmulps
// CHECK: j{{[a-z]+}} .LBB
func.func @softcap(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
      %cap = arith.constant 30.0 : f32
      %x = arith.divf %s, %cap : f32
      %t = math.tanh %x : f32
      %r = arith.mulf %t, %cap : f32
      attn.yield %r : f32
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}
