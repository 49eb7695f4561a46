// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s
// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s --check-prefix=NVVM

// A block mask: elements are read from a list by the loading role and travel
// beside the keys; whole ones take the loop without mask code.
!t = tensor<?x?x?x128xbf16>

// CHECK: %[[Q:.*]] = attn_gpu.channel "q"
// CHECK: %[[K:.*]] = attn_gpu.channel "k" {{.*}} records = 1>
// CHECK: attn_gpu.role load
// CHECK: %{{.*}}, %{{.*}}, %[[CUT:.*]] = attn_gpu.list.count %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tile(%{{.*}}) length(%{{.*}}) step 128
// CHECK: arith.select %{{.*}}, %c1, %[[CUT]]
// CHECK: %[[FIRST:.*]] = attn_gpu.list.element
// CHECK: attn_gpu.fill %[[K]][%{{.*}}], %{{.*}}[%[[FIRST]]] records(%[[FIRST]])
// The next element is read a round ahead.
// CHECK: %[[START:.*]] = attn_gpu.list.element %c0
// CHECK: scf.for {{.*}}iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %[[N0:.*]] = %[[START]])
// CHECK: %[[AHEAD:.*]] = attn_gpu.list.element
// CHECK: attn_gpu.fill %[[K]][%{{.*}}], %{{.*}}[%[[N0]]] records(%[[N0]])
// CHECK: scf.yield %{{.*}}, %[[N0]], %[[AHEAD]]
// CHECK: attn_gpu.role mma
// CHECK-NOT: attn_gpu.list
// CHECK: attn_gpu.record %[[Q]]
// CHECK: attn_gpu.record %[[K]]
// A full tile is one whatever the mask says; the first block may be of one, and
// cut.
// CHECK: %[[FULL:.*]] = arith.cmpi ne
// CHECK: %[[WHOLE:.*]] = arith.cmpi sge
// CHECK: %[[ALL:.*]] = arith.andi %[[FULL]], %[[WHOLE]]
// CHECK: attn_gpu.mask %{{.*}} full(%[[ALL]]) {
// CHECK: arith.ori %{{.*}}, %[[FULL]]
// CHECK: scf.while
// CHECK: scf.for
// CHECK: attn_gpu.wait %[[K]]
// CHECK-NOT: attn_gpu.record
// CHECK-NOT: attn_gpu.mask
// CHECK: attn_gpu.convert
// CHECK: scf.for
// CHECK: attn_gpu.wait %[[K]]
// CHECK: %[[MASKED:.*]] = attn_gpu.record %[[K]]
// CHECK: attn_gpu.release %[[K]]
// CHECK: attn_gpu.mask %{{.*}} at(%{{.*}}, %[[MASKED]])
// CHECK: scf.condition

// One warp a row sorts the classes.
// NVVM: llvm.func @listed_kernel({{.*}}\22block_mask\22:true
// NVVM: llvm.func @listed_lists({{.*}}nvvm.kernel, nvvm.maxntid = array<i32: 32, 1, 1>
// NVVM: llvm.nvvm.vote.ballot.sync
func.func @listed(%q: !t, %k: !t, %v: !t, %c: f32, %blocks: !attn.block_mask<?x?>) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) block_mask(%blocks) mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32, !attn.block_mask<?x?>) -> !t
  return %o : !t
}
