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
