// RUN: fovea-interpret %s --interpret-online --split-input-file --verify-diagnostics -o /dev/null

// A full class whose mask is false somewhere, where the pair reaches memory.
memref.global constant @ones : memref<8x4xf64> = dense<1.0>
func.func @broken_promise() {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %b = arith.constant 0 : i64
  %d = memref.get_global @ones : memref<8x4xf64>
  %m = memref.alloc() : memref<8x4xf64>
  %V = online.view %d[] : memref<8x4xf64> -> !online.view<?x4xf64>
  %O = online.view %m[] : memref<8x4xf64> -> !online.view<?x4xf64>
  %t = online.load %V[%c0] : !online.view<?x4xf64> -> tensor<8x4xf64>
  %w = online.walk.segments step 8 [%c0, %c8) full : !online.walk
  %i = online.init normalizer #attn.softmax at(%b, %b, %c0) : !online.state<8x4xf64, t, l>
  %r = online.sweep (%n0, %cls) in %w iter(%s = %i) -> !online.state<8x4xf64, t, l> {
    %x = online.dot %t, %t contract [1, 1] : tensor<8x4xf64>, tensor<8x4xf64> -> tensor<8x8xf64>
    // expected-error@+1 {{class full promises a true mask, which is false at m = 2, n = 3}}
    %p = online.mask at(%c0, %n0) class(%cls) {
    ^bb0(%mi: i64, %ni: i64):
      %c3 = arith.constant 3 : i64
      %c2 = arith.constant 2 : i64
      %a = arith.cmpi ne, %mi, %c2 : i64
      %e = arith.cmpi ne, %ni, %c3 : i64
      %keep = arith.ori %a, %e : i1
      online.yield %keep : i1
    } : tensor<8x8xi1>
    %s1 = online.step %s, %x, %t visible(%p : tensor<8x8xi1>) normalizer #attn.softmax at(%b, %b, %c0, %n0)
      : !online.state<8x4xf64, t, l>, tensor<8x8xf64>, tensor<8x4xf64>
    online.yield %s1 : !online.state<8x4xf64, t, l>
  }
  %o = online.finish %r normalizer #attn.softmax at(%b, %b, %c0) : !online.state<8x4xf64, t, l> -> tensor<8x4xf64>
  // expected-note@+1 {{reaches memory here}}
  online.store %o, %O[%c0] : tensor<8x4xf64>, !online.view<?x4xf64>
  return
}

// -----

// S7: the first bad index that reaches memory, by name, value and position.
memref.global constant @table : memref<4xf64> = dense<[1.0, 2.0, 3.0, 4.0]>
func.func @bad_index() {
  %c0 = arith.constant 0 : index
  %t = memref.get_global @table : memref<4xf64>
  %m = memref.alloc() : memref<8xf64>
  %O = online.view %m[] : memref<8xf64> -> !online.view<?xf64>
  %x = online.map rows(%c0) {
  ^bb0(%i: i64):
    // expected-error@+1 {{'tensor' dimension 0: index 4 is outside 0..3 at m = 4}}
    %v = attn.read %t[%i] : memref<4xf64> -> f64
    online.yield %v : f64
  } -> tensor<8xf64>
  // expected-note@+1 {{reaches memory here}}
  online.store %x, %O[%c0] : tensor<8xf64>, !online.view<?xf64>
  return
}

// -----

func.func @outside_read() -> f64 {
  %i = arith.constant 5 : i64
  %m = memref.alloc() : memref<4xf64>
  // expected-error@+1 {{'tensor' dimension 0: index 5 is outside 0..3}}
  %v = attn.read %m[%i] : memref<4xf64> -> f64
  return %v : f64
}

// -----

func.func @load_before() {
  %c0 = arith.constant 0 : index
  %i = arith.constant -2 : index
  %m = memref.alloc() : memref<4xf64>
  %V = online.view %m[] : memref<4xf64> -> !online.view<?xf64>
  // expected-error@+1 {{row -2 lies before the view}}
  %x = online.load %V[%i] : !online.view<?xf64> -> tensor<2xf64>
  online.store %x, %V[%c0] : tensor<2xf64>, !online.view<?xf64>
  return
}

// -----

func.func @length() {
  %n = arith.constant 5 : index
  %m = memref.alloc() : memref<4xf64>
  // expected-error@+1 {{length 5 is outside 0..4}}
  %V = online.view %m[] len(%n) : memref<4xf64> -> !online.view<?xf64, ragged>
  return
}

