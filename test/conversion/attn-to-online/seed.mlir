// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse | FileCheck %s

!t = tensor<?x?x?x64xf32>

// Where keys add nothing to l it is the seed's, and finish works it out.
// CHECK: attn.normalizer
// CHECK: finish {
// CHECK-NEXT: ^bb0(%{{[a-z0-9]+}}: f32, %{{[a-z0-9]+}}: f32, %[[T:[a-z0-9]+]]: f32, %{{[a-z0-9]+}}: i64, %[[H:[a-z0-9]+]]: i64,
// CHECK-NEXT: %[[L0:.*]] = arith.constant 2.0
// CHECK-NEXT: %[[T0:.*]] = attn.read %{{.*}}[%[[H]]]
// CHECK: %[[SAME:.*]] = arith.cmpf ueq, %[[T0]], %[[T]]
// CHECK: %[[SHIFT:.*]] = arith.subf %[[T0]], %[[T]]
// CHECK: %[[FACTOR:.*]] = math.exp %[[SHIFT]]
// CHECK: %[[SCALED:.*]] = arith.mulf %[[FACTOR]], %[[L0]] : f32
// CHECK: %[[L:.*]] = arith.select %[[SAME]], %[[L0]], %[[SCALED]]
// CHECK: attn.yield %[[L]]
attn.normalizer @seeded score_type f32 captures [tensor<?xf32>]
  stat {
  ^bb0(%s: f32, %g: tensor<?xf32>):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %g: tensor<?xf32>):
    %d = arith.subf %s, %t : f32
    %w = math.exp %d : f32
    attn.yield %w : f32
  } seed {
  ^bb0(%b: i64, %h: i64, %m: i64, %g: tensor<?xf32>):
    %t0 = attn.read %g[%h] : tensor<?xf32> -> f32
    %l0 = arith.constant 2.0 : f32
    attn.yield %t0, %l0 : f32, f32
  } finish {
  ^bb0(%o: f32, %l: f32, %t: f32, %b: i64, %h: i64, %m: i64, %e: i64, %g: tensor<?xf32>):
    attn.yield %l : f32
  }
func.func @seeded_rows(%q: !t, %k: !t, %v: !t, %g: tensor<?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @seeded(%g) scale(%c)
    : (!t, !t, !t, f32, tensor<?xf32>) -> !t
  return %o : !t
}
