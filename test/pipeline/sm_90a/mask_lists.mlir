// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s
// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s --check-prefix=NVVM

// A mask without a closed form, and no block mask: the walk is a list all the
// same. Kernels that run before make it, from the mask as a function: hulls of
// what depends on one position, then, a block a row, its elements. The host has
// no part in it.
!t = tensor<?x?x?x128xbf16>
!c = tensor<?xi32>

// CHECK: func.func private @packed_visible({{.*}}%arg9: memref<?xi32, {{.*}} {attn.name = "doc"}) -> i1
// CHECK-DAG: attn.read %arg9[%arg2]
// CHECK-DAG: attn.read %arg9[%arg3]
// CHECK: return %{{.*}} : i1
// CHECK: func.func @packed({{.*}}online.visible = @packed_visible
// CHECK: attn_gpu.list.count

// Its manifest knows of no block mask; hulls lie behind the lists.
// NVVM: llvm.func @packed_kernel({{.*}}\22symbol\22:\22packed_sign\22
// NVVM-SAME: \22symbol\22:\22packed_hulls\22,\22threads\22:512
// NVVM-SAME: \22grid\22:[\22mul\22,1,1,[\22ceildiv\22,\22M\22,128]],\22symbol\22:\22packed_lists\22,\22threads\22:512
// NVVM-SAME: \22block_mask\22:false
// NVVM-NOT: block_mask.s
// A row of more than 512 elements is a range.
// NVVM-SAME: [\22min\22,[\22ceildiv\22,\22N\22,128],512]
// NVVM: llvm.func @packed_hulls({{.*}}nvvm.kernel, nvvm.maxntid = array<i32: 512, 1, 1>, nvvm.minctasm = 1
// NVVM: llvm.func @packed_lists({{.*}}nvvm.kernel, nvvm.maxntid = array<i32: 512, 1, 1>
// What bounds leave open is asked of pairs: of a tile's diagonals, then, until
// both kinds have been seen, of all.
// NVVM: llvm.nvvm.vote.ballot.sync
// NVVM: llvm.atomicrmw _and
// NVVM: llvm.atomicrmw _or
// NVVM-NOT: @packed_visible
func.func @packed(%q: !t, %k: !t, %v: !t, %doc: !c {attn.name = "doc"}, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%doc) normalizer #attn.softmax scale(%c) mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
    %x = attn.read %t[%m] : !c -> i64
    %y = attn.read %t[%n] : !c -> i64
    %same = arith.cmpi eq, %x, %y : i64
    %causal = arith.cmpi sge, %m, %n : i64
    %keep = arith.andi %same, %causal : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}

// Sizes are arguments of the function; what depends on b and h has lists of its
// own.
// CHECK: func.func private @sized_visible(
// CHECK: arith.constant 128 : i64
// CHECK: arith.muli %arg0, %arg8 : i64
// NVVM: \22grid\22:[\22mul\22,\22B\22,\22H\22,[\22ceildiv\22,\22M\22,128]],\22symbol\22:\22sized_lists\22
func.func @sized(%q: !t, %k: !t, %v: !t, %doc: !c {attn.name = "doc"}, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%doc) normalizer #attn.softmax scale(%c) mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
    %keys = attn.size N
    %row = arith.muli %b, %keys : i64
    %at = arith.addi %row, %n : i64
    %x = attn.read %t[%at] : !c -> i64
    %d = attn.size D
    %limit = arith.addi %h, %d : i64
    %keep = arith.cmpi slt, %x, %limit : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}