// -----

func.func @view_index() {
  %n = arith.constant 2 : index
  %m = memref.alloc() : memref<2x4xf64>
  // expected-error@+1 {{index 2 of dimension 0 is outside 0..1}}
  %V = online.view %m[%n] : memref<2x4xf64> -> !online.view<?xf64>
  return
}

// -----

memref.global constant @pages : memref<2xi32> = dense<[0, 3]>
func.func @page() {
  %c0 = arith.constant 0 : index
  %pool = memref.alloc() : memref<2x1x2x1xf64>
  %t = memref.get_global @pages : memref<2xi32>
  %V = online.view %pool[%c0] pages(%t : memref<2xi32>) : memref<2x1x2x1xf64> -> !online.view<?x1xf64, paged>
  // expected-error@+1 {{row 2 is in page 3, the pool has 2}}
  %x = online.load %V[%c0] : !online.view<?x1xf64, paged> -> tensor<4x1xf64>
  return
}

// -----

func.func @slice() {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %w = online.walk.segments step 4 [%c0, %c2) full : !online.walk
  // expected-error@+1 {{part 2 of 2 parts does not exist}}
  %s = online.walk.slice %w part(%c2 of %c2)
  return
}

// -----

memref.global constant @classes : memref<1x1x1x2xi8> = dense<[[[[1, 3]]]]>
func.func @list() {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c = memref.get_global @classes : memref<1x1x1x2xi8>
  // expected-error@+1 {{class of key tile 1 must be 0, 1 or 2, got 3}}
  %w = online.walk.list %c[%c0, %c0, %c0] tile(%c4) length(%c4) step 4 : memref<1x1x1x2xi8>
  return
}

// -----

func.func @unknown() {
  // expected-error@+1 {{'tensor.empty' is not interpreted at level 2}}
  %t = tensor.empty() : tensor<4xf64>
  return
}

// -----

func.func @size() {
  // expected-error@+1 {{'attn.size' has no value here}}
  %n = attn.size N
  return
}

// -----

// A step without a mask takes what lies past its element.
func.func @narrow_element() {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %b = arith.constant 0 : i64
  %t = arith.constant dense<1.0> : tensor<4x4xf64>
  %w = online.walk.segments step 4 [%c0, %c6) full : !online.walk
  %i = online.init normalizer #attn.softmax at(%b, %b, %c0) : !online.state<4x4xf64, t, l>
  %r = online.sweep (%n0, %cls) in %w iter(%s = %i) -> !online.state<4x4xf64, t, l> {
    // expected-error@+1 {{takes 4 keys without a mask, the element at n = 4 has 2}}
    %s1 = online.step %s, %t, %t normalizer #attn.softmax at(%b, %b, %c0, %n0)
      : !online.state<4x4xf64, t, l>, tensor<4x4xf64>, tensor<4x4xf64>
    online.yield %s1 : !online.state<4x4xf64, t, l>
  }
  return
}

// -----

// All tiles of a walk are listed before the first is visited.
func.func @endless_walk() {
  %c0 = arith.constant 0 : index
  %end = arith.constant 9223372036854775807 : index
  // expected-error@+1 {{visits more than 4194304 tiles, the most that are interpreted}}
  %w = online.walk.segments step 4 [%c0, %end) full : !online.walk
  return
}

// -----

func.func @widest_walk() {
  %begin = arith.constant -9223372036854775808 : index
  %end = arith.constant 9223372036854775807 : index
  // expected-error@+1 {{visits more than 4194304 tiles, the most that are interpreted}}
  %w = online.walk.segments step 1 [%begin, %end) full : !online.walk
  return
}

// -----

func.func @endless_scan() {
  %c0 = arith.constant 0 : index
  %end = arith.constant 4294967296 : index
  // expected-error@+1 {{visits more than 4194304 tiles, the most that are interpreted}}
  %w = online.walk.scan rows 4 step 4 at(%c0) shift(%c0) [%c0, %end) {
  ^bb0(%m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    online.yield %keep : i1
  }
  return
}

// -----

func.func @endless_grid() {
  %c = arith.constant 65536 : index
  // expected-error@+1 {{has more than 268435456 items, the most that are interpreted}}
  online.grid (%i, %j) in (%c, %c) {
  }
  return
}
