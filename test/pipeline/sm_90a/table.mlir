// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s

// A bias read at q - kv: the loading role reads each difference once, beside the
// keys; the computing role reads the slice while its scores are in flight.
!t = tensor<?x?x?x128xbf16>
!c = tensor<?x?xf32>

// CHECK: %[[K:.*]] = attn_gpu.channel "k" {{.*}} diagonal = 128>
// CHECK: attn_gpu.role load
// CHECK: attn_gpu.fill %[[K]]{{.*}} diagonal at(
// CHECK-NEXT: ^bb0(%[[D:.*]]: i64):
// CHECK-NEXT: attn.read %{{.*}}[%{{.*}}, %[[D]]]
// CHECK-NEXT: attn_gpu.yield
// CHECK: attn_gpu.role mma
// CHECK-NOT: attn.read
// CHECK: scf.while
// CHECK: scf.for
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.diagonal.read %[[K]]
// CHECK: attn_gpu.await {{.*}} keep 1
// CHECK: attn_gpu.release %[[K]]
// CHECK: attn_gpu.map
// CHECK: !attn_gpu.diagvec<128x128xf32>
func.func @table(%q: !t, %k: !t, %v: !t, %c: f32, %x: !c) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%x) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
      %d = arith.subi %m, %n : i64
      %f = attn.read %t[%h, %d] : !c -> f32
      %r = arith.addf %s, %f : f32
      attn.yield %r : f32
    } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}
