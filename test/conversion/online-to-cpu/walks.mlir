// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s

!t = tensor<?x?x?x64xf32>

// A scan takes the runs of the call, else one partial run over all keys.
// CHECK-LABEL: llvm.func @documents_run(
// CHECK: %[[NONE:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: %[[HAS:.*]] = llvm.icmp "ne" %[[GIVEN:.*]], %[[NONE]] : !llvm.ptr
// CHECK: llvm.select %[[HAS]], %[[GIVEN]], %{{.*}} : i1, !llvm.ptr
// What the next item reads is known before this one is packed: the keys that
// its tiles have beside this one's, where both are of one head; a block at most.
// CHECK: scf.for %[[ITEM:.*]] = %arg1 to %arg2
// CHECK: %[[FOLLOWING:.*]] = arith.select %{{.*}}, %{{.*}}, %arg3 : i64
// CHECK: scf.for %[[WHICH:.*]] = %c0_i64{{[_0-9]*}} to %c2_i64{{[_0-9]*}} step %{{.*}} iter_args(%[[FROM:.*]] = %{{.*}}, %[[TO:.*]] = %{{.*}}, %[[ROWS:.*]] = %{{.*}}) -> (i64, i64, !llvm.ptr)
// CHECK: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[WHICH]], %c0_i64{{[_0-9]*}} : i64
// CHECK: arith.select %[[IS_FIRST]], %[[ITEM]], %[[FOLLOWING]] : i64
// CHECK: %[[KEYS:.*]]:2 = scf.if
// CHECK: arith.extui %{{.*}} : i32 to i64
// CHECK: %[[LATER:.*]] = arith.cmpi sle, %[[FROM]], %[[KEYS]]#0 : i64
// CHECK: %[[WITHIN:.*]] = arith.cmpi slt, %[[KEYS]]#0, %[[TO]] : i64
// CHECK: %[[JOINS:.*]] = arith.andi %[[LATER]], %[[WITHIN]] : i1
// CHECK: %[[SAME:.*]] = llvm.icmp "eq" %[[OWN:.*]], %[[ROWS]] : !llvm.ptr
// CHECK: %[[FOLLOWS:.*]] = arith.andi %[[JOINS]], %[[SAME]] : i1
// CHECK: %[[NEW:.*]] = arith.select %[[FOLLOWS]], %[[TO]], %[[KEYS]]#0 : i64
// CHECK: %[[MORE:.*]] = arith.subi %[[KEYS]]#1, %[[NEW]] : i64
// CHECK: arith.minsi %[[MORE]], %c256_i64{{[_0-9]*}} : i64
// CHECK: scf.yield %[[KEYS]]#0, %[[KEYS]]#1, %[[OWN]] : i64, i64, !llvm.ptr
// CHECK: llvm.call @documents_pack(
// A run gives its class and its end; empty ones have no block.
// CHECK: %[[ENTRY:.*]] = arith.extui %{{.*}} : i32 to i64
// CHECK: %[[CLASS:.*]] = arith.andi %[[ENTRY]], %c3_i64{{[_0-9]*}} : i64
// CHECK: %[[EMPTY:.*]] = arith.cmpi eq, %[[CLASS]], %c0_i64{{[_0-9]*}} : i64
// CHECK: %[[END:.*]] = arith.select %[[EMPTY]], %[[BEGIN:.*]], %{{.*}} : i64
// CHECK: %[[FULL:.*]] = arith.cmpi eq, %{{.*}}, %c2_i64{{[_0-9]*}} : i64
// CHECK: %[[KNOWN:.*]] = arith.select %[[FULL]], %[[END]], %[[BEGIN]] : i64
// A partial run after a full one shares its blocks.
// CHECK: %[[LAST:.*]] = arith.select %{{.*}}, %{{.*}}, %[[END]] : i64
// Nothing of a call that is over is computed.
// CHECK: scf.for %[[FIRST:.*]] = %[[BEGIN]] to %[[LAST]] step %c32768_i64
// CHECK: %[[OVER:.*]] = llvm.load %{{.*}} atomic monotonic
// CHECK: %[[CANCELLED:.*]] = arith.cmpi ne, %[[OVER]], %c0_i32
// CHECK: %[[UNTIL:.*]] = arith.select %[[CANCELLED]], %[[FIRST]], %{{.*}} : i64
// CHECK: scf.for %[[N0:.*]] = %[[FIRST]] to %[[UNTIL]] step %c256_i64
// CHECK: arith.subi %[[KNOWN]], %[[N0]] : i64
// The reads of the mask lie behind the class, once.
// CHECK: %[[WHOLE:.*]] = arith.cmpi sge, %{{.*}}, %{{.*}} : i64
// CHECK: scf.if %[[WHOLE]] -> (i64) {
// CHECK: } else {
// CHECK: arith.cmpi eq, %{{.*}}, %{{.*}} : vector<32xi32>
// CHECK: }
// CHECK-NOT: arith.cmpi eq, %{{.*}}, %{{.*}} : vector<32xi32>
// CHECK: llvm.return
func.func @documents(%q: !t, %k: !t, %v: !t, %doc: tensor<?xi32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%doc) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %d: tensor<?xi32>):
    %x = attn.read %d[%m] : tensor<?xi32> -> i64
    %y = attn.read %d[%n] : tensor<?xi32> -> i64
    %same = arith.cmpi eq, %x, %y : i64
    attn.yield %same : i1
  } : (!t, !t, !t, tensor<?xi32>, f32) -> !t
  return %o : !t
}

// A block mask always comes with runs.
// CHECK-LABEL: llvm.func @block_mask_run(
// CHECK-NOT: llvm.icmp "ne"
// CHECK: %[[ENTRY:.*]] = arith.extui %{{.*}} : i32 to i64
// CHECK: arith.andi %[[ENTRY]], %c3_i64{{[_0-9]*}} : i64
// CHECK: llvm.return
func.func @block_mask(%q: !t, %k: !t, %v: !t, %c: f32, %bm: !attn.block_mask<?x?>) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) block_mask(%bm)
    : (!t, !t, !t, f32, !attn.block_mask<?x?>) -> !t
  return %o : !t
}
