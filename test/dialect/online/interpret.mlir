// RUN: fovea-interpret %s --interpret-online -o /dev/null | FileCheck %s

// Loads fill with zeros past the length, stores are clipped there and round to
// the element type of the view.
memref.global constant @data : memref<3x2xf32> = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]>
// CHECK: rows#0 = {{\[\[}}9, 9], [1, 2], [3, 4], [0, 0], [9, 9]]
func.func @rows() -> memref<5x2xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %nine = arith.constant dense<9.0> : tensor<5x2xf32>
  %in = memref.get_global @data : memref<3x2xf32>
  %out = memref.alloc() : memref<5x2xbf16>
  %V = online.view %in[] len(%c2) : memref<3x2xf32> -> !online.view<?x2xf32, ragged>
  %A = online.view %out[] : memref<5x2xbf16> -> !online.view<?x2xbf16>
  %O = online.view %out[] len(%c4) : memref<5x2xbf16> -> !online.view<?x2xbf16, ragged>
  online.store %nine, %A[%c0] : tensor<5x2xf32>, !online.view<?x2xbf16>
  %t = online.load %V[%c0] : !online.view<?x2xf32, ragged> -> tensor<4x2xf32>
  online.store %t, %O[%c1] : tensor<4x2xf32>, !online.view<?x2xbf16, ragged>
  return %out : memref<5x2xbf16>
}

// 1.00390625 = 1 + 2⁻⁸ is not a bf16.
// CHECK: rounds#0 = [1, 1.00781]
func.func @rounds() -> memref<2xbf16> {
  %c0 = arith.constant 0 : index
  %out = memref.alloc() : memref<2xbf16>
  %O = online.view %out[] : memref<2xbf16> -> !online.view<?xbf16>
  %y = arith.constant dense<[1.00390625, 1.0078125]> : tensor<2xf32>
  online.store %y, %O[%c0] : tensor<2xf32>, !online.view<?xbf16>
  return %out : memref<2xbf16>
}

// Rows of the pool by a page table of two pages of two rows.
memref.global constant @pool : memref<3x1x2x1xf64> = dense<[[[[1.0], [2.0]]], [[[3.0], [4.0]]], [[[5.0], [6.0]]]]>
memref.global constant @pages : memref<2xi32> = dense<[2, 0]>
// CHECK: paged#0 = {{\[\[}}5], [6], [1], [0]]
func.func @paged() -> memref<4x1xf64> {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %p = memref.get_global @pool : memref<3x1x2x1xf64>
  %t = memref.get_global @pages : memref<2xi32>
  %out = memref.alloc() : memref<4x1xf64>
  %V = online.view %p[%c0] len(%c3) pages(%t : memref<2xi32>) : memref<3x1x2x1xf64> -> !online.view<?x1xf64, paged, ragged>
  %O = online.view %out[] : memref<4x1xf64> -> !online.view<?x1xf64>
  %x = online.load %V[%c0] : !online.view<?x1xf64, paged, ragged> -> tensor<4x1xf64>
  online.store %x, %O[%c0] : tensor<4x1xf64>, !online.view<?x1xf64>
  return %out : memref<4x1xf64>
}

// Grid points add in order.
// CHECK: reduces#0 = [6, 15]
func.func @reduces() -> memref<2xf64> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %x = arith.constant dense<[1.0, 2.5]> : tensor<2xf64>
  %out = memref.alloc() : memref<2xf64>
  %O = online.view %out[] : memref<2xf64> -> !online.view<?xf64>
  online.grid (%i, %j) in (%c3, %c2) {
    online.reduce_into %x, %O[%c0] : tensor<2xf64>, !online.view<?xf64>
  }
  return %out : memref<2xf64>
}

