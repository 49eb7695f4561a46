// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse | FileCheck %s

!t = tensor<?x?x?x64xf32>
!p = tensor<?xi64>

// Everything is visible: one full segment up to the sequence's end.
// CHECK-LABEL: func.func @dense(
// CHECK-SAME: %[[Q:[a-z0-9]+]]: memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>> {attn.name = "q"}
// CHECK-SAME: %{{.*}}: memref<?xi64> {attn.name = "q_offset"}, %{{.*}}: memref<?xi64> {attn.name = "kv_offset"}, %{{.*}}: memref<?xi64> {attn.name = "q_lengths"}, %[[KL:[a-z0-9]+]]: memref<?xi64> {attn.name = "kv_lengths"}, %[[OUT:[a-z0-9]+]]: memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>> {attn.name = "out"})
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[N:.*]] = memref.dim
// CHECK: online.grid (%{{.*}}, %{{.*}}, %{{.*}}) in ({{.*}}) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>)
// CHECK: online.walk.segments step 256 [%[[C0]], %{{.*}}) full : !online.walk
// CHECK: %[[X:.*]] = online.dot
// CHECK: %[[VIS:.*]] = online.mask at(%{{.*}}, %{{.*}}) class(%{{.*}}) : tensor<192x256xi1>
// CHECK: online.step %{{.*}}, %[[X]], %{{.*}} visible(%[[VIS]] : tensor<192x256xi1>) scale(%{{.*}} : f32) normalizer #attn.softmax
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// Rows from q_lengths[b] on are tiles of their own that see no key.
// CHECK-LABEL: func.func @lengths
// CHECK: %[[LEN:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: %[[KEYS:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: %[[LIVE:.*]] = arith.cmpi slt, %{{.*}}, %{{.*}} : index
// CHECK: %[[ROW:.*]] = arith.select %[[LIVE]]
// CHECK: %[[END:.*]] = arith.select %[[LIVE]], %[[LEN]], %{{.*}} : index
// CHECK: %[[SEES:.*]] = arith.andi %[[LIVE]]
// CHECK: %[[KEYEND:.*]] = arith.select %[[SEES]], %[[KEYS]], %{{.*}} : index
// CHECK: online.walk.segments step 256 [%{{.*}}, %[[KEYEND]]) full
// CHECK: online.view %{{.*}}[%{{.*}}, %{{.*}}] len(%[[END]]) {{.*}} -> <?x64xf32, ragged>
// CHECK: online.store %{{.*}}, %{{.*}}[%[[ROW]]]
func.func @lengths(%q: !t, %k: !t, %v: !t, %c: f32, %ql: !p, %kl: !p) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    q_lengths(%ql) kv_lengths(%kl) : (!t, !t, !t, f32, !p, !p) -> !t
  return %o : !t
}

// CHECK-LABEL: func.func @causal
// CHECK: online.walk.segments step 256 [%c0, %[[FULL:.*]]) full, [%[[FULL]], %{{.*}}) partial : !online.walk
func.func @causal(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// CHECK-LABEL: func.func @window
// CHECK: online.walk.segments step 256 [%[[LO:.*]], %[[A:.*]]) partial, [%[[A]], %[[B:.*]]) full, [%[[B]], %[[HI:.*]]) partial : !online.walk
func.func @window(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = arith.constant 1024 : i64
    %d = arith.subi %m, %n : i64
    %causal = arith.cmpi sge, %m, %n : i64
    %near = arith.cmpi sle, %d, %w : i64
    %keep = arith.andi %causal, %near : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// Sinks and a window: two intervals, the keys between them are never visited.
// CHECK-LABEL: func.func @sinks
// CHECK: online.walk.segments step 256 [%c0, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial, [%{{.*}}, %{{.*}}) partial, [%{{.*}}, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial : !online.walk
func.func @sinks(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = arith.constant 1024 : i64
    %four = arith.constant 4 : i64
    %d = arith.subi %m, %n : i64
    %near = arith.cmpi slt, %d, %w : i64
    %sink = arith.cmpi slt, %n, %four : i64
    %either = arith.ori %near, %sink : i1
    %causal = arith.cmpi sge, %m, %n : i64
    %keep = arith.andi %causal, %either : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// The prefix of a sequence is read once an item, before the sweep.
// CHECK-LABEL: func.func @prefix
// CHECK: %[[B:.*]] = arith.index_cast
// CHECK: %[[P:.*]] = attn.read %{{.*}}[%[[B]]] : memref<?xi32, strided<[?], offset: ?>> -> i64
// CHECK: online.walk.segments step 256 [%c0, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial : !online.walk
// CHECK: online.sweep
func.func @prefix(%q: !t, %k: !t, %v: !t, %p: tensor<?xi32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%p) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %prefix: tensor<?xi32>):
    %len = attn.read %prefix[%b] : tensor<?xi32> -> i64
    %in = arith.cmpi slt, %n, %len : i64
    %causal = arith.cmpi sge, %m, %n : i64
    %keep = arith.ori %in, %causal : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, tensor<?xi32>, f32) -> !t
  return %o : !t
}

