// RUN: fovea-opt %s --split-input-file --verify-diagnostics

// C1
func.func @c1_bounds() {
  // expected-error@+1 {{needs at least one bound}}
  online.grid () in () {
  }
  return
}

// -----

// C1
func.func @c1_arguments(%a: index) {
  // expected-error@+1 {{needs one index argument per bound, got ('index') for 2 bounds}}
  "online.grid"(%a, %a) ({
  ^bb0(%i: index):
    online.yield
  }) : (index, index) -> ()
  return
}

// -----

// C1
func.func @c1_yield(%a: index) {
  // expected-error@+1 {{body must yield nothing}}
  online.grid (%i) in (%a) {
    online.yield %i : index
  }
  return
}

// -----

// C2
func.func @c2_schedule(%a: index) {
  // expected-error@+1 {{schedule must be a schedule attribute, got "fast"}}
  online.grid (%i) in (%a) schedule("fast") {
  }
  return
}

// -----

// C3
func.func @c3_rank(%m: memref<?x?x?x64xf32>, %b: index) {
  // expected-error@+1 {{source must have rank 3 for '!online.view<?x64xf32>' and 1 indices, got 4}}
  %v = online.view %m[%b] : memref<?x?x?x64xf32> -> !online.view<?x64xf32>
  return
}

// -----

// C3
func.func @c3_paged_rank(%m: memref<?x?x64xf32>, %t: memref<?xi32>, %b: index) {
  // expected-error@+1 {{source must have rank 4 for '!online.view<?x64xf32, paged>' and 1 indices with pages, got 3}}
  %v = online.view %m[%b] pages(%t : memref<?xi32>) : memref<?x?x64xf32> -> !online.view<?x64xf32, paged>
  return
}

// -----

// C3
func.func @c3_paged_indices(%m: memref<?x?x16x64xf32>, %t: memref<?xi32>, %b: index) {
  // expected-error@+1 {{takes the head as its one index with pages, got 2 indices}}
  %v = online.view %m[%b, %b] pages(%t : memref<?xi32>) : memref<?x?x16x64xf32> -> !online.view<?x64xf32, paged>
  return
}

// -----

// C4
func.func @c4_paged(%m: memref<?x?x?x64xf32>, %b: index) {
  // expected-error@+1 {{type '!online.view<?x64xf32, paged>' does not agree with no pages}}
  %v = online.view %m[%b, %b] : memref<?x?x?x64xf32> -> !online.view<?x64xf32, paged>
  return
}

// -----

// C4
func.func @c4_ragged(%m: memref<?x?x?x64xf32>, %b: index) {
  // expected-error@+1 {{type '!online.view<?x64xf32>' does not agree with a length}}
  %v = online.view %m[%b, %b] len(%b) : memref<?x?x?x64xf32> -> !online.view<?x64xf32>
  return
}

// -----

// C5
func.func @c5_element(%m: memref<?x?x?x64xbf16>, %b: index) {
  // expected-error@+1 {{view has element type 'f32', source has 'bf16'}}
  %v = online.view %m[%b, %b] : memref<?x?x?x64xbf16> -> !online.view<?x64xf32>
  return
}

// -----

// C5
func.func @c5_columns(%m: memref<?x?x?x32xf32>, %b: index) {
  // expected-error@+1 {{view has 64 columns, source has 32}}
  %v = online.view %m[%b, %b] : memref<?x?x?x32xf32> -> !online.view<?x64xf32>
  return
}

// -----

// C6
func.func @c6_columns(%v: !online.view<?x64xf32>, %i: index) {
  // expected-error@+1 {{tile has 32 columns, view has 64}}
  %t = online.load %v[%i] : !online.view<?x64xf32> -> tensor<128x32xf32>
  return
}

// -----

// C6
func.func @c6_rank(%v: !online.view<?xf32>, %i: index) {
  // expected-error@+1 {{tile must have rank 1 for '!online.view<?xf32>', got 'tensor<128x1xf32>'}}
  %t = online.load %v[%i] : !online.view<?xf32> -> tensor<128x1xf32>
  return
}