// What a walk gives, as (first key, visible keys of a tile of 4) per element.
memref.global constant @classes : memref<1x1x2x4xi8> = dense<[[[[1, 0, 0, 0], [2, 0, 1, 2]]]]>
// CHECK: segments#0 = {{\[\[}}0, 4], [4, 2], [6, 4], [10, 1]]
// CHECK: reverse#0 = {{\[\[}}10, 1], [6, 4], [4, 2], [0, 4]]
// CHECK: list#0 = {{\[\[}}0, 4], [4, 1], [10, 4], [14, 1], [15, 2], [0, 0]]
// CHECK: scan#0 = {{\[\[}}0, 4], [8, 4], [12, 2], [0, 0]]
// CHECK: slice#0 = {{\[\[}}4, 4], [0, 0]]
func.func @segments() -> memref<4x2xi64> {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %c11 = arith.constant 11 : index
  %out = memref.alloc() : memref<4x2xi64>
  %w = online.walk.segments step 4 [%c0, %c6) full, [%c6, %c11) partial, [%c6, %c0) full : !online.walk
  %c1 = arith.constant 1 : index
  %r = online.sweep (%n0, %cls) in %w iter(%at = %c0) -> index {
    %p = online.mask at(%c0, %n0) class(%cls) : tensor<1x4xi1>
    %f = online.map tile(%c0, %n0) ins(%p : tensor<1x4xi1>) {
    ^bb0(%m: i64, %n: i64, %v: i1):
      %x = arith.uitofp %v : i1 to f64
      online.yield %x : f64
    } -> tensor<1x4xf64>
    %ones = arith.constant dense<1.0> : tensor<4x1xf64>
    %zero = arith.constant dense<0.0> : tensor<1x1xf64>
    %count = online.accumulate %zero, %f, %ones contract [1, 0] : tensor<1x4xf64>, tensor<4x1xf64> -> tensor<1x1xf64>
    %N = memref.alloc() : memref<1x1xf64>
    %NV = online.view %N[] : memref<1x1xf64> -> !online.view<?x1xf64>
    online.store %count, %NV[%c0] : tensor<1x1xf64>, !online.view<?x1xf64>
    %k = memref.load %N[%c0, %c0] : memref<1x1xf64>
    %ki = attn.to_int %k : f64
    %n = arith.index_cast %n0 : index to i64
    memref.store %n, %out[%at, %c0] : memref<4x2xi64>
    memref.store %ki, %out[%at, %c1] : memref<4x2xi64>
    %next = arith.addi %at, %c1 : index
    online.yield %next : index
  }
  return %out : memref<4x2xi64>
}

func.func @reverse() -> memref<4x2xi64> {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %c11 = arith.constant 11 : index
  %out = memref.alloc() : memref<4x2xi64>
  %w = online.walk.segments reverse step 4 [%c0, %c6) full, [%c6, %c11) partial : !online.walk
  %c1 = arith.constant 1 : index
  %r = online.sweep (%n0, %cls) in %w iter(%at = %c0) -> index {
    %p = online.mask at(%c0, %n0) class(%cls) : tensor<1x4xi1>
    %f = online.map tile(%c0, %n0) ins(%p : tensor<1x4xi1>) {
    ^bb0(%m: i64, %n: i64, %v: i1):
      %x = arith.uitofp %v : i1 to f64
      online.yield %x : f64
    } -> tensor<1x4xf64>
    %ones = arith.constant dense<1.0> : tensor<4x1xf64>
    %zero = arith.constant dense<0.0> : tensor<1x1xf64>
    %count = online.accumulate %zero, %f, %ones contract [1, 0] : tensor<1x4xf64>, tensor<4x1xf64> -> tensor<1x1xf64>
    %N = memref.alloc() : memref<1x1xf64>
    %NV = online.view %N[] : memref<1x1xf64> -> !online.view<?x1xf64>
    online.store %count, %NV[%c0] : tensor<1x1xf64>, !online.view<?x1xf64>
    %k = memref.load %N[%c0, %c0] : memref<1x1xf64>
    %ki = attn.to_int %k : f64
    %n = arith.index_cast %n0 : index to i64
    memref.store %n, %out[%at, %c0] : memref<4x2xi64>
    memref.store %ki, %out[%at, %c1] : memref<4x2xi64>
    %next = arith.addi %at, %c1 : index
    online.yield %next : index
  }
  return %out : memref<4x2xi64>
}

