// RUN: fovea-opt %s | fovea-opt | FileCheck %s
// RUN: fovea-opt %s -emit-bytecode | fovea-opt | FileCheck %s

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!tile = !attn_gpu.tile<128x64xbf16>
!s = !attn_gpu.frag<64x128xf32, quad>
!o = !attn_gpu.frag<64x64xf32, quad>
!r = !attn_gpu.rowvec<64xf32>

// CHECK-LABEL: func @synchronous
func.func @synchronous(%q: !memref, %k: !memref, %out: !memref, %B: index, %H: index, %MT: index, %n: index, %c: f32) {
  %c0 = arith.constant 0 : index
  // CHECK: attn_gpu.for_tiles (%{{.*}}, %{{.*}}, %{{.*}}) in (%{{.*}}, %{{.*}}, %{{.*}}) schedule(#attn_gpu.schedule<groups = 2, n = 128
  attn_gpu.for_tiles (%b, %h, %mt) in (%B, %H, %MT) schedule(#attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>) {
    %Q = online.view %q[%b, %h] len(%n) : !memref -> !view
    %K = online.view %k[%b, %h] len(%n) : !memref -> !view
    %O = online.view %out[%b, %h] len(%n) : !memref -> !view
    %qt = attn_gpu.load %Q[%mt] : !view -> !tile
    %o0 = attn_gpu.zero : !o
    %m0 = attn_gpu.splat %c : f32 -> !r
    // CHECK: attn_gpu.for_blocks (%{{.*}}, %{{.*}}, %{{.*}}) in [%{{.*}}, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial step 128 iter(
    %r:2 = attn_gpu.for_blocks (%n0, %count, %full) in [%c0, %n) full, [%n, %n) partial step 128 iter(%m = %m0, %o = %o0) -> (!r, !o) {
      %kt = attn_gpu.load %K[%n0] : !view -> !tile
      // CHECK: attn_gpu.mma %{{.*}}, %{{.*}} transposed : !attn_gpu.tile<128x64xbf16>, !attn_gpu.tile<128x64xbf16> -> !attn_gpu.frag<64x128xf32, quad>
      %s = attn_gpu.mma %qt, %kt transposed : !tile, !tile -> !s
      // CHECK: attn_gpu.mask %{{.*}} at(%{{.*}}, %{{.*}}) count(%{{.*}}) full(%{{.*}}) {
      %s1 = attn_gpu.mask %s at(%mt, %n0) count(%count) full(%full) {
      ^bb0(%p: i64, %k1: i64):
        %keep = arith.cmpi sge, %p, %k1 : i64
        attn_gpu.yield %keep : i1
      } : !s
      %m1 = attn_gpu.reduce max %s1 init(%m : !r) : !s -> !r
      // CHECK: attn_gpu.map (%{{.*}}, %{{.*}}) {
      %e = attn_gpu.map (%s1, %m1) {
      ^bb0(%x: f32, %y: f32):
        %t = math.fma %x, %c, %y : f32
        %z = math.exp2 %t : f32
        attn_gpu.yield %z : f32
      } : (!s, !r) -> !s
      // CHECK: attn_gpu.rescale %{{.*}} by %{{.*}} :
      %o1 = attn_gpu.rescale %o by %m1 : !o, !r
      // CHECK: attn_gpu.convert
      %a = attn_gpu.convert %e : !s -> !attn_gpu.frag<64x128xbf16, quad_a>
      // CHECK: attn_gpu.mma %{{.*}}, %{{.*}} acc(
      %o2 = attn_gpu.mma %a, %kt acc(%o1 : !o) : !attn_gpu.frag<64x128xbf16, quad_a>, !tile -> !o
      attn_gpu.yield %m1, %o2 : !r, !o
    }
    // CHECK: attn_gpu.store_tile
    attn_gpu.store_tile %r#1, %O[%mt] : !o, !view
  }
  return
}

