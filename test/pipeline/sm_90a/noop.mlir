// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s

// The printed form of a plain variant after all passes on level 3: one stream of
// tiles and blocks, one loop without mask code, nothing that waits for all.
!t = tensor<?x?x?x128xbf16>

// CHECK: %[[Q:.*]] = attn_gpu.channel "q" {offset = 0 : i64}
// CHECK: %[[K:.*]] = attn_gpu.channel "k" {offset = 65536 : i64}
// CHECK: %[[V:.*]] = attn_gpu.channel "v" {offset = 131072 : i64}
// CHECK: attn_gpu.role load groups(1) registers(24)
// CHECK: attn_gpu.tile.first
// CHECK: attn_gpu.fill %[[K]][
// CHECK: attn_gpu.fill %[[Q]][{{.*}} records(
// CHECK: scf.while
// CHECK: attn_gpu.tile.fetch
// CHECK: scf.for
// CHECK: attn_gpu.fill %[[K]][
// CHECK: attn_gpu.fill %[[V]][
// CHECK: attn_gpu.publish %[[Q]]
// CHECK: attn_gpu.role mma groups(2) registers(240)
// CHECK: attn_gpu.record %[[Q]]
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.await {{.*}} keep 0
// CHECK: attn_gpu.mask
// CHECK: scf.while
// The loop of full tiles.
// CHECK: scf.for
// CHECK: attn_gpu.wait %[[K]]
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.wait %[[V]]
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.await {{.*}} keep 1
// CHECK: attn_gpu.release %[[K]]
// CHECK-NOT: attn_gpu.mask
// CHECK: attn_gpu.reduce max
// CHECK: attn_gpu.await {{.*}} keep 0 holds
// CHECK: attn_gpu.release %[[V]]
// CHECK: attn_gpu.rescale
// CHECK: attn_gpu.convert
// No loop of others: the first block is the one that the sequence's end may cut.
// CHECK-NOT: scf.for
// CHECK: attn_gpu.release %[[Q]]
// CHECK: attn_gpu.record %[[Q]]
// CHECK: scf.condition
// Across tiles.
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.mma.start
// CHECK: attn_gpu.await {{.*}} keep 1
// CHECK: attn_gpu.await {{.*}} keep 0
// CHECK: attn_gpu.store_tile staged
func.func @noop(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}