func.func @list() -> memref<6x2xi64> {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %c11 = arith.constant 11 : index
  %out = memref.alloc() : memref<6x2xi64>
  %cl = memref.get_global @classes : memref<1x1x2x4xi8>
  %one = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %c17 = arith.constant 17 : index
  %w = online.walk.list %cl[%c0, %c0, %one] tile(%c5) length(%c17) step 4 : memref<1x1x2x4xi8>
  %c1 = arith.constant 1 : index
  %r = online.sweep (%n0, %cls) in %w iter(%at = %c0) -> index {
    %p = online.mask at(%c0, %n0) class(%cls) : tensor<1x4xi1>
    %f = online.map tile(%c0, %n0) ins(%p : tensor<1x4xi1>) {
    ^bb0(%m: i64, %n: i64, %v: i1):
      %x = arith.uitofp %v : i1 to f64
      online.yield %x : f64
    } -> tensor<1x4xf64>
    %ones = arith.constant dense<1.0> : tensor<4x1xf64>
    %zero = arith.constant dense<0.0> : tensor<1x1xf64>
    %count = online.accumulate %zero, %f, %ones contract [1, 0] : tensor<1x4xf64>, tensor<4x1xf64> -> tensor<1x1xf64>
    %N = memref.alloc() : memref<1x1xf64>
    %NV = online.view %N[] : memref<1x1xf64> -> !online.view<?x1xf64>
    online.store %count, %NV[%c0] : tensor<1x1xf64>, !online.view<?x1xf64>
    %k = memref.load %N[%c0, %c0] : memref<1x1xf64>
    %ki = attn.to_int %k : f64
    %n = arith.index_cast %n0 : index to i64
    memref.store %n, %out[%at, %c0] : memref<6x2xi64>
    memref.store %ki, %out[%at, %c1] : memref<6x2xi64>
    %next = arith.addi %at, %c1 : index
    online.yield %next : index
  }
  return %out : memref<6x2xi64>
}

func.func @scan() -> memref<4x2xi64> {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %c11 = arith.constant 11 : index
  %out = memref.alloc() : memref<4x2xi64>
  %c14 = arith.constant 14 : index
  %shift = arith.constant 100 : index
  %w = online.walk.scan rows 2 step 4 at(%c6) shift(%shift) [%c0, %c14) {
  ^bb0(%m: i64, %n: i64):
    // Keys 100..102 for every row, and key 110 for row 7.
    %k2 = arith.constant 102 : i64
    %k10 = arith.constant 110 : i64
    %m7 = arith.constant 7 : i64
    %k113 = arith.constant 112 : i64
    %a = arith.cmpi sle, %n, %k2 : i64
    %b = arith.cmpi eq, %n, %k10 : i64
    %c = arith.cmpi eq, %m, %m7 : i64
    %d = arith.andi %b, %c : i1
    %e = arith.cmpi sge, %n, %k113 : i64
    %f = arith.ori %a, %d : i1
    %keep = arith.ori %f, %e : i1
    online.yield %keep : i1
  }
  %c1 = arith.constant 1 : index
  %r = online.sweep (%n0, %cls) in %w iter(%at = %c0) -> index {
    %p = online.mask at(%c0, %n0) class(%cls) : tensor<1x4xi1>
    %f = online.map tile(%c0, %n0) ins(%p : tensor<1x4xi1>) {
    ^bb0(%m: i64, %n: i64, %v: i1):
      %x = arith.uitofp %v : i1 to f64
      online.yield %x : f64
    } -> tensor<1x4xf64>
    %ones = arith.constant dense<1.0> : tensor<4x1xf64>
    %zero = arith.constant dense<0.0> : tensor<1x1xf64>
    %count = online.accumulate %zero, %f, %ones contract [1, 0] : tensor<1x4xf64>, tensor<4x1xf64> -> tensor<1x1xf64>
    %N = memref.alloc() : memref<1x1xf64>
    %NV = online.view %N[] : memref<1x1xf64> -> !online.view<?x1xf64>
    online.store %count, %NV[%c0] : tensor<1x1xf64>, !online.view<?x1xf64>
    %k = memref.load %N[%c0, %c0] : memref<1x1xf64>
    %ki = attn.to_int %k : f64
    %n = arith.index_cast %n0 : index to i64
    memref.store %n, %out[%at, %c0] : memref<4x2xi64>
    memref.store %ki, %out[%at, %c1] : memref<4x2xi64>
    %next = arith.addi %at, %c1 : index
    online.yield %next : index
  }
  return %out : memref<4x2xi64>
}

