// RUN: fovea-interpret %s -interpret-attn -split-input-file -verify-diagnostics -o /dev/null

// S7
func.func @bad_index() -> tensor<1x1x1x1xf32> {
  %q = arith.constant dense<0.0> : tensor<1x1x1x1xf32>
  %t = arith.constant dense<[1, 2]> : tensor<2xi32>
  %c = arith.constant 1.0 : f32
  // expected-error @below {{index 3 of capture 'arg3' (dim 0) is out of range [0, 2) at b=0, h=0, q=0, kv=0}}
  %o = attn.attention query(%q) key(%q) value(%q) captures(%t) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %r: tensor<2xi32>):
    %three = arith.constant 3 : i64
    %x = attn.read %r[%three] : tensor<2xi32> -> i64
    %keep = arith.cmpi sge, %x, %n : i64
    attn.yield %keep : i1
  } : (tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>, tensor<2xi32>, f32) -> tensor<1x1x1x1xf32>
  return %o : tensor<1x1x1x1xf32>
}

// -----

func.func @unknown_op() -> tensor<2xf32> {
  %t = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // expected-error @below {{'arith.addf' is not interpreted at level 1}}
  %u = arith.addf %t, %t : tensor<2xf32>
  return %u : tensor<2xf32>
}

// -----

func.func @shapes() -> (tensor<?x?x?x1xf32>, tensor<?x?x?xf32>) {
  %a = arith.constant dense<0.0> : tensor<1x1x1x1xf32>
  %x = arith.constant dense<0.0> : tensor<1x1x1xf32>
  %y = arith.constant dense<0.0> : tensor<1x1x2xf32>
  // expected-error @below {{'tensor.cast' is not interpreted at level 1}}
  %z = tensor.cast %y : tensor<1x1x2xf32> to tensor<?x?x?xf32>
  %w = tensor.cast %x : tensor<1x1x1xf32> to tensor<?x?x?xf32>
  %b = tensor.cast %a : tensor<1x1x1x1xf32> to tensor<?x?x?x1xf32>
  %o, %l = attn.merge outs(%b, %b) lses(%z, %w) : tensor<?x?x?x1xf32>, tensor<?x?x?xf32>
  return %o, %l : tensor<?x?x?x1xf32>, tensor<?x?x?xf32>
}

// -----

func.func @count() -> !attn.block_mask<2x2> {
  %num = arith.constant dense<[[[0, 3]]]> : tensor<1x1x2xi32>
  %list = arith.constant dense<0> : tensor<1x1x2x2xi32>
  // expected-error @below {{count 3 is outside 0..2}}
  %bm = attn.block_mask.from_lists partial(%num, %list) : (tensor<1x1x2xi32>, tensor<1x1x2x2xi32>) -> !attn.block_mask<2x2>
  return %bm : !attn.block_mask<2x2>
}

// -----

func.func @index() -> !attn.block_mask<2x2> {
  %num = arith.constant dense<[[[0, 1]]]> : tensor<1x1x2xi32>
  %list = arith.constant dense<2> : tensor<1x1x2x2xi32>
  // expected-error @below {{index 2 is outside 0..1}}
  %bm = attn.block_mask.from_lists partial(%num, %list) : (tensor<1x1x2xi32>, tensor<1x1x2x2xi32>) -> !attn.block_mask<2x2>
  return %bm : !attn.block_mask<2x2>
}

// -----

func.func @twice() -> !attn.block_mask<2x2> {
  %num = arith.constant dense<[[[0, 2]]]> : tensor<1x1x2xi32>
  %list = arith.constant dense<1> : tensor<1x1x2x2xi32>
  // expected-error @below {{tile 1 is listed twice}}
  %bm = attn.block_mask.from_lists partial(%num, %list) : (tensor<1x1x2xi32>, tensor<1x1x2x2xi32>) -> !attn.block_mask<2x2>
  return %bm : !attn.block_mask<2x2>
}

// -----

func.func @tile() -> !attn.block_mask<?x2> {
  %n = arith.constant 4 : i64
  // expected-error @below {{needs static tile sizes to be interpreted}}
  %bm = attn.block_mask.create sizes(%n, %n, %n, %n) {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %keep = arith.cmpi sge, %i, %j : i64
    attn.yield %keep : i1
  } : !attn.block_mask<?x2>
  return %bm : !attn.block_mask<?x2>
}

// -----

func.func @size() -> !attn.block_mask<2x2> {
  %n = arith.constant 4 : i64
  %x = arith.constant -4 : i64
  // expected-error @below {{has a negative size: -4}}
  %bm = attn.block_mask.create sizes(%n, %n, %x, %n) {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %keep = arith.cmpi sge, %i, %j : i64
    attn.yield %keep : i1
  } : !attn.block_mask<2x2>
  return %bm : !attn.block_mask<2x2>
}

// -----

func.func @large() -> tensor<1x1x4611686018427387904x8xf32> {
  // expected-error @below {{makes a tensor of more than 2^28 elements, which the interpreter does not hold}}
  %q = arith.constant dense<1.0> : tensor<1x1x4611686018427387904x8xf32>
  return %q : tensor<1x1x4611686018427387904x8xf32>
}

// -----

func.func @empty() -> tensor<4611686018427387904x8x0x8xf32> {
  // expected-error @below {{makes a tensor of more than 2^28 elements}}
  %q = arith.constant dense<1.0> : tensor<4611686018427387904x8x0x8xf32>
  return %q : tensor<4611686018427387904x8x0x8xf32>
}

// -----

func.func @tiles() -> !attn.block_mask<2x2> {
  %n = arith.constant 1 : i64
  %x = arith.constant 9223372036854775807 : i64
  // expected-error @below {{makes a tensor of more than 2^28 elements}}
  %bm = attn.block_mask.create sizes(%n, %n, %x, %n) {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %keep = arith.cmpi sge, %i, %j : i64
    attn.yield %keep : i1
  } : !attn.block_mask<2x2>
  return %bm : !attn.block_mask<2x2>
}
