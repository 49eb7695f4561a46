// RUN: fovea-opt %s -attn-verify-lowered -split-input-file -verify-diagnostics

!t = tensor<?x?x?x64xf32>
func.func @attention(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-error @below {{is left after the lowering to level 2}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// -----

// expected-error @below {{has an argument of type '!attn.block_mask<128x64>' after the lowering to level 2}}
func.func @block_mask(%bm: !attn.block_mask<128x64>) {
  return
}

// -----

func.func @size() -> i64 {
  // expected-error @below {{is left after the lowering to level 2}}
  %n = attn.size N
  return %n : i64
}

// -----

func.func @scalars(%x: i64, %c: memref<?xi32>) -> i64 {
  %y = attn.read %c[%x] : memref<?xi32> -> i64
  %z = attn.floordiv %x, %y
  return %z : i64
}

// -----

module @outer {
  module @inner {
    func.func @nested() -> i64 {
      // expected-error @below {{is left after the lowering to level 2, which takes the functions of the outermost module}}
      %n = attn.size N
      return %n : i64
    }
  }
}
