// RUN: fovea-opt %s -split-input-file -verify-diagnostics

// T1
// expected-error @+1 {{a tile has 8 to 256 rows, a multiple of 8, got 12}}
func.func private @t1() -> !attn_gpu.tile<12x64xbf16>

// -----

// T1
// expected-error @+1 {{a tile has 64 to 256 columns, a multiple of 64, got 96}}
func.func private @t1_columns() -> !attn_gpu.tile<64x96xbf16>

// -----

// T1
// expected-error @+1 {{a tile holds f16 or bf16, got 'f32'}}
func.func private @t1_element() -> !attn_gpu.tile<64x64xf32>

// -----

// T2
// expected-error @+1 {{a fragment has 64 rows, got 128}}
func.func private @t2() -> !attn_gpu.frag<128x64xf32, quad>

// -----

// T2
// expected-error @+1 {{a fragment of layout quad_a has 16 to 256 columns, a multiple of 16, got 24}}
func.func private @t2_columns() -> !attn_gpu.frag<64x24xbf16, quad_a>

// -----

// T3
// expected-error @+1 {{a fragment of layout quad holds f32, got 'bf16'}}
func.func private @t3() -> !attn_gpu.frag<64x64xbf16, quad>

// -----

// T4
// expected-error @+1 {{a rowvec is 64xf32, got 128x'f32'}}
func.func private @t4() -> !attn_gpu.rowvec<128xf32>

// -----

// T5
// expected-error @+1 {{a pending value holds a quad fragment, got 'f32'}}
func.func private @t5() -> !attn_gpu.pending<f32>

// -----

// T6
// expected-error @+1 {{a channel has 1 to 8 stages, got 9}}
func.func private @t6() -> !attn_gpu.channel<64x64xbf16, stages = 9, records = 0>

// -----

// T6
// expected-error @+1 {{a channel has 0 to 32 records, got 33}}
func.func private @t6_records() -> !attn_gpu.channel<64x64xbf16, stages = 2, records = 33>

// -----

// T4
// expected-error @+1 {{expected one dim, got 2}}
func.func private @t4_dims() -> !attn_gpu.rowvec<64x64xf32>

// -----

// C1
// expected-error @+1 {{q_stages must be 1 or 2, got 3}}
func.func private @c1_q_stages() attributes {s = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 3, ping_pong = false, pin = 0, staged = true>}

// -----

