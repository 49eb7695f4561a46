// RUN: fovea-opt %s -fovea-attn-gpu-pipeline=schedule=cluster=2 | FileCheck %s
// RUN: fovea-opt %s -fovea-sm90a-pipeline=schedule=cluster=2 | FileCheck %s --check-prefix=KERNEL
// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s --check-prefix=USUAL
// RUN: not fovea-opt %s -fovea-sm90a-pipeline="per-batch schedule=cluster=2" 2>&1 | FileCheck %s --check-prefix=WHOLE
// RUN: not fovea-opt %S/lists.mlir -fovea-sm90a-pipeline=schedule=cluster=2 2>&1 | FileCheck %s --check-prefix=WHOLE
// WHOLE: schedule: cluster=2 takes whole sequences without a block mask

// Keys and values are the business of two blocks of threads, queries of each.
// CHECK: attn_gpu.channel "q" {{.*}}records = {{[0-9]+}}>
// CHECK: attn_gpu.channel "k" {{.*}}cluster = 2>
// CHECK: attn_gpu.channel "v" {{.*}}cluster = 2>
// CHECK: attn_gpu.role load groups(1) registers(24)
// The tile is taken before the last block, and told behind it.
// CHECK: %[[T:.*]] = attn_gpu.tile.fetch of %{{.*}} cluster 2
// CHECK: scf.for
// CHECK: attn_gpu.tile.share %[[T]] number %{{.*}}
// CHECK: scf.condition

// KERNEL: llvm.func @causal_kernel
// One of two boxes of 64 columns.
// KERNEL-SAME: \22box\22:[64,128,1,1,1]
// KERNEL-SAME: \22box\22:[64,128,2,1,1]
// KERNEL-SAME: \22box\22:[64,128,1,1,1]
// KERNEL-SAME: q: a cluster takes an even number of heads a key head\22,\22if\22:[\22eq\22,[\22mod\22,\22H\22,[\22mul\22,2,\22Hk\22]],0]
// KERNEL-NOT: in_clusters
// KERNEL-SAME: cluster=2\22
// KERNEL-SAME: nvvm.cluster_dim = array<i32: 2, 1, 1>
// Four warps of two groups of two blocks.
// KERNEL: %[[ALL:.*]] = llvm.mlir.constant(16 : i32) : i32
// KERNEL: mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}" %{{.*}}, %[[ALL]]
// KERNEL: barrier.cluster.arrive.aligned
// KERNEL: .multicast::cluster
// KERNEL: st.async.shared::cluster.mbarrier::complete_tx::bytes.b32
// KERNEL: mbarrier.try_wait.parity.acquire.cluster
// KERNEL: mbarrier.arrive.shared::cluster.b64 _
// KERNEL: barrier.cluster.arrive;

// The usual form says which launches this one is for.
// USUAL: llvm.func @causal_kernel
// USUAL-SAME: \22in_clusters\22:[\22mul\22,[\22eq\22,[\22mod\22,\22H\22,[\22mul\22,2,\22Hk\22]],0],[\22le\22,4096,\22N\22],[\22le\22,262144,[\22mul\22,\22D\22
// USUAL-NOT: cluster_dim

!t = tensor<?x?x?x128xbf16>
!p = tensor<?xi64>
func.func @causal(%q: !t {attn.name = "q"}, %k: !t {attn.name = "k"}, %v: !t {attn.name = "v"}, %c: f32, %qo: !p {attn.name = "q_offset"}, %ko: !p {attn.name = "kv_offset"}, %ql: !p {attn.name = "q_lengths"}, %kl: !p {attn.name = "kv_lengths"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) q_offset(%qo) kv_offset(%ko) q_lengths(%ql) kv_lengths(%kl)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %0 = arith.cmpi sle, %n, %m : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, f32, !p, !p, !p, !p) -> !t
  return %o : !t
}
