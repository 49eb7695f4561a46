// RUN: fovea-opt %s -convert-online-to-attn-gpu | FileCheck %s

// Factors of a tile become one; what is known of a block alone is none of them.

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

// CHECK-LABEL: func.func @block_values(
// CHECK-SAME: %[[SCALE:[a-z0-9]+]]: f32
// CHECK: %[[FACTOR:.*]] = arith.mulf %[[SCALE]], %{{.*}} : f32
// CHECK: attn_gpu.for_blocks
// CHECK: %[[OWN:.*]] = arith.sitofp
// CHECK: attn_gpu.map
// CHECK-NEXT: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[X:.*]]: f32):
// CHECK-NEXT: %[[SCALED:.*]] = arith.mulf %[[X]], %[[FACTOR]]
// CHECK-NEXT: %[[TANH:.*]] = math.tanh %[[SCALED]]
// CHECK-NEXT: %[[HALF:.*]] = arith.mulf %[[TANH]], %{{.*}} : f32
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[HALF]], %[[OWN]]
// CHECK-NEXT: attn_gpu.yield %[[Y]]
func.func @block_values(%q: !m, %k: !m, %v: !m, %out: !m, %n: index, %scale: f32) {
  %c0 = arith.constant 0 : index
  %two = arith.constant 2.0 : f32
  %half = arith.constant 0.5 : f32
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %first = arith.index_cast %n0 : index to i64
      %own = arith.sitofp %first : i64 to f32
      %y = online.map tile(%c0, %n0) ins(%x : !s) {
      ^bb0(%m: i64, %key: i64, %e: f32):
        %0 = arith.mulf %e, %scale : f32
        %1 = arith.mulf %0, %two : f32
        %2 = math.tanh %1 : f32
        %3 = arith.mulf %2, %half : f32
        %4 = arith.mulf %3, %own : f32
        online.yield %4 : f32
      } -> !s
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %z = online.step %a, %y, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %z : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}
