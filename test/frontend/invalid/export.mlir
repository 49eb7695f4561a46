// RUN: not fovea-translate --export-attn --split-input-file %s 2>&1 | FileCheck %s

// CHECK: error: 'arith.cmpi' in mask cannot be written as a program
func.func @unsigned(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      %keep = arith.cmpi uge, %m, %n : i64
      attn.yield %keep : i1
    } : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: variant 'nan': a constant is NaN, which .attn cannot write
func.func @nan(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
      %nan = arith.constant 0x7FC00000 : f32
      attn.yield %nan : f32
    } : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'arith.addf' beside 'attn.attention' cannot be written as a program
func.func @beside(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %d = arith.addf %c, %c : f32
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%d)
    : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'func.func' holds no 'attn.attention'
func.func @none(%q: tensor<?x?x?x8xf32>) -> tensor<?x?x?x8xf32> {
  return %q : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'attn.attention' is the second of its function; a program holds one
func.func @two(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  %p = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %p : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'func.func' has no body
func.func private @declared(%q: tensor<?x?x?x8xf32>)

// -----

// CHECK: error: 'func.return' must return what 'attn.attention' gives
func.func @other(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %q : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'attn.param' gives 'W' another default than before
func.func @params(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      %w = attn.param "W" = 4 : i64
      %x = attn.param "W" = 5 : i64
      %keep = arith.cmpi sge, %w, %x : i64
      attn.yield %keep : i1
    } : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'func.func' has an attn.scale that is no program
func.func @scale(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> attributes {attn.scale = "1"} {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: 'func.func' has attn.params that are no [name, value] pairs
func.func @pairs(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> attributes {attn.params = [1]} {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// -----

// CHECK: error: the module holds no variant
module {}

// -----

// CHECK: error: variant 'huge': capture 'c': size is too large: 2147483648, at most 2147483647
func.func @huge(%q: tensor<?x?x?x8xf32>, %k: tensor<?x?x?x8xf32>, %v: tensor<?x?x?x8xf32>, %x: tensor<?xf32> {attn.name = "c", attn.dims = [2147483648]}, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%x) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %t: tensor<?xf32>):
      %bias = attn.read %t[%h] : tensor<?xf32> -> f32
      %r = arith.addf %s, %bias : f32
      attn.yield %r : f32
    } : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}