// -----

// C6
func.func @c6_element(%v: !online.view<?x64xf32>, %i: index) {
  // expected-error@+1 {{tile has element type 'f64', view has 'f32'}}
  %t = online.load %v[%i] : !online.view<?x64xf32> -> tensor<128x64xf64>
  return
}

// -----

// C7
func.func @c7_columns(%t: tensor<128x32xf32>, %v: !online.view<?x64xf32>, %i: index) {
  // expected-error@+1 {{tile has 32 columns, view has 64}}
  online.store %t, %v[%i] : tensor<128x32xf32>, !online.view<?x64xf32>
  return
}

// -----

// C8
func.func @c8_rank(%t: tensor<128xf32>, %v: !online.view<?x64xf32>, %i: index) {
  // expected-error@+1 {{tile must have rank 2 for '!online.view<?x64xf32>', got 'tensor<128xf32>'}}
  online.reduce_into %t, %v[%i] : tensor<128xf32>, !online.view<?x64xf32>
  return
}

// -----

// C9
func.func @c9_classes(%i: index) {
  // expected-error@+1 {{needs a begin, an end and a class per segment, got 2 positions and 2 classes}}
  %w = "online.walk.segments"(%i, %i) <{classes = array<i32: 1, 2>, step = 8}> : (index, index) -> !online.walk
  return
}

// -----

// C9
func.func @c9_positions(%i: index) {
  // expected-error@+1 {{needs a begin, an end and a class per segment, got 3 positions and 1 classes}}
  %w = "online.walk.segments"(%i, %i, %i) <{classes = array<i32: 1>, step = 8}> : (index, index, index) -> !online.walk
  return
}

// -----

// C9
func.func @c9_class(%i: index) {
  // expected-error@+1 {{class must be 1 (partial) or 2 (full), got 0}}
  %w = "online.walk.segments"(%i, %i) <{classes = array<i32: 0>, step = 8}> : (index, index) -> !online.walk
  return
}

// -----

// C9
func.func @c9_word(%i: index) {
  // expected-error@+1 {{expected 'full' or 'partial', got 'empty'}}
  %w = online.walk.segments step 8 [%i, %i) empty : !online.walk
  return
}

// -----

// C9
func.func @c9_step(%i: index) {
  // expected-error@+1 {{step must be positive, got -8}}
  %w = online.walk.segments step -8 [%i, %i) full : !online.walk
  return
}

// -----

// C10
func.func @c10_indices(%c: memref<?x?x?x?xi8>, %i: index) {
  // expected-error@+1 {{needs 3 indices (batch, head, query tile), got 2}}
  %w = online.walk.list %c[%i, %i] tile(%i) length(%i) step 8 : memref<?x?x?x?xi8>
  return
}

// -----

// C10
func.func @c10_classes(%c: memref<?x?x?xi8>, %i: index) {
  // expected-error@+1 {{operand #0 must be 4D memref of 8-bit signless integer values, but got 'memref<?x?x?xi8>'}}
  %w = online.walk.list %c[%i, %i, %i] tile(%i) length(%i) step 8 : memref<?x?x?xi8>
  return
}

// -----

// C10
func.func @c10_step(%c: memref<?x?x?x?xi8>, %i: index) {
  // expected-error@+1 {{step must be positive, got 0}}
  %w = online.walk.list %c[%i, %i, %i] tile(%i) length(%i) step 0 : memref<?x?x?x?xi8>
  return
}

// -----

// C11
func.func @c11_arguments(%i: index, %keep: i1) {
  // expected-error@+1 {{region must take ('i64', 'i64'), got ('i64')}}
  %w = online.walk.scan rows 8 step 8 at(%i) shift(%i) [%i, %i) {
  ^bb0(%m: i64):
    online.yield %keep : i1
  }
  return
}

// -----

// C11
func.func @c11_yield(%i: index) {
  // expected-error@+1 {{region must yield ('i1'), got ('i64')}}
  %w = online.walk.scan rows 8 step 8 at(%i) shift(%i) [%i, %i) {
  ^bb0(%m: i64, %n: i64):
    online.yield %m : i64
  }
  return
}