// C1
// expected-error @+1 {{groups must be 1 to 3, got 4}}
func.func private @c1() attributes {s = #attn_gpu.schedule<groups = 4, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>}

// -----

// C1
// expected-error @+1 {{n must be a multiple of 16 from 16 to 256, got 100}}
func.func private @c1_n() attributes {s = #attn_gpu.schedule<groups = 2, n = 100, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>}

// -----

// C2
func.func @c2(%n: index) {
  // expected-error @+1 {{takes three bounds and three arguments, got 1 and 1}}
  attn_gpu.for_tiles (%b) in (%n) schedule(#attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>) {
  }
  return
}

// -----

// C3
func.func @c3(%n: index, %x: f32) {
  // expected-error @+1 {{inits, yielded values and results must agree}}
  %r = attn_gpu.for_blocks (%n0, %count, %full) in [%n, %n) full step 128 iter(%a = %x) -> (f32) {
    attn_gpu.yield
  }
  return
}

// -----

// C6
func.func @c6(%q: !attn_gpu.tile<96x64xbf16>, %k: !attn_gpu.tile<128x64xbf16>) {
  // expected-error @+1 {{lhs must have whole groups of 64 rows, got 96}}
  %s = attn_gpu.mma %q, %k transposed : !attn_gpu.tile<96x64xbf16>, !attn_gpu.tile<128x64xbf16> -> !attn_gpu.frag<64x128xf32, quad>
  return
}

// -----

// C7
func.func @c7(%q: !attn_gpu.tile<128x128xbf16>, %k: !attn_gpu.tile<128x64xbf16>) {
  // expected-error @+1 {{contracts 128x'bf16' with 64x'bf16'}}
  %s = attn_gpu.mma %q, %k transposed : !attn_gpu.tile<128x128xbf16>, !attn_gpu.tile<128x64xbf16> -> !attn_gpu.frag<64x128xf32, quad>
  return
}

// -----

// C8
func.func @c8(%s: !attn_gpu.frag<64x64xf32, quad>, %m0: index) {
  // expected-error @+1 {{takes 2 positions or none, got 1}}
  %t = attn_gpu.map at(%m0) (%s) {
  ^bb0(%m: i64, %x: f32):
    attn_gpu.yield %x : f32
  } : (!attn_gpu.frag<64x64xf32, quad>) -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C10
func.func @c10(%s: !attn_gpu.frag<64x64xf32, quad>) {
  // expected-error @+1 {{input of type '!attn_gpu.frag<64x64xf32, quad>' does not fit the result '!attn_gpu.rowvec<64xf32>'}}
  %t = attn_gpu.map (%s) {
  ^bb0(%x: f32):
    attn_gpu.yield %x : f32
  } : (!attn_gpu.frag<64x64xf32, quad>) -> !attn_gpu.rowvec<64xf32>
  return
}

// -----

// C14
func.func @c14(%s: !attn_gpu.rowvec<64xf32>) {
  // expected-error @+1 {{goes from a partial rowvec to one that is not}}
  %t = attn_gpu.quad_reduce sum %s : !attn_gpu.rowvec<64xf32> -> !attn_gpu.rowvec<64xf32>
  return
}

// -----

// C16
func.func @c16(%s: !attn_gpu.frag<64x64xf32, quad>) {
  // expected-error @+1 {{goes from quad to quad_a of the same shape}}
  %t = attn_gpu.convert %s : !attn_gpu.frag<64x64xf32, quad> -> !attn_gpu.frag<64x32xbf16, quad_a>
  return
}

// -----

// C19
func.func @c19() {
  // expected-error @+1 {{holds one role that loads and one that computes, got 1 roles}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
  }
  return
}

// -----

// C20
func.func @c20() {
  attn_gpu.specialize {
    // expected-error @+1 {{has 1 to 1 groups, got 2}}
    attn_gpu.role load groups(2) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

// C21
func.func @c21() {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error @+1 {{does not belong to role load}}
      %z = attn_gpu.zero : !attn_gpu.frag<64x64xf32, quad>
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

// C23
func.func @c23(%c: !attn_gpu.channel<64x64xbf16, stages = 2, records = 2>, %i: index) {
  // expected-error @+1 {{channel has 2 records, got 1}}
  attn_gpu.publish %c[%i] records(%i) : !attn_gpu.channel<64x64xbf16, stages = 2, records = 2>
  return
}

// -----

// C24
func.func @c24(%c: !attn_gpu.channel<64x64xbf16, stages = 2, records = 2>, %i: index) {
  // expected-error @+1 {{result must be '!attn_gpu.tile<64x64xbf16>', got '!attn_gpu.tile<128x64xbf16>'}}
  %t = attn_gpu.wait %c[%i] : !attn_gpu.channel<64x64xbf16, stages = 2, records = 2> -> !attn_gpu.tile<128x64xbf16>
  return
}

// -----

// C25
func.func @c25(%q: !attn_gpu.tile<64x64xbf16>) {
  // expected-error @+1 {{result must be awaited once and used by nothing else}}
  %p = attn_gpu.mma.start %q, %q transposed : !attn_gpu.tile<64x64xbf16>, !attn_gpu.tile<64x64xbf16> -> !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>>
  return
}

// -----

// C28
func.func @c28() {
  // expected-error @+1 {{is 'take' or 'pass', got 'skip'}}
  attn_gpu.turn "skip"
  return
}

// -----

// C29
func.func @c29(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{takes (batch, head, row) of a block mask, got 2 indices}}
  %w, %t, %x = attn_gpu.list.count %c[%b, %b] tile(%n) length(%n) step 128 : memref<?x?x?x?xi8>
  return
}

// -----

// C29
func.func @c29_step(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{step must be positive, got 0}}
  %n0 = attn_gpu.list.element %b of %c[%b, %b, %b] tile(%n) length(%n) step 0 : memref<?x?x?x?xi8>
  return
}

// -----

// C29
func.func @c29_loop(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{takes (batch, head, row) of a block mask, got 1 indices}}
  attn_gpu.for_blocks (%n0, %count, %full) in list %c[%b] tile(%n) length(%n) : memref<?x?x?x?xi8> step 128 {
    attn_gpu.yield
  }
  return
}

// -----

// C4
func.func @c4_list(%c: memref<?x?x?x?xi8>, %n: index) {
  // expected-error @+1 {{takes segments, or a list with its tile and length}}
  "attn_gpu.for_blocks"(%n, %n, %c, %n, %n, %n, %n, %n) <{classes = array<i32: 1>, operandSegmentSizes = array<i32: 1, 1, 1, 3, 0, 1, 1, 0>, step = 128 : i64}> ({
  ^bb0(%n0: index, %count: index, %full: i1):
    "attn_gpu.yield"() : () -> ()
  }) : (index, index, memref<?x?x?x?xi8>, index, index, index, index, index) -> ()
  return
}

// -----

// C4
func.func @c4_cut_list(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{cuts elements of a list at their end alone}}
  attn_gpu.for_blocks (%n0, %from, %full) in list %c[%b, %b, %b] tile(%n) length(%n) : memref<?x?x?x?xi8> step 128 attributes {cut_front} {
    attn_gpu.yield
  }
  return
}

// -----

// C4
func.func @c4(%n: index) {
  // expected-error @+1 {{needs one begin, end and class per segment, got 1, 1 and 2}}
  "attn_gpu.for_blocks"(%n, %n) <{classes = array<i32: 1, 2>, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0>, step = 128 : i64}> ({
  ^bb0(%n0: index, %count: index, %full: i1):
    "attn_gpu.yield"() : () -> ()
  }) : (index, index) -> ()
  return
}

// -----

// C5
func.func @c5(%m: memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>, %b: index) {
  %v = online.view %m[%b, %b] len(%b) : memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>> -> !online.view<?x64xbf16, ragged>
  // expected-error @+1 {{must have columns and elements of '!online.view<?x64xbf16, ragged>', got 128x'bf16'}}
  %t = attn_gpu.load %v[%b] : !online.view<?x64xbf16, ragged> -> !attn_gpu.tile<128x128xbf16>
  return
}

// -----

// C9
func.func @c9(%s: !attn_gpu.frag<64x64xf32, quad>) {
  // expected-error @+1 {{region must take ('f32'), got ('f32', 'f32')}}
  %t = attn_gpu.map (%s) {
  ^bb0(%x: f32, %y: f32):
    attn_gpu.yield %x : f32
  } : (!attn_gpu.frag<64x64xf32, quad>) -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C9
func.func @c9_yield(%s: !attn_gpu.frag<64x64xf32, quad>, %n: index) {
  // expected-error @+1 {{region must end with an 'attn_gpu.yield' of 'f32'}}
  %t = attn_gpu.map (%s) {
  ^bb0(%x: f32):
    attn_gpu.yield %n : index
  } : (!attn_gpu.frag<64x64xf32, quad>) -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C11
func.func @c11(%s: !attn_gpu.frag<64x64xf32, quad>, %m: memref<f32>) {
  // expected-note @+1 {{region of this op}}
  %t = attn_gpu.map (%s) {
  ^bb0(%x: f32):
    // expected-error @+1 {{is not allowed in a scalar region}}
    %y = memref.load %m[] : memref<f32>
    attn_gpu.yield %y : f32
  } : (!attn_gpu.frag<64x64xf32, quad>) -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C12
func.func @c12(%s: !attn_gpu.frag<64x64xf32, quad>, %n: index, %full: i1) {
  // expected-error @+1 {{region must end with an 'attn_gpu.yield' of 'i1'}}
  %t = attn_gpu.mask %s at(%n, %n) count(%n) full(%full) {
  ^bb0(%m: i64, %k: i64):
    attn_gpu.yield %m : i64
  } : !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C13
func.func @c13(%s: !attn_gpu.frag<64x64xf32, quad>, %m: !attn_gpu.rowvec<64xf32, partial>) {
  // expected-error @+1 {{init must be '!attn_gpu.rowvec<64xf32>', got '!attn_gpu.rowvec<64xf32, partial>'}}
  %t = attn_gpu.reduce max %s init(%m : !attn_gpu.rowvec<64xf32, partial>) : !attn_gpu.frag<64x64xf32, quad> -> !attn_gpu.rowvec<64xf32>
  return
}

// -----

// C13
func.func @c13_layout(%s: !attn_gpu.frag<64x64xbf16, quad_a>) {
  // expected-error @+1 {{works on fragments of layout quad}}
  %t = attn_gpu.reduce max %s : !attn_gpu.frag<64x64xbf16, quad_a> -> !attn_gpu.rowvec<64xf32>
  return
}

// -----

// C15
func.func @c15(%s: !attn_gpu.frag<64x64xf32, quad>, %a: !attn_gpu.rowvec<64xf32, partial>) {
  // expected-error @+1 {{alpha must not be partial}}
  %t = attn_gpu.rescale %s by %a : !attn_gpu.frag<64x64xf32, quad>, !attn_gpu.rowvec<64xf32, partial>
  return
}

// -----

// C15
func.func @c15_addend(%s: !attn_gpu.rowvec<64xf32, partial>, %a: !attn_gpu.rowvec<64xf32>) {
  // expected-error @+1 {{addend must be '!attn_gpu.rowvec<64xf32, partial>', got '!attn_gpu.rowvec<64xf32>'}}
  %t = attn_gpu.rescale %s by %a plus %a : !attn_gpu.rowvec<64xf32> : !attn_gpu.rowvec<64xf32, partial>, !attn_gpu.rowvec<64xf32>
  return
}

// -----

// C17
func.func @c17(%s: !attn_gpu.frag<64x64xf32, quad>, %m: memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>, %b: index) {
  %v = online.view %m[%b, %b] len(%b) : memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>> -> !online.view<?x64xf32, ragged>
  // expected-error @+1 {{stores a quad fragment of the view's columns to f16 or bf16, got '!attn_gpu.frag<64x64xf32, quad>' and '!online.view<?x64xf32, ragged>'}}
  attn_gpu.store_tile %s, %v[%b] : !attn_gpu.frag<64x64xf32, quad>, !online.view<?x64xf32, ragged>
  return
}

// -----

// C18
func.func @c18(%s: !attn_gpu.rowvec<64xf32, partial>, %m: memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>>, %b: index) {
  %v = online.view %m[%b, %b] len(%b) : memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>> -> !online.view<?xf32, ragged>
  // expected-error @+1 {{stores a rowvec that is not partial to f32 scalars}}
  attn_gpu.store_rows %s, %v[%b] : !attn_gpu.rowvec<64xf32, partial>, !online.view<?xf32, ragged>
  return
}

// -----

// C22
func.func @c22(%m: memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>, %b: index) {
  %v = online.view %m[%b, %b] len(%b) : memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>> -> !online.view<?x64xbf16, ragged>
  %c = attn_gpu.channel "k" : !attn_gpu.channel<128x64xf16, stages = 2, records = 0>
  // expected-error @+1 {{must have columns and elements of '!online.view<?x64xbf16, ragged>', got 64x'f16'}}
  attn_gpu.fill %c[%b], %v[%b] : !attn_gpu.channel<128x64xf16, stages = 2, records = 0>, !online.view<?x64xbf16, ragged>
  return
}

// -----

// C26
func.func @c26(%p: !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>>) {
  // expected-error @+1 {{result must be '!attn_gpu.frag<64x64xf32, quad>', got '!attn_gpu.frag<64x128xf32, quad>'}}
  %s = attn_gpu.await %p : !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>> -> !attn_gpu.frag<64x128xf32, quad>
  return
}

// -----

// C27
func.func @c27(%p: !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>>) {
  // expected-error @+1 {{keep must lie in 0 ... 7, got 8}}
  %s = attn_gpu.await %p keep 8 : !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>> -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C10
func.func @c10_diagonal(%s: !attn_gpu.frag<64x64xf32, quad>, %d: !attn_gpu.diagvec<128x128xf32>) {
  // expected-error @+1 {{input of type '!attn_gpu.diagvec<128x128xf32>' does not fit the result '!attn_gpu.frag<64x64xf32, quad>'}}
  %t = attn_gpu.map (%s, %d) {
  ^bb0(%x: f32, %y: f32):
    attn_gpu.yield %x : f32
  } : (!attn_gpu.frag<64x64xf32, quad>, !attn_gpu.diagvec<128x128xf32>) -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C30
func.func @c30(%i: index) {
  // expected-error @+1 {{region must take ('i64'), got ('f32')}}
  %t = attn_gpu.diagonal at(%i, %i) {
  ^bb0(%x: f32):
    attn_gpu.yield %x : f32
  } : !attn_gpu.diagvec<128x64xf32>
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 0, diagonal = 128>
!view = !online.view<?x64xbf16, ragged>

// C31
func.func @c31_missing(%c: !channel, %v: !view, %i: index) {
  // expected-error @+1 {{has a region with two origins exactly where the channel has a diagonal}}
  attn_gpu.fill %c[%i], %v[%i] : !channel, !view
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 0>
!view = !online.view<?x64xbf16, ragged>

// C31
func.func @c31_unasked(%c: !channel, %v: !view, %i: index, %z: f32) {
  // expected-error @+1 {{has a region with two origins exactly where the channel has a diagonal}}
  attn_gpu.fill %c[%i], %v[%i] diagonal at(%i, %i) {
  ^bb0(%d: i64):
    attn_gpu.yield %z : f32
  } : !channel, !view
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 0>

// C32
func.func @c32_none(%c: !channel, %i: index) {
  // expected-error @+1 {{reads a channel that has no diagonal}}
  %d = attn_gpu.diagonal.read %c[%i] : !channel -> !attn_gpu.diagvec<128x64xf32>
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 0, diagonal = 128>

// C32
func.func @c32_other(%c: !channel, %i: index) {
  // expected-error @+1 {{result must be '!attn_gpu.diagvec<128x64xf32>', got '!attn_gpu.diagvec<64x64xf32>'}}
  %d = attn_gpu.diagonal.read %c[%i] : !channel -> !attn_gpu.diagvec<64x64xf32>
  return
}

// -----

// T7
// expected-error @+1 {{a diagvec has whole groups of 64 rows up to 256, got 100}}
func.func private @t7_rows(!attn_gpu.diagvec<100x64xf32>)

// -----

// T7
// expected-error @+1 {{a diagvec has 8 to 256 columns, a multiple of 8, got 12}}
func.func private @t7_columns(!attn_gpu.diagvec<64x12xf32>)

// -----

// T7
// expected-error @+1 {{a diagvec holds f32, got 'bf16'}}
func.func private @t7_element(!attn_gpu.diagvec<64x64xbf16>)

// -----

// T6
// expected-error @+1 {{a diagvec has whole groups of 64 rows up to 256, got 3}}
func.func private @t6_diagonal(!attn_gpu.channel<64x64xbf16, stages = 2, records = 0, diagonal = 3>)

// -----

// C1
// expected-error @+1 {{pin must be 0, 1, 4 or 5, got 2}}
func.func private @c1_pin() attributes {s = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 2, staged = true, branch = true>}

// -----

// C6
func.func @c6_layout(%s: !attn_gpu.frag<64x64xf32, quad>, %v: !attn_gpu.tile<64x64xbf16>) {
  // expected-error @+1 {{lhs in registers must be of layout quad_a}}
  %o = attn_gpu.mma %s, %v : !attn_gpu.frag<64x64xf32, quad>, !attn_gpu.tile<64x64xbf16> -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C19
func.func @c19_beside(%n: index) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
    // expected-error @+1 {{stands beside roles in 'attn_gpu.specialize'}}
    %x = arith.addi %n, %n : index
  }
  return
}

// -----

!tile = !attn_gpu.tile<64x64xbf16>
!frag = !attn_gpu.frag<64x64xf32, quad>

// C25
func.func @c25_path(%q: !tile, %there: i1) {
  // expected-error @+1 {{result must be awaited on every path: in its own block}}
  %p = attn_gpu.mma.start %q, %q transposed : !tile, !tile -> !attn_gpu.pending<!frag>
  scf.if %there {
    // expected-note @+1 {{awaited here}}
    %s = attn_gpu.await %p : !attn_gpu.pending<!frag> -> !frag
  }
  return
}

// -----

!tile = !attn_gpu.tile<64x64xbf16>
!frag = !attn_gpu.frag<64x64xf32, quad>

// C25
func.func @c25_twice(%q: !tile) {
  // expected-error @+1 {{result must be awaited once and used by nothing else}}
  %p = attn_gpu.mma.start %q, %q transposed : !tile, !tile -> !attn_gpu.pending<!frag>
  %s = attn_gpu.await %p : !attn_gpu.pending<!frag> -> !frag
  %t = attn_gpu.await %p : !attn_gpu.pending<!frag> -> !frag
  return
}

// -----

// C35
func.func @c35_sum() {
  // expected-error @+1 {{roles ask for 65536 registers, the limit is 64512}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(32) {
    }
    attn_gpu.role mma groups(2) registers(240) {
    }
  }
  return
}

// -----

// C35
func.func @c35_three_groups() {
  // expected-error @+1 {{roles ask for 68608 registers, the limit is 65536}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(32) {
    }
    attn_gpu.role mma groups(3) registers(168) {
    }
  }
  return
}

// -----

// C35
func.func @c35_unit() {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(24) {
    }
    // expected-error @+1 {{registers a thread must be a multiple of 8 from 24 to 240, got 236}}
    attn_gpu.role mma groups(2) registers(236) {
    }
  }
  return
}

// -----

// C35
func.func @c35_one() {
  // expected-error @+1 {{registers must be set for both roles or for none}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) registers(240) {
    }
  }
  return
}

// -----

// C36
func.func @c36() {
  // expected-error @+1 {{offset in shared memory must be a multiple of 1024 bytes, got 512}}
  %c = attn_gpu.channel "k" {offset = 512 : i64} : !attn_gpu.channel<64x64xbf16, stages = 2, records = 0>
  return
}

// -----

// C1
// expected-error @+1 {{own_rows takes 2 or 3 groups without ping_pong, got 1 group}}
func.func private @c1_own_rows() attributes {s = #attn_gpu.schedule<groups = 1, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true>}

// -----

// C1
// expected-error @+1 {{own_rows with 3 groups takes at least 3 stages, got 2}}
func.func private @c1_own_stages() attributes {s = #attn_gpu.schedule<groups = 3, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true>}

// -----

// C1
// expected-error @+1 {{own_rows takes 2 or 3 groups without ping_pong, got 2 groups with ping_pong}}
func.func private @c1_own_turns() attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = true, pin = 0, staged = true own_rows = true>}

// -----

// C29
func.func @c29_joint(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{takes (batch, head, row) of a block mask, got 2 indices}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b] tiles(%n, %n) length(%n) step 64 reach 2 : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C33
func.func @c33_reach(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{reach must be at least 2, got 1}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 1 : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C33
func.func @c33_reach_of_three(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{reach must be at least 6, got 5}}
  %n0, %l:3 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 5 : memref<?x?x?x?xi8> -> index, index, index
  return
}

// -----

// C33
func.func @c33_results(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{has 4 results for each of 2 or 3 groups, got 4}}
  %u, %g:4 = attn_gpu.joint.count %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 : memref<?x?x?x?xi8> -> index, index, index, index
  return
}

// -----

// C33
func.func @c33_links(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{has 1 results for each of 2 or 3 groups, got 4}}
  %n0, %l:4 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 6 : memref<?x?x?x?xi8> -> index, index, index, index
  return
}

// -----

func.func @names(%n: index) {
  // expected-error @+1 {{expected (origin, count, full) before 'in', got 2 names}}
  attn_gpu.for_blocks (%n0, %count) in [%n, %n) full step 128 {
    attn_gpu.yield
  }
  return
}

// -----

// C38
func.func @c38_alone(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{joins rows in tiles of a schedule with own_rows alone}}
  attn_gpu.for_blocks (%n0, %count, %full) in list %c[%b, %b, %b] joint(%n) tile(%n) length(%n) : memref<?x?x?x?xi8> step 64 {
    attn_gpu.yield
  }
  return
}

// -----

// C38
func.func @c38_schedule(%c: memref<?x?x?x?xi8>, %n: index) {
  attn_gpu.for_tiles (%b, %h, %mt) in (%n, %n, %n) schedule(#attn_gpu.schedule<groups = 3, n = 64, stages = 3, q_stages = 2, ping_pong = false, pin = 0, staged = true>) {
    // expected-error @+1 {{joins rows in tiles of a schedule with own_rows alone}}
    attn_gpu.for_blocks (%n0, %count, %full) in list %c[%b, %h, %mt] joint(%n) tile(%n) length(%n) : memref<?x?x?x?xi8> step 64 {
      attn_gpu.yield
    }
  }
  return
}

// -----

// C43
func.func @c43_equality(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n) : (m - n == 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_factor(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n) : (2 * m - n >= 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_sum(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n) : (m + n >= 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_division(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n) : (m floordiv 2 >= 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_constant(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n) : (m - n + 1073741824 >= 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_positions(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m) : (m >= 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_symbol(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %n0, %l:2 = attn_gpu.joint.element %b of %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n)[s] : (m - n + s >= 0)>} : memref<?x?x?x?xi8> -> index, index
  return
}

// -----

// C43
func.func @c43_count(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
  %u, %g:8 = attn_gpu.joint.count %c[%b, %b, %b] tiles(%n, %n) length(%n) step 64 reach 2 {visible = affine_set<(m, n) : (m + n >= 0)>} : memref<?x?x?x?xi8> -> index, index, index, index, index, index, index, index
  return
}

// -----

// C43
func.func @c43_blocks(%c: memref<?x?x?x?xi8>, %n: index) {
  attn_gpu.for_tiles (%b, %h, %mt) in (%n, %n, %n) schedule(#attn_gpu.schedule<groups = 2, n = 64, stages = 3, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true>) {
    // expected-error @+1 {{visible must be made of inequalities over (m, n) with factors -1 to 1, not both 1 or both -1, and constants within 2^30}}
    attn_gpu.for_blocks (%n0, %count, %full) in list %c[%b, %h, %mt] joint(%n) tile(%n) length(%n) : memref<?x?x?x?xi8> step 64 attributes {visible = affine_set<(m, n) : (m + n >= 0)>} {
      attn_gpu.yield
    }
  }
  return
}

// -----

// C45
func.func @c45_of_one_row(%c: memref<?x?x?x?xi8>, %b: index, %n: index) {
  // expected-error @+1 {{says where the mask holds for a joint list alone}}
  attn_gpu.for_blocks (%n0, %count, %full) in list %c[%b, %b, %b] tile(%n) length(%n) : memref<?x?x?x?xi8> step 64 attributes {visible = affine_set<(m, n) : (m - n >= 0)>} {
    attn_gpu.yield
  }
  return
}

// -----

// C45
func.func @c45_of_segments(%n: index) {
  // expected-error @+1 {{says where the mask holds for a joint list alone}}
  attn_gpu.for_blocks (%n0, %count, %full) in [%n, %n) full step 128 attributes {visible = affine_set<(m, n) : (m - n >= 0)>} {
    attn_gpu.yield
  }
  return
}

// -----

// C4
func.func @c4_joint(%n: index) {
  // expected-error @+1 {{joins rows of a list alone}}
  "attn_gpu.for_blocks"(%n, %n, %n) <{classes = array<i32: 1>, operandSegmentSizes = array<i32: 1, 1, 0, 0, 1, 0, 0, 0>, step = 64 : i64}> ({
  ^bb0(%n0: index, %count: index, %full: i1):
    "attn_gpu.yield"() : () -> ()
  }) : (index, index, index) -> ()
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 0>
!view = !online.view<?x64xbf16, ragged>

// C34
func.func @c34(%v: !view, %i: index) {
  %c = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error @+1 {{names readers for 1 groups, of which there are 2}}
      attn_gpu.fill %c[%i], %v[%i] readers(%i) : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 2>

// C23
func.func @c23_own(%i: index) {
  %c = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
      // expected-error @+1 {{channel has 2 records, got 3}}
      %x, %own = attn_gpu.record %c[%i] own 1 : !channel -> index, index
    }
  }
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 1>

// C23
func.func @c23_own_beyond(%c: !channel, %i: index) {
  // expected-error @+1 {{has 1 results, own 2}}
  %x = attn_gpu.record %c[%i] own 2 : !channel -> index
  return
}

// -----

!channel = !attn_gpu.channel<64x64xbf16, stages = 2, records = 0>
!view = !online.view<?x64xbf16, ragged>

// C37
func.func @c37(%c: !channel, %v: !view, %i: index) {
  // expected-error @+1 {{warp must be 0 to 3, got 4}}
  attn_gpu.fill %c[%i], %v[%i] warp 4 : !channel, !view
  return
}

// -----

// C1
// expected-error @+1 {{cluster must be 1 or 2, got 3}}
func.func private @c1_cluster() attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true cluster = 3>}

// -----

// C1
// expected-error @+1 {{own_rows takes no clusters}}
func.func private @c1_own_clusters() attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true cluster = 2>}

// -----

// T6
// expected-error @+1 {{cluster must be 1 or 2, got 0}}
func.func private @t6_cluster(!attn_gpu.channel<64x64xbf16, stages = 2, records = 0 cluster = 0>)

// -----

// T6
// expected-error @+1 {{a channel of a cluster has a multiple of 16 rows, got 40}}
func.func private @t6_halves(!attn_gpu.channel<40x64xbf16, stages = 2, records = 0 cluster = 2>)

// -----

// C39
func.func @c39(%n: index) -> index {
  // expected-error @+1 {{cluster must be 1 or 2, got 4}}
  %t = attn_gpu.tile.fetch of %n cluster 4
  return %t : index
}

// -----

// C39
func.func @c39_alone(%n: index) -> index {
  // expected-error @+1 {{of a cluster is shared once and used by nothing else}}
  %t = attn_gpu.tile.fetch of %n cluster 2
  return %t : index
}

// -----

// C40
func.func @c40(%n: index) -> index {
  // expected-error @+1 {{takes the tile of a 'tile.fetch' of a cluster}}
  %u = attn_gpu.tile.share %n number %n
  return %u : index
}

// -----

// C40
func.func @c40_fetch(%n: index) -> index {
  %t = attn_gpu.tile.fetch of %n
  // expected-error @+1 {{takes the tile of a 'tile.fetch' of a cluster}}
  %u = attn_gpu.tile.share %t number %n
  return %u : index
}

// -----

// C21
func.func @c21_share(%n: index) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
      // expected-error @+1 {{does not belong to role mma}}
      %t = attn_gpu.tile.fetch of %n cluster 2
      %u = attn_gpu.tile.share %t number %n
    }
  }
  return
}

// -----

// C1
// expected-error @+1 {{edges goes without branch and own_rows}}
func.func private @c1_edges_branch() attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true, branch = true edges = true>}

