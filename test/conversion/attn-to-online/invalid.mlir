// RUN: fovea-opt %s -convert-attn-to-online -split-input-file -verify-diagnostics

!t = tensor<?x?x?x64xf32>
func.func @two(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-note @below {{first one here}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  // expected-error @below {{a fused function holds one 'attn.attention', this is another}}
  %p = attn.attention query(%o) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %p : !t
}

// -----

!t = tensor<?x?x?x64xf32>
!l = tensor<?x?x?xf32>
func.func @merge(%a: !t, %b: !t, %x: !l, %y: !l) -> (!t, !l) {
  // expected-error @below {{stands alone: level 2 starts from an 'attn.attention'}}
  %o, %l = attn.merge outs(%a, %b) lses(%x, %y) : !t, !l
  return %o, %l : !t, !l
}

// -----

!t = tensor<?x?x?x64xf32>
func.func @tensor_op(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-error @below {{is not fused with 'attn.attention': a function holds the op and scalars alone}}
  %k2 = tensor.cast %k : !t to tensor<1x?x?x64xf32>
  %o = attn.attention query(%q) key(%k2) value(%v) normalizer #attn.softmax scale(%c) : (!t, tensor<1x?x?x64xf32>, !t, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xf32>
func.func @returns(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  // expected-error @below {{must return out, or out and lse, of the function's 'attn.attention'}}
  return %q : !t
}

// -----

!t = tensor<?x?x?x64xf32>
func.func @param(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    // expected-error @below {{compile-time parameter 'W' is not bound: run -attn-bind-params}}
    %w = attn.param "W" = 64 : i64
    %d = arith.subi %m, %n : i64
    %keep = arith.cmpi slt, %d, %w : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xf32>
func.func @scalar(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-error @below {{is computed from an argument that is not an operand of 'attn.attention'}}
  %d = arith.mulf %c, %c : f32
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%d) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xf32>
func.func @nested(%q: !t, %c: f32, %lb: index, %ub: index) -> !t {
  %r = scf.for %i = %lb to %ub step %ub iter_args(%a = %q) -> !t {
    // expected-error @below {{must stand in the function's own block, not within 'scf.for'}}
    %o = attn.attention query(%a) key(%a) value(%a) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
    scf.yield %o : !t
  }
  return %r : !t
}

// -----

!t = tensor<?x?x?x0xf32>
func.func @no_features(%q: !t, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  // expected-error @below {{query #0 must have a feature dim from 1 to 1048576 on a CPU, got 0}}
  %o = attn.attention query(%q) key(%q) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// A schedule's bytes would not fit 64 bits.
!t = tensor<?x?x?x8xf32>
!huge = tensor<?x?x?x2305843009213693952xf32>
func.func @huge_values(%q: !t, %v: !huge, %c: f32) -> !huge {
  // expected-error @below {{value must have a feature dim from 0 to 1048576 on a CPU, got 2305843009213693952}}
  %o = attn.attention query(%q) key(%q) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !huge, f32) -> !huge
  return %o : !huge
}

// -----

!t = tensor<?x?x?x8xf32>
!huge = tensor<?x?x?x1152921504606846976xf32>
func.func @huge_queries(%q: !huge, %v: !t, %c: f32) -> !t {
  // expected-error @below {{query #0 must have a feature dim from 1 to 1048576 on a CPU, got 1152921504606846976}}
  %o = attn.attention query(%q) key(%q) value(%v) normalizer #attn.softmax scale(%c) : (!huge, !huge, !t, f32) -> !t
  return %o : !t
}