func.func @slice() -> memref<2x2xi64> {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %c11 = arith.constant 11 : index
  %out = memref.alloc() : memref<2x2xi64>
  %c3 = arith.constant 3 : index
  %one = arith.constant 1 : index
  %all = online.walk.segments step 4 [%c0, %c11) full : !online.walk
  %w = online.walk.slice %all part(%one of %c3)
  %c1 = arith.constant 1 : index
  %r = online.sweep (%n0, %cls) in %w iter(%at = %c0) -> index {
    %p = online.mask at(%c0, %n0) class(%cls) : tensor<1x4xi1>
    %f = online.map tile(%c0, %n0) ins(%p : tensor<1x4xi1>) {
    ^bb0(%m: i64, %n: i64, %v: i1):
      %x = arith.uitofp %v : i1 to f64
      online.yield %x : f64
    } -> tensor<1x4xf64>
    %ones = arith.constant dense<1.0> : tensor<4x1xf64>
    %zero = arith.constant dense<0.0> : tensor<1x1xf64>
    %count = online.accumulate %zero, %f, %ones contract [1, 0] : tensor<1x4xf64>, tensor<4x1xf64> -> tensor<1x1xf64>
    %N = memref.alloc() : memref<1x1xf64>
    %NV = online.view %N[] : memref<1x1xf64> -> !online.view<?x1xf64>
    online.store %count, %NV[%c0] : tensor<1x1xf64>, !online.view<?x1xf64>
    %k = memref.load %N[%c0, %c0] : memref<1x1xf64>
    %ki = attn.to_int %k : f64
    %n = arith.index_cast %n0 : index to i64
    memref.store %n, %out[%at, %c0] : memref<2x2xi64>
    memref.store %ki, %out[%at, %c1] : memref<2x2xi64>
    %next = arith.addi %at, %c1 : index
    online.yield %next : index
  }
  return %out : memref<2x2xi64>
}

// S8: the total ops, and conversions.
// CHECK: total#0 = [-4, 0, -9223372036854775808, 3, 0, 0, -1, 9223372036854775807, 0, -2, 0]
func.func @total() -> memref<11xi64> {
  %out = memref.alloc() : memref<11xi64>
  %m7 = arith.constant -7 : i64
  %p2 = arith.constant 2 : i64
  %z = arith.constant 0 : i64
  %min = arith.constant -9223372036854775808 : i64
  %m1 = arith.constant -1 : i64
  %p5 = arith.constant 5 : i64
  %p64 = arith.constant 64 : i64
  %i0 = arith.constant 0 : index
  %i1 = arith.constant 1 : index
  %i2 = arith.constant 2 : index
  %i3 = arith.constant 3 : index
  %i4 = arith.constant 4 : index
  %i5 = arith.constant 5 : index
  %i6 = arith.constant 6 : index
  %i7 = arith.constant 7 : index
  %i8 = arith.constant 8 : index
  %i9 = arith.constant 9 : index
  %i10 = arith.constant 10 : index
  %v0 = attn.floordiv %m7, %p2
  memref.store %v0, %out[%i0] : memref<11xi64>
  %v1 = attn.floordiv %m7, %z
  memref.store %v1, %out[%i1] : memref<11xi64>
  %v2 = attn.floordiv %min, %m1
  memref.store %v2, %out[%i2] : memref<11xi64>
  %v3 = attn.mod %m7, %p5
  memref.store %v3, %out[%i3] : memref<11xi64>
  %v4 = attn.mod %m7, %z
  memref.store %v4, %out[%i4] : memref<11xi64>
  %v5 = attn.shl %p5, %p64
  memref.store %v5, %out[%i5] : memref<11xi64>
  %v6 = attn.shr %m7, %p64
  memref.store %v6, %out[%i6] : memref<11xi64>
  %f7 = arith.constant 0x7FF0000000000000 : f64
  %v7 = attn.to_int %f7 : f64
  memref.store %v7, %out[%i7] : memref<11xi64>
  %f8 = arith.constant 0x7FF8000000000000 : f64
  %v8 = attn.to_int %f8 : f64
  memref.store %v8, %out[%i8] : memref<11xi64>
  %f9 = arith.constant -2.9 : f64
  %v9 = attn.to_int %f9 : f64
  memref.store %v9, %out[%i9] : memref<11xi64>
  %f10 = arith.constant 0.9 : f64
  %v10 = attn.to_int %f10 : f64
  memref.store %v10, %out[%i10] : memref<11xi64>
  return %out : memref<11xi64>
}

