// RUN: fovea-opt %s -convert-online-to-attn-gpu | FileCheck %s

// A view has all rows of its tensor where its length is that tensor's, or that
// of the other one of keys and values. Of others, loads clip where the tensor
// ends, and blocks begin earlier in place of going beyond the length.
!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

// CHECK-LABEL: func.func @whole(
// CHECK-SAME: %[[Q:.*]]: memref<{{.*}}>, %[[K:.*]]: memref<{{.*}}>, %[[V:.*]]: memref<{{.*}}>, %{{.*}}: memref
// CHECK: %[[M:.*]] = memref.dim %[[Q]]
// CHECK: %[[N:.*]] = memref.dim %[[K]]
// CHECK-NOT: memref.dim
// CHECK: online.view %[[Q]]{{.*}} len(%[[M]])
// CHECK: online.view %[[K]]{{.*}} len(%[[N]])
// CHECK: online.view %[[V]]{{.*}} len(%[[N]])
// CHECK-NOT: cut_front
func.func @whole(%q: !m, %k: !m, %v: !m, %out: !m, %tiles: index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %m = memref.dim %q, %c2 : !m
  %n = memref.dim %k, %c2 : !m
  online.grid (%b, %h, %mt) in (%tiles, %tiles, %tiles) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%m) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%m) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// CHECK-LABEL: func.func @of_others(
// CHECK-SAME: %[[Q:.*]]: memref<{{.*}}>, %[[K:.*]]: memref<{{.*}}>, %[[V:.*]]: memref<{{.*}}>, %{{.*}}: memref
// CHECK: %[[M:.*]] = memref.dim %[[Q]], %{{.*}} :
// CHECK: %[[N:.*]] = memref.dim %[[K]], %{{.*}} :
// CHECK: attn_gpu.for_tiles
// CHECK: %[[OWN:.*]] = memref.dim %[[Q]]
// CHECK: online.view %[[Q]]{{.*}} len(%[[OWN]])
// CHECK: %[[KEYS:.*]] = memref.dim %[[K]]
// CHECK: online.view %[[K]]{{.*}} len(%[[KEYS]])
// CHECK: %[[VALUES:.*]] = memref.dim %[[V]]
// CHECK: online.view %[[V]]{{.*}} len(%[[VALUES]])
// CHECK: attn_gpu.for_blocks {{.*}} attributes {cut_front}
func.func @of_others(%q: !m, %k: !m, %v: !m, %out: !m, %tiles: index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %m = memref.dim %q, %c2 : !m
  %n = memref.dim %k, %c2 : !m
  online.grid (%b, %h, %mt) in (%tiles, %tiles, %tiles) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%m) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%m) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %m) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%m) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}