// CHECK-LABEL: func @roles
func.func @roles(%k: !memref, %n: index) {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  // CHECK: attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>
  %kc = attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>
  // CHECK: attn_gpu.specialize pin 5 branch {
  attn_gpu.specialize pin 5 branch {
    // CHECK: attn_gpu.role load groups(1) registers(24) {
    attn_gpu.role load groups(1) registers(24) {
      // CHECK: attn_gpu.fill %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] records(%{{.*}}) :
      attn_gpu.fill %kc[%c0], %K[%c0] records(%n) : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>, !view
      // Halves of a tile from two places.
      // CHECK: attn_gpu.fill %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}, %{{.*}}] records(%{{.*}}) :
      attn_gpu.fill %kc[%c0], %K[%c0, %n] records(%n) : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>, !view
    }
    // CHECK: attn_gpu.role mma groups(2) registers(240) {
    attn_gpu.role mma groups(2) registers(240) {
      %x = attn_gpu.record %kc[%c0] : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1> -> index
      %kt = attn_gpu.wait %kc[%c0] : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1> -> !tile
      attn_gpu.turn "take"
      %p = attn_gpu.mma.start %kt, %kt transposed : !tile, !tile -> !attn_gpu.pending<!s>
      // CHECK: %[[G:.*]] = attn_gpu.group
      %g = attn_gpu.group
      // CHECK: attn_gpu.mma.start %{{.*}}, %{{.*}} transposed keys(%[[G]]) :
      %p1 = attn_gpu.mma.start %kt, %kt transposed keys(%g) : !tile, !tile -> !attn_gpu.pending<!s>
      %s1 = attn_gpu.await %p1 : !attn_gpu.pending<!s> -> !s
      %w = attn_gpu.convert %s1 : !s -> !attn_gpu.frag<64x128xbf16, quad_a>
      %z = attn_gpu.zero : !o
      // CHECK: attn_gpu.mma.start %{{.*}}, %{{.*}} acc(%{{.*}} : !attn_gpu.frag<64x64xf32, quad>) keys(%[[G]]) :
      %p2 = attn_gpu.mma.start %w, %kt acc(%z : !o) keys(%g) : !attn_gpu.frag<64x128xbf16, quad_a>, !tile -> !attn_gpu.pending<!o>
      %o2 = attn_gpu.await %p2 : !attn_gpu.pending<!o> -> !o
      attn_gpu.turn "pass"
      // CHECK: attn_gpu.await %{{.*}} keep 0 :
      %s = attn_gpu.await %p keep 0 : !attn_gpu.pending<!s> -> !s
      attn_gpu.release %kc[%c0] : !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>
    }
  }
  return
}

// CHECK-LABEL: func @cut_in_front
func.func @cut_in_front(%b: index, %n: index) {
  // CHECK: attn_gpu.for_blocks (%{{.*}}, %{{.*}}, %{{.*}}) in [%{{.*}}, %{{.*}}) full step 128 attributes {cut_front} {
  attn_gpu.for_blocks (%n0, %from, %full) in [%b, %n) full step 128 attributes {cut_front} {
    attn_gpu.yield
  }
  return
}

// CHECK-LABEL: func @lists
func.func @lists(%c: memref<?x?x?x?xi8>, %b: index, %tile: index, %n: index) {
  // CHECK: attn_gpu.for_blocks (%{{.*}}, %{{.*}}, %{{.*}}) in list %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tile(%{{.*}}) length(%{{.*}}) : memref<?x?x?x?xi8> step 128 {
  attn_gpu.for_blocks (%n0, %count, %full) in list %c[%b, %b, %b] tile(%tile) length(%n) : memref<?x?x?x?xi8> step 128 {
    attn_gpu.yield
  }
  // CHECK: attn_gpu.list.count %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tile(%{{.*}}) length(%{{.*}}) step 128 : memref<?x?x?x?xi8>
  %whole, %total, %cut = attn_gpu.list.count %c[%b, %b, %b] tile(%tile) length(%n) step 128 : memref<?x?x?x?xi8>
  // CHECK: attn_gpu.list.element %{{.*}} of %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tile(%{{.*}}) length(%{{.*}}) step 128 : memref<?x?x?x?xi8>
  %first = attn_gpu.list.element %whole of %c[%b, %b, %b] tile(%tile) length(%n) step 128 : memref<?x?x?x?xi8>
  return
}