// -----

// C11
func.func @c11_rows(%i: index, %keep: i1) {
  // expected-error@+1 {{rows must be positive, got 0}}
  %w = online.walk.scan rows 0 step 8 at(%i) shift(%i) [%i, %i) {
  ^bb0(%m: i64, %n: i64):
    online.yield %keep : i1
  }
  return
}

// -----

// C12
func.func @c12_arguments(%w: !online.walk, %x: f32) {
  // expected-error@+1 {{body must take ('index', '!online.class', 'f32'), got ('index', '!online.class')}}
  %r = "online.sweep"(%w, %x) ({
  ^bb0(%n: index, %c: !online.class):
    online.yield %x : f32
  }) : (!online.walk, f32) -> f32
  return
}

// -----

// C12
func.func @c12_yield(%w: !online.walk, %x: f32) {
  // expected-error@+1 {{body must yield ('f32'), got ('index')}}
  %r = online.sweep (%n, %c) in %w iter(%y = %x) -> f32 {
    online.yield %n : index
  }
  return
}

// -----

// C12
func.func @c12_results(%w: !online.walk, %x: f32) {
  // expected-error@+1 {{must give ('f32'), got ('f64')}}
  %r = "online.sweep"(%w, %x) ({
  ^bb0(%n: index, %c: !online.class, %y: f32):
    online.yield %y : f32
  }) : (!online.walk, f32) -> f64
  return
}

// -----

// C12
func.func @c12_names(%w: !online.walk) {
  // expected-error@+1 {{expected (origin, class) before 'in', got 1 names}}
  online.sweep (%n) in %w {
    online.yield
  }
  return
}

// -----

// C12
func.func @c12_terminator(%w: !online.walk) {
  // expected-error@+1 {{body must end with 'online.yield'}}
  online.sweep (%n, %c) in %w {
    attn.yield
  }
  return
}

// -----

// C13
func.func @c13_dot_on_map(%w: !online.walk, %q: tensor<8x8xf32>, %i: index) {
  online.sweep (%n, %c) in %w {
    // expected-note@+1 {{the later phase is here}}
    %k = online.map tile(%i, %n) ins(%q : tensor<8x8xf32>) {
    ^bb0(%a: i64, %b: i64, %s: f32):
      online.yield %s : f32
    } -> tensor<8x8xf32>
    // expected-error@+1 {{of phase A depends on 'online.map' of phase B in the same iteration}}
    %x = online.dot %q, %k contract [1, 1] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    online.yield
  }
  return
}

// -----

// C13
func.func @c13_dot_on_accumulate(%w: !online.walk, %q: tensor<8x8xf32>) {
  online.sweep (%n, %c) in %w {
    // expected-note@+1 {{the later phase is here}}
    %k = online.accumulate %q, %q, %q contract [1, 1] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    // expected-error@+1 {{of phase A depends on 'online.accumulate' of phase C in the same iteration}}
    %x = online.dot %q, %k contract [1, 1] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    online.yield
  }
  return
}

// -----

// C13
func.func @c13_step_on_step(%w: !online.walk, %q: tensor<8x8xf32>, %s: !online.state<8x8xf32, t, l>, %b: i64, %i: index) {
  %r = online.sweep (%n, %c) in %w iter(%y = %s) -> !online.state<8x8xf32, t, l> {
    // expected-note@+1 {{the later phase is here}}
    %1 = online.step %y, %q, %q normalizer #attn.softmax at(%b, %b, %i, %n)
      : !online.state<8x8xf32, t, l>, tensor<8x8xf32>, tensor<8x8xf32>
    // expected-error@+1 {{of phase B depends on 'online.step' of phase C in the same iteration}}
    %2 = online.step %1, %q, %q normalizer #attn.softmax at(%b, %b, %i, %n)
      : !online.state<8x8xf32, t, l>, tensor<8x8xf32>, tensor<8x8xf32>
    online.yield %2 : !online.state<8x8xf32, t, l>
  }
  return
}

// -----