// A bad index that reaches no memory is no error: rows past the view, and a
// value that a select leaves out.
memref.global constant @table : memref<2xf64> = dense<[1.0, 2.0]>
// CHECK: unread#0 = [1, 2]
// CHECK: unread#1 = [1, 2, -1, -1]
func.func @unread() -> (memref<2xf64>, memref<4xf64>) {
  %c0 = arith.constant 0 : index
  %t = memref.get_global @table : memref<2xf64>
  %out = memref.alloc() : memref<2xf64>
  %out4 = memref.alloc() : memref<4xf64>
  %O = online.view %out[] : memref<2xf64> -> !online.view<?xf64>
  %O4 = online.view %out4[] : memref<4xf64> -> !online.view<?xf64>
  %x = online.map rows(%c0) {
  ^bb0(%i: i64):
    %v = attn.read %t[%i] : memref<2xf64> -> f64
    online.yield %v : f64
  } -> tensor<4xf64>
  online.store %x, %O[%c0] : tensor<4xf64>, !online.view<?xf64>
  %y = online.map rows(%c0) ins(%x : tensor<4xf64>) {
  ^bb0(%i: i64, %v: f64):
    %n = attn.extent %t, 0 : memref<2xf64>
    %in = arith.cmpi slt, %i, %n : i64
    %none = arith.constant -1.0 : f64
    %r = arith.select %in, %v, %none : f64
    online.yield %r : f64
  } -> tensor<4xf64>
  online.store %y, %O4[%c0] : tensor<4xf64>, !online.view<?xf64>
  return %out, %out4 : memref<2xf64>, memref<4xf64>
}

// The diagonal of a tile of 2 rows and 3 columns at m0 = 10, n0 = 4.
// CHECK: diag#0 = [4, 5, 6, 7]
// CHECK: diag#1 = {{\[\[}}6, 5, 4], [7, 6, 5]]
func.func @diag() -> (memref<4xf64>, memref<2x3xf64>) {
  %c0 = arith.constant 0 : index
  %m0 = arith.constant 10 : index
  %n0 = arith.constant 4 : index
  %out = memref.alloc() : memref<4xf64>
  %out2 = memref.alloc() : memref<2x3xf64>
  %O = online.view %out[] : memref<4xf64> -> !online.view<?xf64>
  %O2 = online.view %out2[] : memref<2x3xf64> -> !online.view<?x3xf64>
  %d = online.map diag(%m0, %n0) columns 3 {
  ^bb0(%i: i64):
    %f = arith.sitofp %i : i64 to f64
    online.yield %f : f64
  } -> tensor<4xf64>
  %t = online.map tile(%m0, %n0) ins(%d : tensor<4xf64>) {
  ^bb0(%m: i64, %n: i64, %v: f64):
    online.yield %v : f64
  } -> tensor<2x3xf64>
  online.store %d, %O[%c0] : tensor<4xf64>, !online.view<?xf64>
  online.store %t, %O2[%c0] : tensor<2x3xf64>, !online.view<?x3xf64>
  return %out, %out2 : memref<4xf64>, memref<2x3xf64>
}
