// RUN: split-file %s %t
// RUN: fovea-opt %t/causal.mlir -fovea-attn-gpu-pipeline="schedule=edges=1" | FileCheck %s
// RUN: fovea-opt %t/causal.mlir -fovea-attn-gpu-pipeline="schedule=groups=2,edges=1" | FileCheck %s --check-prefix=FIRST
// RUN: fovea-opt %t/prefix.mlir -fovea-attn-gpu-pipeline="schedule=edges=1" | FileCheck %s --check-prefix=NONE
// RUN: fovea-opt %t/causal.mlir -fovea-sm90a-pipeline="schedule=edges=1" | FileCheck %s --check-prefix=TEXT

// A tile of 192 queries has two blocks at its diagonal: the second one comes
// last, in the loop over other blocks, and not all of its warpgroups see it. So
// many of its keys take part as are not behind the last of a warpgroup's rows:
// m0 + 64 · group + 63 − n0 + 1. Where there is none there is no softmax
// either; the last block's outputs, behind the loops, leave out the same keys.

// CHECK: attn_gpu.specialize {{.*}}edges
// CHECK: attn_gpu.role mma groups(3)
// CHECK-NOT: keys(
// CHECK: scf.while
// CHECK: scf.for
// CHECK-NOT: keys(
// CHECK: scf.for {{.*}} iter_args({{.*}} = %c128{{[_0-9]*}})
// CHECK: %[[GROUP:.*]] = attn_gpu.group
// CHECK: %[[ROWS:.*]] = arith.muli %[[GROUP]], %c64
// CHECK: %[[ROW:.*]] = arith.addi %{{.*}}, %[[ROWS]]
// CHECK: %[[BEGIN:.*]] = arith.subi %c1{{[_0-9]*}}, %[[N0:.*]] : index
// CHECK: %[[LAST:.*]] = arith.addi %[[ROW]], %c63
// CHECK: %[[KEYS:.*]] = arith.addi %[[BEGIN]], %[[LAST]]
// CHECK: attn_gpu.mma.start {{.*}} transposed keys(%[[KEYS]])
// CHECK-NOT: keys(
// CHECK: %[[SEEN:.*]] = arith.cmpi sgt, %[[KEYS]], %c0
// CHECK: %{{.*}}:4 = scf.if %[[SEEN]]
// CHECK: attn_gpu.mask %{{.*}} at(%{{.*}}, %[[N0]])
// CHECK: } else {
// CHECK: attn_gpu.splat %{{.*}} : f32
// CHECK: attn_gpu.zero : !attn_gpu.frag<64x128xf32, quad>
// CHECK: attn_gpu.await
// CHECK: scf.yield {{.*}}, %[[KEYS]] :
// CHECK: scf.condition
// CHECK: attn_gpu.mma.start {{.*}} transposed : {{.*}}
// CHECK: attn_gpu.mma.start {{.*}} acc({{.*}}) keys(%{{.*}})
// CHECK: attn_gpu.mma.start {{.*}} acc({{.*}}) keys(%{{.*}})

// One of 128 has one, the first: only its scores, which stand in front of the
// loops and at their end.

// FIRST: attn_gpu.role mma groups(2)
// FIRST: attn_gpu.mma.start {{.*}} transposed keys(
// FIRST: scf.for
// FIRST-NOT: keys(
// FIRST: scf.condition
// FIRST: attn_gpu.mma.start {{.*}} transposed keys(
// FIRST-NOT: keys(
// FIRST: scf.yield

// NONE: attn_gpu.specialize {{.*}}edges
// NONE-NOT: keys(

// Outputs are left between steps. The first step of scores is whole, the others
// are behind a branch each way.

// TEXT: llvm.func @causal_kernel
// TEXT: setp.le.s32 p, $97, 0;\0A@p bra.uni END;
// TEXT-SAME: setp.le.s32 p, $97, 64;\0A@p bra.uni END;\0Awgmma.fence.sync.aligned;
// TEXT-SAME: END:\0Awgmma.fence.sync.aligned;\0Awgmma.commit_group.sync.aligned;
// TEXT: setp.le.s32 p, $97, 0;
// TEXT: setp.le.s32 p, $66, 0;\0A@p bra.uni END;\0Asetp.le.s32 p, $66, 64;\0A@p bra.uni HALF;\0Awgmma.fence.sync.aligned;
// TEXT-SAME: bra.uni END;\0AHALF:\0Awgmma.fence.sync.aligned;
// TEXT-SAME: m64n64k16
// TEXT-SAME: END:\0Awgmma.fence.sync.aligned;\0Awgmma.commit_group.sync.aligned;

//--- causal.mlir
!t = tensor<?x?x?x64xbf16>
func.func @causal(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

//--- prefix.mlir
!t = tensor<?x?x?x64xbf16>
func.func @prefix(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %c100 = arith.constant 100 : i64
    %near = arith.cmpi sge, %m, %n : i64
    %early = arith.cmpi slt, %n, %c100 : i64
    %keep = arith.ori %near, %early : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
