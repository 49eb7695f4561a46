// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s

// A hidden key has the score -inf. A weight that is proved to be 0 there needs
// no selection; the sign of the scale rides in the queries, so that -inf stays
// what it is.
!t = tensor<?x?x?x128xbf16>

attn.normalizer @relu score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %zero = arith.constant 0.0 : f32
    %w = arith.maximumf %s, %zero : f32
    attn.yield %w : f32
  }

// CHECK-LABEL: func.func @rectified({{.*}}attn_gpu.positive_scale
// CHECK-NOT: arith.cmpf oeq
// CHECK: arith.maximumf
// CHECK-NOT: arith.cmpf oeq
// CHECK: return
func.func @rectified(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @relu scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

attn.normalizer @plain score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    attn.yield %s : f32
  }

// CHECK-LABEL: func.func @linear(
// CHECK-NOT: attn_gpu.positive_scale
// CHECK: %[[HIDDEN:.*]] = arith.cmpf oeq
// CHECK: arith.select %[[HIDDEN]]
// CHECK: return
func.func @linear(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @plain scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