// Heads of two kinds, all causal keys or a window and sinks: bounds that tell
// the kinds apart, read once an item.
// CHECK-LABEL: func.func @kinds
// CHECK: %[[KIND:.*]] = attn.read %{{.*}}[%{{.*}}] : memref<?xi32, strided<[?], offset: ?>> -> i64
// CHECK: %[[DENSE:.*]] = arith.cmpi eq, %[[KIND]], %{{.*}} : i64
// CHECK: arith.select %[[DENSE]]
// CHECK-NOT: online.walk.scan
// CHECK: online.walk.segments step 256 [%c0, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial, [%{{.*}}, %{{.*}}) partial, [%{{.*}}, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial : !online.walk
func.func @kinds(%q: !t, %k: !t, %v: !t, %p: tensor<?xi32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%p) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %kinds: tensor<?xi32>):
    %zero = arith.constant 0 : i64
    %four = arith.constant 4 : i64
    %w = arith.constant 1024 : i64
    %kind = attn.read %kinds[%h] : tensor<?xi32> -> i64
    %dense = arith.cmpi eq, %kind, %zero : i64
    %d = arith.subi %m, %n : i64
    %near = arith.cmpi slt, %d, %w : i64
    %sink = arith.cmpi slt, %n, %four : i64
    %either = arith.ori %near, %sink : i1
    %all = arith.ori %dense, %either : i1
    %causal = arith.cmpi sge, %m, %n : i64
    %keep = arith.andi %causal, %all : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, tensor<?xi32>, f32) -> !t
  return %o : !t
}

// What a program cannot say is not analysed: all keys are scanned.
// CHECK-LABEL: func.func @unsigned
// CHECK: online.walk.scan rows 64 step 256 at(%{{.*}}) shift(%{{.*}}) [%c0, %{{.*}}) because "the mask has an operation that its analysis cannot read" {
func.func @unsigned(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi ule, %n, %m : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// Documents have no closed form: a scan, inside the bounds of the causal part,
// in items of few rows.
// CHECK-LABEL: func.func @documents
// CHECK: online.walk.scan rows 64 step 256 at(%[[M0:.*]]) shift(%{{.*}}) [%c0, %{{.*}}) because "the mask reads a capture at key positions" {
// CHECK: ^bb0(%[[M:.*]]: i64, %[[N:.*]]: i64):
// CHECK: attn.read %{{.*}}[%[[M]]] : memref<?xi32, strided<[?], offset: ?>> -> i64
// CHECK: online.mask at(%[[M0]], %{{.*}}) class(%{{.*}}) {
// CHECK: attn.read
func.func @documents(%q: !t, %k: !t, %v: !t, %doc: tensor<?xi32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%doc) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %d: tensor<?xi32>):
    %x = attn.read %d[%m] : tensor<?xi32> -> i64
    %y = attn.read %d[%n] : tensor<?xi32> -> i64
    %same = arith.cmpi eq, %x, %y : i64
    %causal = arith.cmpi sge, %m, %n : i64
    %keep = arith.andi %same, %causal : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, tensor<?xi32>, f32) -> !t
  return %o : !t
}

// What a score hides by -inf is scanned for, too.
// CHECK-LABEL: func.func @hides
// CHECK: online.walk.scan rows 64 step 256 at(%{{.*}}) shift(%{{.*}}) [%c0, %{{.*}}) because "the score holds -inf" {
// CHECK: ^bb0(%{{.*}}: i64, %{{.*}}: i64):
// CHECK-NEXT: online.yield %true
// CHECK: online.mask at(%{{.*}}, %{{.*}}) class(%{{.*}}) : tensor<64x256xi1>
func.func @hides(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %none = arith.constant 0xFF800000 : f32
    %causal = arith.cmpi sge, %m, %n : i64
    %kept = arith.select %causal, %s, %none : f32
    attn.yield %kept : f32
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// The constant alone hides nothing where what follows is proved to stay above it.
// CHECK-LABEL: func.func @floored
// CHECK-NOT: online.walk.scan
// CHECK: online.walk.segments step 256 [%c0, %{{.*}}) full
func.func @floored(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %none = arith.constant 0xFF800000 : f32
    %least = arith.constant -30.0 : f32
    %causal = arith.cmpi sge, %m, %n : i64
    %kept = arith.select %causal, %s, %none : f32
    %floored = arith.maximumf %kept, %least : f32
    attn.yield %floored : f32
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// CHECK-LABEL: func.func @bias
// CHECK: schedule(#online.cpu_schedule<m = 192,
// CHECK: online.walk.segments step 256 [%c0, %{{.*}}) full
func.func @bias(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %one = arith.constant 1.0 : f32
    %more = arith.addf %s, %one : f32
    attn.yield %more : f32
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// A block mask's tiles; its query tiles are cut into those of the schedule.
// CHECK-LABEL: func.func @block_mask
// CHECK-SAME: %[[CLASSES:[a-z0-9]+]]: memref<?x?x?x?xi8, strided<[?, ?, ?, ?], offset: ?>> {attn.name = "block_mask"}, %[[QT:[a-z0-9]+]]: index {attn.name = "query_tile"}, %[[KT:[a-z0-9]+]]: index {attn.name = "key_tile"}
// CHECK: online.grid
// CHECK: online.walk.list %[[CLASSES]][%{{.*}}, %{{.*}}, %{{.*}}] tile(%[[KT]]) length(%{{.*}}) step 256
func.func @block_mask(%q: !t, %k: !t, %v: !t, %c: f32, %bm: !attn.block_mask<?x?>) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) block_mask(%bm)
    : (!t, !t, !t, f32, !attn.block_mask<?x?>) -> !t
  return %o : !t
}
