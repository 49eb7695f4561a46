// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 index-bits=64' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=WIDE

!t = tensor<?x?x?x64xf32>

// doc[m] is gathered once a panel, doc[n] is a scalar load a key, the compared
// lanes are 32 bits wide.
// CHECK-LABEL: llvm.func @document_run(
// CHECK: llvm.intr.masked.gather
// CHECK: scf.for
// CHECK: scf.for
// CHECK-NOT: gather
// CHECK: %[[N:.*]] = llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> i32
// CHECK: arith.cmpi eq, %{{.*}}, %{{.*}} : vector<32xi32>
// CHECK: llvm.bitcast %{{.*}} : vector<32xi1> to i32
// CHECK-NOT: gather
// CHECK: llvm.return
func.func @document(%q: !t, %k: !t, %v: !t, %doc: tensor<?xi32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%doc) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %d: tensor<?xi32>):
    %x = attn.read %d[%m] : tensor<?xi32> -> i64
    %y = attn.read %d[%n] : tensor<?xi32> -> i64
    %keep = arith.cmpi eq, %x, %y : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, tensor<?xi32>, f32) -> !t
  return %o : !t
}

// What a head alone decides is computed once an item, outside all key loops;
// positions are promised to fit 30 bits, so m − n is a 32-bit lane.
// CHECK-LABEL: llvm.func @alibi_run(
// CHECK: arith.divf %{{.*}} : f32
// CHECK: scf.for
// CHECK-NOT: arith.divf %{{.*}} : f32
// CHECK: arith.subi %{{.*}}, %{{.*}} : vector<32xi32>
// CHECK: arith.sitofp %{{.*}} : vector<32xi32> to vector<32xf32>
// CHECK: llvm.return
// WIDE-LABEL: llvm.func @alibi_run(
// WIDE: arith.subi %{{.*}}, %{{.*}} : vector<32xi64>
// WIDE: llvm.return
func.func @alibi(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %one = arith.constant 1.0 : f32
    %hf = arith.sitofp %h : i64 to f32
    %h1 = arith.addf %hf, %one : f32
    %slope = arith.divf %one, %h1 : f32
    %d = arith.subi %n, %m : i64
    %f = arith.sitofp %d : i64 to f32
    %bias = arith.mulf %slope, %f : f32
    %r = arith.addf %s, %bias : f32
    attn.yield %r : f32
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// Vectors have no division by 64 bits: a head's divisor is cut down to what a
// lane holds, once an item, and the lanes divide as 32 bits do, in f64.
// CHECK-LABEL: llvm.func @quotient_run(
// CHECK: arith.minsi %{{.*}}, %{{.*}} : i64
// CHECK: arith.maxsi %{{.*}}, %{{.*}} : i64
// CHECK: scf.for
// CHECK-NOT: arith.divsi %{{.*}} : vector
// CHECK: arith.divf %{{.*}} : vector<32xf64>
// CHECK-NOT: arith.divsi %{{.*}} : vector
// CHECK: llvm.return
func.func @quotient(%q: !t, %k: !t, %v: !t, %w: tensor<?xi64>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%w) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %widths: tensor<?xi64>):
    %width = attn.read %widths[%h] : tensor<?xi64> -> i64
    %d = arith.subi %m, %n : i64
    %x = attn.floordiv %d, %width
    %y = attn.mod %d, %width
    %z = arith.addi %x, %y : i64
    %f = arith.sitofp %z : i64 to f32
    %r = arith.addf %s, %f : f32
    attn.yield %r : f32
  } : (!t, !t, !t, tensor<?xi64>, f32) -> !t
  return %o : !t
}

// A table read at m − n: one load where the lanes' range is inside, a clamped
// gather elsewhere.
// CHECK-LABEL: llvm.func @table_run(
// CHECK-COUNT-2: llvm.x86.avx512.permvar.sf.512
// CHECK: scf.if %{{.*}} -> (vector<32xf32>) {
// CHECK-NEXT: llvm.getelementptr
// CHECK-NEXT: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<32xf32>
// CHECK: } else {
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: llvm.intr.masked.gather
// CHECK: llvm.return
func.func @table(%q: !t, %k: !t, %v: !t, %t: tensor<?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%t) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %table: tensor<?xf32>):
    %d = arith.subi %m, %n : i64
    %x = attn.read %table[%d] : tensor<?xf32> -> f32
    %r = arith.addf %s, %x : f32
    attn.yield %r : f32
  } : (!t, !t, !t, tensor<?xf32>, f32) -> !t
  return %o : !t
}

// An index that is proved in range is read as it is: a position is not below 0,
// and min(x, size - 1) and x % size lie below the size. What neither says is
// clamped on that side alone.
// CHECK-LABEL: llvm.func @proved_run(
// CHECK: llvm.intr.masked.gather
// CHECK-NOT: arith.maxsi {{.*}} : vector
// CHECK: scf.for
// CHECK: %[[NEAR:.*]] = arith.minsi %{{.*}}, %{{.*}} : vector<32xi64>
// CHECK-NOT: arith.minsi
// CHECK-NOT: arith.maxsi
// CHECK: llvm.intr.masked.gather
// CHECK-NOT: arith.minsi {{.*}} : vector
// CHECK-NOT: arith.maxsi {{.*}} : vector
// CHECK: llvm.intr.masked.gather
// CHECK: llvm.return
func.func @proved(%q: !t, %k: !t, %v: !t, %t: tensor<?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%t) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %table: tensor<?xf32>):
    %one = arith.constant 1 : i64
    %two = arith.constant 2 : i64
    %size = attn.extent %table, 0 : tensor<?xf32>
    %last = arith.subi %size, %one : i64
    %d = arith.subi %m, %n : i64
    %far = math.absi %d : i64
    %near = arith.minsi %far, %last : i64
    %x = attn.read %table[%near] : tensor<?xf32> -> f32
    %scaled = arith.muli %m, %two : i64
    %a = attn.read %table[%scaled] : tensor<?xf32> -> f32
    %round = attn.mod %d, %size
    %y = attn.read %table[%round] : tensor<?xf32> -> f32
    %s1 = arith.addf %s, %x : f32
    %s2 = arith.addf %s1, %y : f32
    %s3 = arith.addf %s2, %a : f32
    attn.yield %s3 : f32
  } : (!t, !t, !t, tensor<?xf32>, f32) -> !t
  return %o : !t
}

// Integer code whose values do not fit 32 bits takes 64-bit lanes.
// CHECK-LABEL: llvm.func @large_run(
// CHECK: arith.muli %{{.*}}, %{{.*}} : vector<32xi64>
// CHECK: llvm.return
func.func @large(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %zero = arith.constant 0 : i64
    %three = arith.constant 3 : i64
    %p = arith.muli %m, %n : i64
    %x = attn.mod %p, %three
    %keep = arith.cmpi eq, %x, %zero : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