// -----

// C1
// expected-error @+1 {{edges goes without branch and own_rows}}
func.func private @c1_edges_rows() attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true edges = true>}

// -----

// C41
func.func @c41(%q: !attn_gpu.tile<64x64xbf16>, %n: index) {
  // expected-error @+1 {{keys are of scores, or of outputs with weights in registers}}
  %p = attn_gpu.mma.start %q, %q keys(%n) : !attn_gpu.tile<64x64xbf16>, !attn_gpu.tile<64x64xbf16> -> !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>>
  %s = attn_gpu.await %p : !attn_gpu.pending<!attn_gpu.frag<64x64xf32, quad>> -> !attn_gpu.frag<64x64xf32, quad>
  return
}

// -----

// C42
func.func @c42() {
  // expected-error @+1 {{stands in a role that computes}}
  %g = attn_gpu.group
  return
}

// -----

// C42
func.func @c42_load() {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error @+1 {{stands in a role that computes}}
      %g = attn_gpu.group
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!channel = !attn_gpu.channel<128x64xbf16, stages = 1, records = 0>
!view = !online.view<?x64xbf16, ragged>

// C44
func.func @c44(%c: !channel, %v: !view, %i: index) {
  // expected-error @+1 {{takes a tile of 128 rows from 3 places: parts have whole groups of 64 rows}}
  attn_gpu.fill %c[%i], %v[%i, %i, %i] : !channel, !view
  return
}

// -----

!channel = !attn_gpu.channel<128x64xbf16, stages = 1, records = 0>
!view = !online.view<?x64xbf16, ragged>

// C44
func.func @c44_nowhere(%c: !channel, %v: !view, %i: index) {
  // expected-error @+1 {{takes a tile of 128 rows from 0 places: parts have whole groups of 64 rows}}
  attn_gpu.fill %c[%i], %v[] : !channel, !view
  return
}

// -----

!channel = !attn_gpu.channel<128x64xbf16, stages = 1, records = 0 cluster = 2>
!view = !online.view<?x64xbf16, ragged>

// C44
func.func @c44_cluster(%c: !channel, %v: !view, %i: index) {
  // expected-error @+1 {{takes a tile of a cluster from one place}}
  attn_gpu.fill %c[%i], %v[%i, %i] : !channel, !view
  return
}

// -----

// C46
func.func @c46_in_a_role() {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error @+1 {{must stand in the kernel's own block}}
      attn_gpu.grid_dependency.wait
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

// C46
func.func @c46_read(%x: memref<?xf32>, %i: i64) {
  // expected-note @+1 {{as this does}}
  %y = attn.read %x[%i] : memref<?xf32> -> f32
  // expected-error @+1 {{must stand ahead of all that touches tensors or takes tiles}}
  attn_gpu.grid_dependency.wait
  return
}

// -----

// C46
func.func @c46_tile(%n: index) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-note @+1 {{as this does}}
      %t = attn_gpu.tile.fetch of %n
    }
    attn_gpu.role mma groups(2) {
    }
  }
  // expected-error @+1 {{must stand ahead of all that touches tensors or takes tiles}}
  attn_gpu.grid_dependency.wait
  return
}

// -----

// C46
func.func @c46_list(%list: memref<?x?x?x?xi8>, %i: index) {
  // expected-note @+1 {{as this does}}
  %n0 = attn_gpu.list.element %i of %list[%i, %i, %i] tile(%i) length(%i) step 64 : memref<?x?x?x?xi8>
  // expected-error @+1 {{must stand ahead of all that touches tensors or takes tiles}}
  attn_gpu.grid_dependency.wait
  return
}