// C14
func.func @c14_rank(%a: tensor<8xf32>, %b: tensor<8x8xf32>) {
  // expected-error@+1 {{needs tiles of rank 2 and of floats, got 'tensor<8xf32>'}}
  %x = online.dot %a, %b contract [0, 1] : tensor<8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
  return
}

// -----

// C14
func.func @c14_contract(%a: tensor<8x8xf32>) {
  // expected-error@+1 {{contract must be two dims of 0 or 1, got [1, 2]}}
  %x = online.dot %a, %a contract [1, 2] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
  return
}

// -----

// C14
func.func @c14_sizes(%a: tensor<8x16xf32>, %b: tensor<4x32xf32>) {
  // expected-error@+1 {{contracts 16 elements of lhs with 32 of rhs}}
  %x = online.dot %a, %b contract [1, 1] : tensor<8x16xf32>, tensor<4x32xf32> -> tensor<8x4xf32>
  return
}

// -----

// C14
func.func @c14_result(%a: tensor<8x16xf32>, %b: tensor<4x16xf32>) {
  // expected-error@+1 {{result must have shape 8x4, got 'tensor<4x8xf32>'}}
  %x = online.dot %a, %b contract [1, 1] : tensor<8x16xf32>, tensor<4x16xf32> -> tensor<4x8xf32>
  return
}

// -----

// C14
func.func @c14_type(%a: tensor<8x8xbf16>) {
  // expected-error@+1 {{result #0 must be static tile of the score type, but got 'tensor<8x8xbf16>'}}
  %x = online.dot %a, %a contract [1, 1] : tensor<8x8xbf16>, tensor<8x8xbf16> -> tensor<8x8xbf16>
  return
}

// -----

// C15
func.func @c15_result(%c: tensor<8x8xf32>, %a: tensor<8x16xf32>, %b: tensor<4x16xf32>) {
  // expected-error@+1 {{result must have shape 8x4, got 'tensor<8x8xf32>'}}
  %x = online.accumulate %c, %a, %b contract [1, 1] : tensor<8x16xf32>, tensor<4x16xf32> -> tensor<8x8xf32>
  return
}

// -----

