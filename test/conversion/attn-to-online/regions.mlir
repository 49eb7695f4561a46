// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse | FileCheck %s

!t = tensor<?x?x?x64xbf16>
!r = tensor<?x?x?x32xbf16>

// A score region works on the scaled score; captures are memrefs, sizes values.
// CHECK-LABEL: func.func @score
// CHECK-SAME: %[[S:[a-z0-9]+]]: memref<?xf32, strided<[?], offset: ?>> {attn.name = "slopes"}, %[[C:[a-z0-9]+]]: f32 {attn.name = "scale"}
// CHECK-SAME: memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>> {attn.name = "lse"}
// CHECK: %[[LEN:.*]] = arith.index_cast %{{.*}} : index to i64
// CHECK: %[[H:.*]] = arith.index_cast
// CHECK: online.map tile(%{{.*}}, %{{.*}}) ins(%{{.*}} : tensor<192x256xf32>) {
// CHECK: ^bb0(%[[M:.*]]: i64, %[[N:.*]]: i64, %[[X:.*]]: f32):
// CHECK: %[[Y:.*]] = arith.mulf %[[X]], %[[C]] : f32
// CHECK: attn.read %[[S]][%{{.*}}]
// CHECK: arith.subi %[[N]], %[[LEN]]
// CHECK: arith.addf %[[Y]]
// CHECK: online.step %{{.*}} visible(%{{.*}} : tensor<192x256xi1>) normalizer
// CHECK: online.store %{{.*}} : tensor<192x64xf32>, <?x64xbf16, ragged>
// CHECK: online.store %{{.*}} : tensor<192xf32>, <?xf32, ragged>
func.func @score(%q: !t, %k: !t, %v: !t, %s: tensor<?xf32> {attn.name = "slopes"}, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) captures(%s) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%x: f32, %b: i64, %h: i64, %m: i64, %n: i64, %slopes: tensor<?xf32>):
    %slope = attn.read %slopes[%h] : tensor<?xf32> -> f32
    %len = attn.size N
    %d = arith.subi %n, %len : i64
    %f = arith.sitofp %d : i64 to f32
    %bias = arith.mulf %slope, %f : f32
    %y = arith.addf %x, %bias : f32
    attn.yield %y : f32
  } : (!t, !t, !t, tensor<?xf32>, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}

// Two pairs: both products, each with its scale, are added before the rows.
// CHECK-LABEL: func.func @pairs
// CHECK: online.dot %{{.*}} : tensor<192x64xbf16>, tensor<256x64xbf16> -> tensor<192x256xf32>
// CHECK: online.dot %{{.*}} : tensor<192x32xbf16>, tensor<256x32xbf16> -> tensor<192x256xf32>
// CHECK: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[X:.*]]: f32, %[[Y:.*]]: f32):
// CHECK: %[[A:.*]] = arith.mulf %[[X]]
// CHECK: %[[B:.*]] = arith.mulf %[[Y]]
// CHECK: arith.addf %[[A]], %[[B]]
func.func @pairs(%q: !t, %qr: !r, %k: !t, %kr: !r, %v: !t, %c: f32, %d: f32) -> !t {
  %o = attn.attention query(%q, %qr) key(%k, %kr) value(%v) normalizer #attn.softmax scale(%c, %d)
    : (!t, !r, !t, !r, !t, f32, f32) -> !t
  return %o : !t
}

// A normaliser's captures are memrefs; sizes reach it as extents.
// CHECK: attn.normalizer @[[MEAN:.*]] score_type f32 captures [memref<?xf32, strided<[?], offset: ?>>, memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>, memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>]
// CHECK: weight {
// CHECK: attn.extent %{{.*}}, 2 : memref<?x?x?x64xbf16
// CHECK-NOT: attn.normalizer
attn.normalizer @mean score_type f32 captures [tensor<?xf32>]
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %g: tensor<?xf32>):
    %len = attn.size N
    %f = arith.sitofp %len : i64 to f32
    %gain = attn.read %g[%h] : tensor<?xf32> -> f32
    %x = arith.divf %s, %f : f32
    %w = arith.mulf %x, %gain : f32
    attn.yield %w : f32
  }
// CHECK-LABEL: func.func @normalizer
// CHECK: online.init normalizer @[[MEAN]](%{{.*}}, %{{.*}}, %{{.*}} : {{.*}}) at({{.*}}) : <192x64xf32>
// CHECK: online.step {{.*}} normalizer @[[MEAN]](
// CHECK: online.finish {{.*}} normalizer @[[MEAN]](
func.func @normalizer(%q: !t, %k: !t, %v: !t, %g: tensor<?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @mean(%g) scale(%c)
    : (!t, !t, !t, f32, tensor<?xf32>) -> !t
  return %o : !t
}

// A function without an attention op is left alone.
// CHECK-LABEL: func.func @other
// CHECK-NEXT: return
func.func @other() {
  return
}