// CHECK-LABEL: func @joint_lists
func.func @joint_lists(%c: memref<?x?x?x?xi8>, %b: index, %qt: index, %kt: index, %n: index) {
  // CHECK: attn_gpu.for_blocks (%{{.*}}, %{{.*}}, %{{.*}}) in list %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] joint(%{{.*}}) tile(%{{.*}}) length(%{{.*}}) : memref<?x?x?x?xi8> step 64 {
  attn_gpu.for_tiles (%tb, %th, %t) in (%b, %b, %b) schedule(#attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true>) {
    attn_gpu.for_blocks (%n0, %count, %full) in list %c[%tb, %th, %t] joint(%qt) tile(%kt) length(%n) : memref<?x?x?x?xi8> step 64 {
      attn_gpu.yield
    }
  }
  // CHECK: attn_gpu.joint.count %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tiles(%{{.*}}, %{{.*}}) length(%{{.*}}) step 64 reach 4 : memref<?x?x?x?xi8> -> index, index, index, index, index, index, index, index
  %uses, %g:8 = attn_gpu.joint.count %c[%b, %b, %b] tiles(%qt, %kt) length(%n) step 64 reach 4 : memref<?x?x?x?xi8> -> index, index, index, index, index, index, index, index
  // CHECK: attn_gpu.joint.element %{{.*}} of %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tiles(%{{.*}}, %{{.*}}) length(%{{.*}}) step 64 reach 4 : memref<?x?x?x?xi8> -> index, index
  %first, %l:2 = attn_gpu.joint.element %uses of %c[%b, %b, %b] tiles(%qt, %kt) length(%n) step 64 reach 4 : memref<?x?x?x?xi8> -> index, index
  // CHECK: attn_gpu.joint.count {{.*}} reach 4 {visible = #[[SET:.*]]} :
  %uses2, %g2:8 = attn_gpu.joint.count %c[%b, %b, %b] tiles(%qt, %kt) length(%n) step 64 reach 4 {visible = affine_set<(m, n) : (m - n >= 0, n - m + 127 >= 0)>} : memref<?x?x?x?xi8> -> index, index, index, index, index, index, index, index
  // CHECK: attn_gpu.joint.element {{.*}} reach 4 {visible = #[[SET]]} :
  %first2, %l2:2 = attn_gpu.joint.element %uses of %c[%b, %b, %b] tiles(%qt, %kt) length(%n) step 64 reach 4 {visible = affine_set<(m, n) : (m - n >= 0, n - m + 127 >= 0)>} : memref<?x?x?x?xi8> -> index, index
  // CHECK: attn_gpu.joint.count %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] sorted of %{{.*}} tiles(
  %uses3, %g3:8 = attn_gpu.joint.count %c[%b, %b, %b] sorted of %n tiles(%qt, %kt) length(%n) step 64 reach 4 : memref<?x?x?x?xi8> -> index, index, index, index, index, index, index, index
  // CHECK: attn_gpu.joint.element %{{.*}} of %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] sorted of %{{.*}} tiles(
  %first3, %l3:2 = attn_gpu.joint.element %uses of %c[%b, %b, %b] sorted of %n tiles(%qt, %kt) length(%n) step 64 reach 4 : memref<?x?x?x?xi8> -> index, index
  // CHECK: attn_gpu.for_blocks {{.*}} step 64 attributes {visible = #[[SET]]} {
  attn_gpu.for_tiles (%tb, %th, %t) in (%b, %b, %b) schedule(#attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true>) {
    attn_gpu.for_blocks (%n0, %count, %full) in list %c[%tb, %th, %t] joint(%qt) tile(%kt) length(%n) : memref<?x?x?x?xi8> step 64 attributes {visible = affine_set<(m, n) : (m - n >= 0, n - m + 127 >= 0)>} {
      attn_gpu.yield
    }
  }
  return
}

