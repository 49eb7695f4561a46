// What every pass of the pipeline prints is read again, as text and as bytecode.
// RUN: split-file %s %t
// RUN: sh %S/Inputs/round_trip.sh %t/causal.mlir
// RUN: sh %S/Inputs/round_trip.sh %t/wide.mlir
// RUN: sh %S/Inputs/round_trip.sh %t/table.mlir
// RUN: sh %S/Inputs/round_trip.sh %t/lists.mlir
// RUN: sh %S/Inputs/round_trip.sh %t/sink.mlir

//--- causal.mlir
!t = tensor<?x?x?x64xf16>
func.func @causal(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o, %lse = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %0 = arith.cmpi sle, %n, %m : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o, %lse : !t, tensor<?x?x?xf32>
}

//--- wide.mlir
!t = tensor<?x?x?x256xbf16>
func.func @wide(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %x = math.tanh %s : f32
    attn.yield %x : f32
  }
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = arith.constant 300 : i64
    %d = arith.subi %m, %n : i64
    %0 = arith.cmpi sle, %n, %m : i64
    %1 = arith.cmpi slt, %d, %w : i64
    %2 = arith.andi %0, %1 : i1
    attn.yield %2 : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

//--- table.mlir
!t = tensor<?x?x?x128xbf16>
!c = tensor<?x?xf32>
func.func @table(%q: !t, %k: !t, %v: !t, %c: f32, %x: !c {attn.name = "table"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%x) normalizer #attn.softmax scale(%c)
    score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
    %d = arith.subi %m, %n : i64
    %a = attn.read %t[%h, %d] : !c -> f32
    %y = arith.addf %s, %a : f32
    attn.yield %y : f32
  } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}

//--- lists.mlir
!t = tensor<?x?x?x128xbf16>
!c = tensor<?xi32>
func.func @lists(%q: !t, %k: !t, %v: !t, %c: f32, %x: !c {attn.name = "doc"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%x) normalizer #attn.softmax scale(%c)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
    %i = attn.read %t[%m] : !c -> i64
    %j = attn.read %t[%n] : !c -> i64
    %0 = arith.cmpi eq, %i, %j : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}

//--- sink.mlir
attn.normalizer @sink score_type f32 captures [tensor<?xf32>]
  stat {
  ^bb0(%s: f32, %sigma: tensor<?xf32>):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf32>):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } denom {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf32>):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } seed {
  ^bb0(%b: i64, %h: i64, %m: i64, %sigma: tensor<?xf32>):
    %t0 = attn.read %sigma[%h] : tensor<?xf32> -> f32
    %l0 = arith.constant 1.0 : f32
    attn.yield %t0, %l0 : f32, f32
  }
!t = tensor<?x?x?x64xbf16>
func.func @kernel(%q: !t, %k: !t, %v: !t, %c: f32, %x: tensor<?xf32> {attn.name = "sigma"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @sink(%x) scale(%c) : (!t, !t, !t, f32, tensor<?xf32>) -> !t
  return %o : !t
}
