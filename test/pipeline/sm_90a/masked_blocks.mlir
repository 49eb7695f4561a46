// RUN: split-file %s %t
// RUN: fovea-opt %t/causal.mlir -fovea-attn-gpu-pipeline | FileCheck %s --check-prefix=ONE
// RUN: fovea-opt %t/late.mlir -fovea-attn-gpu-pipeline | FileCheck %s --check-prefix=MORE
// RUN: fovea-opt %t/wide.mlir -fovea-attn-gpu-pipeline="schedule=branch=0" | FileCheck %s --check-prefix=MORE
// RUN: fovea-opt %t/wide.mlir -fovea-attn-gpu-pipeline | FileCheck %s --check-prefix=BRANCH
// RUN: fovea-opt %t/window.mlir -fovea-attn-gpu-pipeline | FileCheck %s --check-prefix=MORE
// RUN: fovea-opt %t/wide.mlir -fovea-sm90a-pipeline="schedule=branch=0" | FileCheck %s --check-prefix=ROUND
// RUN: fovea-opt %t/wide.mlir -fovea-sm90a-pipeline | FileCheck %s --check-prefixes=ROUND,OR

// The diagonal of a causal mask is one block, as tiles have 128 queries and 128
// keys: the first one, which stands before the loop. A mask that is one key
// wider has two, a tile of 128 by 80 three, a window another at its far end; the
// loading role then carries more, and takes more registers.

// ONE: attn_gpu.role load groups(1) registers(24)
// ONE: attn_gpu.role mma
// ONE: attn_gpu.mask
// ONE: scf.while
// ONE: scf.for
// ONE-NOT: attn_gpu.mask
// ONE-NOT: scf.for
// ONE: scf.condition

// MORE: attn_gpu.role load groups(1) registers(40)
// MORE: attn_gpu.role mma
// MORE: scf.while
// MORE: scf.for
// MORE-NOT: attn_gpu.mask
// MORE: scf.for
// MORE: attn_gpu.mask
// MORE: scf.condition

// With a branch there is one loop, whose blocks need their mask or not; pins go
// round its last await too.

// BRANCH: attn_gpu.specialize pin 5 branch
// BRANCH: attn_gpu.role mma
// BRANCH: scf.while
// BRANCH: scf.for %[[PLACE:.*]] = %c1
// BRANCH: %[[FULL:.*]] = arith.cmpi slt, %[[PLACE]], %
// BRANCH: attn_gpu.mask {{.*}} full(%[[FULL]])
// BRANCH: attn_gpu.pin before
// BRANCH-NOT: scf.for
// BRANCH: scf.condition

// Behind the first one a block that the mask leaves whole goes round it; so do
// all full ones of a loop that has others.
// ROUND-COUNT-4: wgmma.mma_async
// ROUND: llvm.icmp "sge" %{{.*}} : i32
// ROUND: llvm.icmp "sge" %{{.*}} : i32
// ROUND: llvm.and
// OR: llvm.or %{{.*}} : i1
// ROUND: llvm.cond_br

//--- causal.mlir
!t = tensor<?x?x?x128xbf16>
func.func @causal(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %0 = arith.cmpi sle, %n, %m : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

//--- late.mlir
!t = tensor<?x?x?x128xbf16>
func.func @late(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %one = arith.constant 1 : i64
    %last = arith.addi %m, %one : i64
    %0 = arith.cmpi sle, %n, %last : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

//--- wide.mlir
!t = tensor<?x?x?x256xbf16>
func.func @wide(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %0 = arith.cmpi sle, %n, %m : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

//--- window.mlir
!t = tensor<?x?x?x128xbf16>
func.func @window(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = arith.constant 1000 : i64
    %d = arith.subi %m, %n : i64
    %0 = arith.cmpi sle, %n, %m : i64
    %1 = arith.cmpi slt, %d, %w : i64
    %2 = arith.andi %0, %1 : i1
    attn.yield %2 : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