// CHECK-LABEL: func @readers
// CHECK-SAME: own_rows = true>
func.func @readers(%k: !memref, %n: index) attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true own_rows = true>} {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %kc = attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 3>
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // CHECK: attn_gpu.fill %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] records(%{{.*}}, %{{.*}}, %{{.*}}) readers(%{{.*}}, %{{.*}}) warp 1 :
      attn_gpu.fill %kc[%c0], %K[%c0] records(%n, %n, %n) readers(%n, %c0) warp 1 : !attn_gpu.channel<128x64xbf16, stages = 2, records = 3>, !view
      // CHECK: attn_gpu.tile.fetch of %{{.*}} number %{{.*}}
      %t = attn_gpu.tile.fetch of %n number %c0
      // CHECK: attn_gpu.batch %{{.*}}
      %b = attn_gpu.batch %t
    }
    attn_gpu.role mma groups(2) {
      // CHECK: attn_gpu.record %{{.*}}[%{{.*}}] own 1 :
      %x, %own = attn_gpu.record %kc[%c0] own 1 : !attn_gpu.channel<128x64xbf16, stages = 2, records = 3> -> index, index
    }
  }
  return
}

!table = memref<?xf32, strided<[?], offset: ?>>
!diag = !attn_gpu.diagvec<128x128xf32>

// CHECK-LABEL: func @diagonals
func.func @diagonals(%t: !table, %s: !s, %m0: index, %n0: index) -> !s {
  // CHECK: attn_gpu.diagonal at(%{{.*}}, %{{.*}}) {
  // CHECK: } : !attn_gpu.diagvec<128x128xf32>
  %d = attn_gpu.diagonal at(%m0, %n0) {
  ^bb0(%i: i64):
    %x = attn.read %t[%i] : !table -> f32
    attn_gpu.yield %x : f32
  } : !diag
  // CHECK: (!attn_gpu.frag<64x128xf32, quad>, !attn_gpu.diagvec<128x128xf32>) -> !attn_gpu.frag<64x128xf32, quad>
  %r = attn_gpu.map (%s, %d) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.addf %x, %y : f32
    attn_gpu.yield %z : f32
  } : (!s, !diag) -> !s
  return %r : !s
}

!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0, diagonal = 128>

// CHECK-LABEL: func @diagonal_roles
func.func @diagonal_roles(%k: !memref, %t: !table, %n: index) {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  // CHECK: attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0, diagonal = 128>
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // CHECK: attn_gpu.fill %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] diagonal at(%{{.*}}, %{{.*}}) {
      attn_gpu.fill %kc[%c0], %K[%c0] diagonal at(%c0, %c0) {
      ^bb0(%i: i64):
        %x = attn.read %t[%i] : !table -> f32
        attn_gpu.yield %x : f32
      } : !channel, !view
    }
    attn_gpu.role mma groups(2) {
      %kt = attn_gpu.wait %kc[%c0] : !channel -> !tile
      // CHECK: attn_gpu.diagonal.read %{{.*}}[%{{.*}}] :
      %d = attn_gpu.diagonal.read %kc[%c0] : !channel -> !diag
      attn_gpu.release %kc[%c0] : !channel
    }
  }
  return
}

// CHECK-LABEL: func @clusters
// CHECK-SAME: staged = true cluster = 2>
func.func @clusters(%n: index) attributes {s = #attn_gpu.schedule<groups = 2, n = 64, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true cluster = 2>} {
  // CHECK: attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0 cluster = 2>
  %k = attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0 cluster = 2>
  // CHECK: attn_gpu.channel "b" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0, diagonal = 128 cluster = 2>
  %b = attn_gpu.channel "b" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0, diagonal = 128 cluster = 2>
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // CHECK: %[[T:.*]] = attn_gpu.tile.fetch of %{{.*}} cluster 2
      %t = attn_gpu.tile.fetch of %n cluster 2
      // CHECK: attn_gpu.tile.share %[[T]] number %{{.*}}
      %u = attn_gpu.tile.share %t number %n
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// CHECK-LABEL: func @edges
// CHECK-SAME: staged = true edges = true>
func.func @edges() attributes {s = #attn_gpu.schedule<groups = 3, n = 128, stages = 2, q_stages = 2, ping_pong = true, pin = 4, staged = true edges = true>} {
  // CHECK: attn_gpu.specialize pin 4 edges {
  attn_gpu.specialize pin 4 edges {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(3) {
    }
  }
  return
}