// C16
func.func @c16_origins(%i: index) {
  // expected-error@+1 {{of kind rows needs 1 origins, got 2}}
  %x = online.map rows(%i, %i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// C16
func.func @c16_results(%i: index) {
  // expected-error@+1 {{needs at least one result}}
  "online.map"(%i) <{kind = #online<map_kind rows>, operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%m: i64):
    online.yield
  }) : (index) -> ()
  return
}

// -----

// C16
func.func @c16_shape(%i: index) {
  // expected-error@+1 {{of kind cols cannot give 'tensor<8xf32>'}}
  %x = online.map cols(%i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// C16
func.func @c16_one_shape(%i: index) {
  // expected-error@+1 {{results must have one shape, got 'tensor<4xf32>' beside 'tensor<8xf32>'}}
  %x:2 = online.map rows(%i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f, %f : f32, f32
  } -> tensor<8xf32>, tensor<4xf32>
  return
}

// -----

// C16
func.func @c16_inputs(%i: index, %a: tensor<16xf32>) {
  // expected-error@+1 {{of kind tile cannot read 'tensor<16xf32>' for 'tensor<8x8xf32>'}}
  %x = online.map tile(%i, %i) ins(%a : tensor<16xf32>) {
  ^bb0(%m: i64, %n: i64, %v: f32):
    online.yield %v : f32
  } -> tensor<8x8xf32>
  return
}

// -----

// C16
func.func @c16_diag_inputs(%i: index, %a: tensor<15xf32>) {
  // expected-error@+1 {{of kind diag takes no inputs, got 1}}
  %x = online.map diag(%i, %i) columns 8 ins(%a : tensor<15xf32>) {
  ^bb0(%d: i64, %v: f32):
    online.yield %v : f32
  } -> tensor<15xf32>
  return
}

// -----

// C16
func.func @c16_columns(%i: index) {
  // expected-error@+1 {{of kind rows takes no columns}}
  %x = online.map rows(%i) columns 8 {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// C16
func.func @c16_no_columns(%i: index) {
  // expected-error@+1 {{of kind diag needs its columns}}
  %x = online.map diag(%i, %i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// C16
func.func @c16_many_columns(%i: index) {
  // expected-error@+1 {{columns must be within 1 and 8, got 9}}
  %x = online.map diag(%i, %i) columns 9 {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// C16
func.func @c16_arguments(%i: index) {
  // expected-error@+1 {{region must take ('i64', 'i64'), got ('i64')}}
  %x = online.map tile(%i, %i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8x8xf32>
  return
}

// -----

// C16
func.func @c16_yield(%i: index) {
  // expected-error@+1 {{region must yield ('f64'), got ('f32')}}
  %x = online.map rows(%i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf64>
  return
}

// -----

// C17
func.func @c17_rank(%i: index, %c: !online.class) {
  // expected-error@+1 {{needs a result of rank 2, got 'tensor<8xi1>'}}
  %x = online.mask at(%i, %i) class(%c) : tensor<8xi1>
  return
}

// -----

// C17
func.func @c17_arguments(%i: index, %c: !online.class, %keep: i1) {
  // expected-error@+1 {{region must take ('i64', 'i64'), got ('i64')}}
  %x = online.mask at(%i, %i) class(%c) {
  ^bb0(%m: i64):
    online.yield %keep : i1
  } : tensor<8x8xi1>
  return
}

// -----

// C17
func.func @c17_yield(%i: index, %c: !online.class) {
  // expected-error@+1 {{region must yield ('i1'), got ('i64')}}
  %x = online.mask at(%i, %i) class(%c) {
  ^bb0(%m: i64, %n: i64):
    online.yield %m : i64
  } : tensor<8x8xi1>
  return
}

// -----

// C18
func.func @c18_no_t(%b: i64, %m: index) {
  // expected-error@+1 {{lacks a running maximum t, normalizer #attn.softmax has one}}
  %s = online.init normalizer #attn.softmax at(%b, %b, %m) : !online.state<8x8xf32, l>
  return
}

// -----

// C18
attn.normalizer @relu score_type f32 captures [] weight {
^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
  attn.yield %s : f32
}
func.func @c18_l(%b: i64, %m: index) {
  // expected-error@+1 {{has a denominator l, normalizer @relu has none}}
  %s = online.init normalizer @relu at(%b, %b, %m) : !online.state<8x8xf32, l>
  return
}

// -----

// C18
func.func @c18_unknown(%b: i64, %m: index) {
  // expected-error@+1 {{@gelu does not name an 'attn.normalizer'}}
  %s = online.init normalizer @gelu at(%b, %b, %m) : !online.state<8x8xf32>
  return
}

// -----

// C18
func.func @c18_kind(%b: i64, %m: index) {
  // expected-error@+1 {{normalizer must be #attn.softmax or a symbol, got "softmax"}}
  %s = online.init normalizer "softmax" at(%b, %b, %m) : !online.state<8x8xf32>
  return
}

// -----

// C18
func.func @c18_softmax_captures(%b: i64, %m: index, %c: memref<?xf32>) {
  // expected-error@+1 {{#attn.softmax takes no captures, got 1}}
  %s = online.init normalizer #attn.softmax(%c : memref<?xf32>) at(%b, %b, %m) : !online.state<8x8xf32, t, l>
  return
}

// -----

// C18
attn.normalizer @relu score_type f32 captures [] weight {
^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
  attn.yield %s : f32
}
func.func @c18_score_type(%b: i64, %m: index) {
  // expected-error@+1 {{has score type 'f64', its normalizer @relu has 'f32'}}
  %s = online.init normalizer @relu at(%b, %b, %m) : !online.state<8x8xf64>
  return
}

// -----

// C18
// expected-note@+1 {{the normalizer is here}}
attn.normalizer @relu score_type f32 captures [] weight {
^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
  attn.yield %s : f32
}
func.func @c18_captures(%b: i64, %m: index, %c: memref<?xf32>) {
  // expected-error@+1 {{passes 1 captures, its normalizer takes 0}}
  %s = online.init normalizer @relu(%c : memref<?xf32>) at(%b, %b, %m) : !online.state<8x8xf32>
  return
}

// -----

// C18
// expected-note@+1 {{the normalizer is here}}
attn.normalizer @relu score_type f32 captures [tensor<?xf32>] weight {
^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %c: tensor<?xf32>):
  attn.yield %s : f32
}
func.func @c18_capture_type(%b: i64, %m: index, %c: memref<?x?xf32>) {
  // expected-error@+1 {{capture #0 has type 'memref<?x?xf32>', its normalizer takes 'tensor<?xf32>'}}
  %s = online.init normalizer @relu(%c : memref<?x?xf32>) at(%b, %b, %m) : !online.state<8x8xf32>
  return
}

// -----

// C19
func.func @c19_rank(%s: !online.state<8x4xf32, t, l>, %x: tensor<8xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{scores must have rank 2, got 'tensor<8xf32>'}}
  %r = online.step %s, %x, %v normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8xf32>, tensor<16x4xf32>
  return
}

// -----

// C19
func.func @c19_scores(%s: !online.state<8x4xf32, t, l>, %x: tensor<4x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{scores must be 'tensor<8x16xf32>', got 'tensor<4x16xf32>'}}
  %r = online.step %s, %x, %v normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<4x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C19
func.func @c19_score_type(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf64>, %v: tensor<16x4xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{scores must be 'tensor<8x16xf32>', got 'tensor<8x16xf64>'}}
  %r = online.step %s, %x, %v normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf64>, tensor<16x4xf32>
  return
}

// -----

// C19
func.func @c19_values(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x8xbf16>, %b: i64, %i: index) {
  // expected-error@+1 {{values must be 'tensor<16x4xbf16>', got 'tensor<16x8xbf16>'}}
  %r = online.step %s, %x, %v normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x8xbf16>
  return
}

// -----

// C19
func.func @c19_visible(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index, %p: tensor<8x8xi1>) {
  // expected-error@+1 {{visible must be 'tensor<8x16xi1>', got 'tensor<8x8xi1>'}}
  %r = online.step %s, %x, %v visible(%p : tensor<8x8xi1>) normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C19
func.func @c19_scale(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index, %c: f64) {
  // expected-error@+1 {{scale has type 'f64', the state has 'f32'}}
  %r = online.step %s, %x, %v scale(%c : f64) normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C19
func.func @c19_row(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index, %p: tensor<16xf32>) {
  // expected-error@+1 {{row must be 'tensor<8xf32>', got 'tensor<16xf32>'}}
  %r = online.step %s, %x, %v row(%p : tensor<16xf32>) normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C19
func.func @c19_col(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index, %p: tensor<16xf32>) {
  // expected-error@+1 {{col must be 'tensor<1x16xf32>', got 'tensor<16xf32>'}}
  %r = online.step %s, %x, %v col(%p : tensor<16xf32>) normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C20
func.func @c20_l(%s: !online.state<8x4xf32, t>, %x: tensor<8x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{lacks a denominator l, normalizer #attn.softmax has one}}
  %r = online.step %s, %x, %v normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t>, tensor<8x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C20
func.func @c20_unknown(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x4xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{@gelu does not name an 'attn.normalizer'}}
  %r = online.step %s, %x, %v normalizer @gelu at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x4xf32>
  return
}

// -----

// C21
func.func @c21_out(%s: !online.state<8x4xf32, t, l>, %b: i64, %i: index) {
  // expected-error@+1 {{out must be 'tensor<8x4xf32>', got 'tensor<4x8xf32>'}}
  %o = online.finish %s normalizer #attn.softmax at(%b, %b, %i) : !online.state<8x4xf32, t, l> -> tensor<4x8xf32>
  return
}

// -----

// C21
func.func @c21_lse(%s: !online.state<8x4xf32, t, l>, %b: i64, %i: index) {
  // expected-error@+1 {{lse must be 'tensor<8xf32>', got 'tensor<4xf32>'}}
  %o, %l = online.finish %s normalizer #attn.softmax at(%b, %b, %i) : !online.state<8x4xf32, t, l> -> tensor<8x4xf32>, tensor<4xf32>
  return
}

// -----

// C21
attn.normalizer @relu score_type f32 captures [] weight {
^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
  attn.yield %s : f32
}
func.func @c21_no_l(%s: !online.state<8x4xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{cannot give lse: '!online.state<8x4xf32>' has no denominator l}}
  %o, %l = online.finish %s normalizer @relu at(%b, %b, %i) : !online.state<8x4xf32> -> tensor<8x4xf32>, tensor<8xf32>
  return
}

// -----

// C21
attn.normalizer @relu score_type f32 captures [] weight {
^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
  attn.yield %s : f32
}
func.func @c21_normalizer(%s: !online.state<8x4xf32, t, l>, %b: i64, %i: index) {
  // expected-error@+1 {{has a running maximum t, normalizer @relu has none}}
  %o = online.finish %s normalizer @relu at(%b, %b, %i) : !online.state<8x4xf32, t, l> -> tensor<8x4xf32>
  return
}

// -----

// C22
func.func @c22_rank(%x: tensor<8xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{scores must have rank 2, got 'tensor<8xf32>'}}
  %p = online.weights %x normalizer #attn.softmax at(%b, %b, %i, %i) : tensor<8xf32>
  return
}

// -----

// C22
func.func @c22_visible(%x: tensor<8x16xf32>, %l: tensor<8xf32>, %p: tensor<8x8xi1>, %b: i64, %i: index) {
  // expected-error@+1 {{visible must be 'tensor<8x16xi1>', got 'tensor<8x8xi1>'}}
  %w = online.weights %x stat(%l : tensor<8xf32>) visible(%p : tensor<8x8xi1>) normalizer #attn.softmax at(%b, %b, %i, %i) : tensor<8x16xf32>
  return
}

// -----

// C22
func.func @c22_stat(%x: tensor<8x16xf32>, %l: tensor<16xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{stat must be 'tensor<8xf32>', got 'tensor<16xf32>'}}
  %w = online.weights %x stat(%l : tensor<16xf32>) normalizer #attn.softmax at(%b, %b, %i, %i) : tensor<8x16xf32>
  return
}

// -----

// C22
func.func @c22_no_stat(%x: tensor<8x16xf32>, %b: i64, %i: index) {
  // expected-error@+1 {{lacks a running maximum t, normalizer #attn.softmax has one}}
  %w = online.weights %x normalizer #attn.softmax at(%b, %b, %i, %i) : tensor<8x16xf32>
  return
}

// -----

// C23
func.func @c23_division(%i: index) {
  // expected-note@+1 {{region of this op}}
  %x = online.map rows(%i) {
  ^bb0(%m: i64):
    // expected-error@+1 {{is not allowed in a scalar region: only scalar ops on i1, i64 and the score type, with total integer arithmetic}}
    %d = arith.divsi %m, %m : i64
    %f = arith.sitofp %d : i64 to f32
    online.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// C23
func.func @c23_terminator(%i: index) {
  // expected-error@+1 {{region must end with 'online.yield'}}
  %x = online.map rows(%i) {
  ^bb0(%m: i64):
    %f = arith.sitofp %m : i64 to f32
    attn.yield %f : f32
  } -> tensor<8xf32>
  return
}

// -----

// type: view rows
// expected-error@+1 {{expected '?' rows and at most one column count}}
func.func private @type(!online.view<4x64xf32>)

// -----

// type: view rank
// expected-error@+1 {{expected '?' rows and at most one column count}}
func.func private @type(!online.view<?x?x?xf32>)

// -----

// type: view columns
// expected-error@+1 {{a view needs a static column count}}
func.func private @type(!online.view<?x?xf32>)

// -----

// type: view element
// expected-error@+1 {{a view holds integers or floats, got 'index'}}
func.func private @type(!online.view<?x64xindex>)

// -----

// type: view word
// expected-error@+1 {{expected 'paged' or 'ragged', got 'dense'}}
func.func private @type(!online.view<?x64xf32, dense>)

// -----

// type: view twice
// expected-error@+1 {{'paged' is given twice}}
func.func private @type(!online.view<?x64xf32, paged, paged>)

// -----

// type: state rank
// expected-error@+1 {{expected rows x columns, got 1 dims}}
func.func private @type(!online.state<8xf32>)

// -----

// type: state rows
// expected-error@+1 {{a state needs at least one row, got 0}}
func.func private @type(!online.state<0x8xf32>)

// -----

// type: state score
// expected-error@+1 {{a state has score type f32 or f64, got 'bf16'}}
func.func private @type(!online.state<8x8xbf16>)

// -----

// type: state word
// expected-error@+1 {{expected 't' or 'l', got 'm'}}
func.func private @type(!online.state<8x8xf32, m>)

// -----

// attribute: cpu_schedule
// expected-error@+1 {{m must be within 1 and 1048576, got 0}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 0, n = 8, lanes = 8, exact = false, index_bits = 32>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{n must be within 1 and 1048576, got 2097152}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 8, n = 2097152, lanes = 8, exact = false, index_bits = 32>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{lanes must be a power of two, got 12}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 8, n = 8, lanes = 12, exact = false, index_bits = 32>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{index_bits must be 32 or 64, got 16}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 8, n = 8, lanes = 8, exact = false, index_bits = 16>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{split must be within 0 and 1048576, got -64}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 8, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = -64, wide = 16)>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{split and wide must be given together, got 1024 and 0}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 8, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 0)>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{amx needs pairs, and has no exact form}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 32, n = 64, lanes = 16, exact = true, index_bits = 32, pairs = true, amx = true>}

// -----

// attribute: cpu_schedule
// expected-error@+1 {{split has no exact form}}
func.func private @attribute() attributes {s = #online.cpu_schedule<m = 8, n = 64, lanes = 4, exact = true, index_bits = 32 few(split = 1024, wide = 16)>}

// -----

// C7
func.func @c7_element(%t: tensor<128x64xf32>, %v: !online.view<?x64xi32>, %i: index) {
  // expected-error@+1 {{cannot convert element type 'f32' of the tile to 'i32' of the view}}
  online.store %t, %v[%i] : tensor<128x64xf32>, !online.view<?x64xi32>
  return
}

// -----

// C8
func.func @c8_element(%t: tensor<128xi64>, %v: !online.view<?xf32>, %i: index) {
  // expected-error@+1 {{cannot convert element type 'i64' of the tile to 'f32' of the view}}
  online.reduce_into %t, %v[%i] : tensor<128xi64>, !online.view<?xf32>
  return
}

// -----

// C14
func.func @c14_integers(%a: tensor<8x8xi1>, %b: tensor<8x8xf32>) {
  // expected-error@+1 {{needs tiles of rank 2 and of floats, got 'tensor<8x8xi1>'}}
  %x = online.dot %a, %b contract [1, 1] : tensor<8x8xi1>, tensor<8x8xf32> -> tensor<8x8xf32>
  return
}

// -----

// C16
func.func @c16_narrow(%i: index, %a: tensor<8xbf16>) {
  // expected-error@+1 {{region must take ('i64', 'f32'), got ('i64', 'bf16')}}
  %x = online.map rows(%i) ins(%a : tensor<8xbf16>) {
  ^bb0(%m: i64, %v: bf16):
    online.yield %v : bf16
  } -> tensor<8xbf16>
  return
}

// -----

// C19
func.func @c19_integers(%s: !online.state<8x4xf32, t, l>, %x: tensor<8x16xf32>, %v: tensor<16x4xi32>, %b: i64, %i: index) {
  // expected-error@+1 {{values must hold floats, got 'i32'}}
  %r = online.step %s, %x, %v normalizer #attn.softmax at(%b, %b, %i, %i)
    : !online.state<8x4xf32, t, l>, tensor<8x16xf32>, tensor<16x4xi32>
  return
}
