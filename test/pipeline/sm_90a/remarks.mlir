// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s

// A manifest says, for `explain`, how a kernel finds the keys that it visits.
!t = tensor<?x?x?x128xbf16>
!c = tensor<?xi32>

// CHECK-LABEL: llvm.func @noop_kernel
// CHECK-NOT: remarks
func.func @noop(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// CHECK-LABEL: llvm.func @window_kernel
// CHECK-SAME: \22remarks\22:\22keys: 3 intervals in closed form, 1 of them full; nothing is made ahead of a call\\n\22
func.func @window(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %width = arith.constant 1024 : i64
    %zero = arith.constant 0 : i64
    %d = arith.subi %m, %n : i64
    %causal = arith.cmpi sge, %d, %zero : i64
    %near = arith.cmpi slt, %d, %width : i64
    %keep = arith.andi %causal, %near : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// CHECK-LABEL: llvm.func @packed_kernel
// CHECK-SAME: \22remarks\22:\22keys: lists of tiles that the device makes at each call, as {{[^\\]+}}\\n\22
func.func @packed(%q: !t, %k: !t, %v: !t, %doc: !c {attn.name = "doc"}, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%doc) normalizer #attn.softmax scale(%c) mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
    %x = attn.read %t[%m] : !c -> i64
    %y = attn.read %t[%n] : !c -> i64
    %same = arith.cmpi eq, %x, %y : i64
    attn.yield %same : i1
  } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}

// CHECK-LABEL: llvm.func @blocks_kernel
// CHECK-SAME: \22remarks\22:\22keys: the tiles of a block mask, sorted on the device at each call\\n\22
func.func @blocks(%q: !t, %k: !t, %v: !t, %c: f32, %blocks: !attn.block_mask<?x?>) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) block_mask(%blocks) : (!t, !t, !t, f32, !attn.block_mask<?x?>) -> !t
  return %o : !t
}
