// RUN: fovea-opt %s -pass-pipeline='builtin.module(fovea-attn-gpu-pipeline{schedule=groups=2,n=64,stages=3,pin=0,own_rows=1})' | FileCheck %s
// RUN: fovea-opt %s -pass-pipeline='builtin.module(fovea-sm90a-pipeline{schedule=groups=2,n=64,stages=3,pin=0,own_rows=1})' | FileCheck %s --check-prefix=NVVM

// Two warpgroups with a row of a block mask each: one list for both, in whose
// elements each finds where its next one is.
!t = tensor<?x?x?x128xbf16>

// Partial tiles that lie where the mask holds are known.
// CHECK: #[[SET:.*]] = affine_set<(d0, d1) : (d0 - d1 >= 0)>
// CHECK: %[[Q:.*]] = attn_gpu.channel "q"
// CHECK: %[[K:.*]] = attn_gpu.channel "k" {{.*}}<64x128xbf16, stages = 3, records = 3>
// CHECK: %[[V:.*]] = attn_gpu.channel "v" {{.*}}<64x128xbf16, stages = 4, records = 0>
// CHECK: attn_gpu.role load
// CHECK: %[[USES:.*]], %[[OWN:.*]]:8 = attn_gpu.joint.count {{.*}} sorted of %{{.*}} step 64 reach 7 {visible = #[[SET]]}
// CHECK: %[[N0:.*]], %[[LINKS:.*]]:2 = attn_gpu.joint.element %c0 {{.*}} {visible = #[[SET]]}
// CHECK: attn_gpu.fill %[[K]][%c0], {{.*}} records(%[[N0]], %[[LINKS]]#0, %[[LINKS]]#1) readers(%[[LINKS]]#0, %[[LINKS]]#1)
// Each one's queries from where its row is.
// CHECK: %[[SECOND:.*]] = arith.subi %[[OWN]]#7, %c64
// CHECK: attn_gpu.fill %[[Q]][%c0], %{{.*}}[%[[OWN]]#3, %[[OWN]]#7] records({{.*}}, %[[OWN]]#0, {{.*}}, %[[OWN]]#3, {{.*}}, %[[SECOND]])
// A second warp fills the values, and is told the tiles that the first takes.
// CHECK: attn_gpu.tile.fetch of %{{.*}} number
// CHECK: scf.for
// CHECK: attn_gpu.fill %[[V]][{{.*}}] readers({{.*}}) warp 1
// CHECK: attn_gpu.role mma
// CHECK: %[[RECORD:.*]]:9 = attn_gpu.record %[[Q]][%c0] own 4
// CHECK: attn_gpu.wait %[[K]][%[[RECORD]]#5]
// CHECK: %[[FIRST:.*]]:2 = attn_gpu.record %[[K]][%[[RECORD]]#5] own 1
// A number of elements on, the warpgroup's next one follows.
// CHECK: %[[FAR:.*]] = arith.divui %[[FIRST]]#1, %c8
// CHECK: arith.addi %[[RECORD]]#5, %[[FAR]]
// Whole ones first, without a mask.
// CHECK: scf.while
// CHECK: scf.for
// CHECK: attn_gpu.wait %[[K]][%[[USE:.*]]] :
// CHECK: attn_gpu.wait %[[V]][%[[BEFORE:.*]]] :
// CHECK: attn_gpu.record %[[K]][%[[USE]]] own 1
// CHECK-NOT: attn_gpu.mask
// CHECK: attn_gpu.release %[[V]][%[[BEFORE]]]
// CHECK: scf.yield {{.*}}, %[[USE]], %
// CHECK: scf.for
// CHECK: attn_gpu.mask

// What a warpgroup does not read it need not give back: four warps arrive.
// NVVM: llvm.func @listed_kernel
// NVVM: mbarrier.arrive.shared::cta.b64 _, [$0], 4;
// NVVM: st.volatile.shared.v2.b32
// NVVM: ld.volatile.shared.v2.b32
// NVVM: llvm.func @listed_lists({{.*}}nvvm.kernel, nvvm.maxntid = array<i32: 256, 1, 1>
func.func @listed(%q: !t, %k: !t, %v: !t, %c: f32, %blocks: !attn.block_mask<?x?>) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) block_mask(%blocks) mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32, !attn.block_mask<?x?>) -> !t
  return %o : !t
}

// Three of them, as D 128 has room for.
// RUN: fovea-opt %s -pass-pipeline='builtin.module(fovea-attn-gpu-pipeline{schedule=block_q=64,block_kv=64})' | FileCheck %s --check-prefix=THREE
// THREE: own_rows = true
// THREE: attn_gpu.channel "q" {{.*}}<192x128xbf16, stages = 1, records = {{[0-9]+}}>
// THREE: attn_gpu.channel "k" {{.*}}<64x128xbf16, stages = 4, records = 4>
// THREE: attn_gpu.joint.count {{.*}} step 64 reach 7
// THREE: %[[N0:.*]], %[[LINKS:.*]]:3 = attn_gpu.joint.element %c0
// THREE: attn_gpu.fill {{.*}} records(%[[N0]], %[[LINKS]]#0, %[[LINKS]]#1, %[[LINKS]]#2) readers(%[[LINKS]]#0, %[[LINKS]]#1, %[[LINKS]]#2)
// THREE: attn_gpu.role mma groups(3) registers(152)

// RUN: not fovea-opt %S/per_batch.mlir -fovea-sm90a-pipeline=schedule=own_rows=1,n=64,ping_pong=0 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: sm_90a kernels do not have own_rows without a block mask
