// RUN: fovea-opt %s --canonicalize | FileCheck %s

// An identity score, a mask that is true, and the capture that only they had.
// CHECK-LABEL: func.func @identity
// CHECK: attn.attention query(%{{.*}}) key(%{{.*}}) value(%{{.*}}) normalizer #attn.softmax scale(%{{.*}}) : (
func.func @identity(%q: tensor<?x?x?x64xf32>, %c: f32, %t: tensor<?xf32>) -> tensor<?x?x?x64xf32> {
  %o = attn.attention query(%q) key(%q) value(%q) captures(%t) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %x: tensor<?xf32>):
      attn.yield %s : f32
    }
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %x: tensor<?xf32>):
      %zero = arith.constant 0 : i64
      %d = attn.floordiv %m, %zero
      %r = attn.mod %n, %n
      %keep = arith.cmpi sge, %zero, %zero : i64
      attn.yield %keep : i1
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// Only the captures that are read stay.
// CHECK-LABEL: func.func @captures
// CHECK-SAME: %[[A:.*]]: tensor<?xf32>, %[[B:.*]]: tensor<?xi32>)
// CHECK: captures(%[[B]])
// CHECK: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %[[T:.*]]: tensor<?xi32>)
// CHECK: attn.read %[[T]]
func.func @captures(%q: tensor<?x?x?x64xf32>, %c: f32, %a: tensor<?xf32>, %b: tensor<?xi32>) -> tensor<?x?x?x64xf32> {
  %o = attn.attention query(%q) key(%q) value(%q) captures(%a, %b) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%bi: i64, %h: i64, %m: i64, %n: i64, %x: tensor<?xf32>, %y: tensor<?xi32>):
      %d = attn.read %y[%m] : tensor<?xi32> -> i64
      %keep = arith.cmpi eq, %d, %n : i64
      attn.yield %keep : i1
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?xf32>, tensor<?xi32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// S8 in the folders, corner by corner.
// CHECK-LABEL: func.func @total
func.func @total(%x: i64) -> (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) {
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %m1 = arith.constant -1 : i64
  %m7 = arith.constant -7 : i64
  %two = arith.constant 2 : i64
  %min = arith.constant -9223372036854775808 : i64
  %c64 = arith.constant 64 : i64
  %nan = arith.constant 0x7FC00000 : f32
  %big = arith.constant 1.0e30 : f32
  %f = arith.constant -2.75 : f32
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : i64
  // CHECK-DAG: %[[MIN:.*]] = arith.constant -9223372036854775808 : i64
  // CHECK-DAG: %[[M4:.*]] = arith.constant -4 : i64
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : i64
  // CHECK-DAG: %[[M1:.*]] = arith.constant -1 : i64
  // CHECK-DAG: %[[MAX:.*]] = arith.constant 9223372036854775807 : i64
  // CHECK-DAG: %[[M2:.*]] = arith.constant -2 : i64
  %0 = attn.floordiv %m7, %zero
  %1 = attn.floordiv %min, %m1
  %2 = attn.floordiv %m7, %two
  %3 = attn.mod %m7, %two
  %4 = attn.mod %m7, %zero
  %5 = attn.shl %one, %c64
  %6 = attn.shr %m7, %c64
  %7 = attn.shr %one, %m1
  %8 = attn.to_int %nan : f32
  %9 = attn.to_int %big : f32
  %10 = attn.to_int %f : f32
  %11 = attn.floordiv %x, %one
  // CHECK: return %[[ZERO]], %[[MIN]], %[[M4]], %[[ONE]], %[[ZERO]], %[[ZERO]], %[[M1]], %[[ZERO]], %[[ZERO]], %[[MAX]], %[[M2]], %{{.*}} :
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11 : i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64
}
