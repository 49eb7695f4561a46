// RUN: fovea-opt %s -convert-online-to-attn-gpu -split-input-file -verify-diagnostics

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @bounds(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{sm_90a kernels do not have grids of other than three bounds}}
  online.grid (%b, %h) in (%n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @rows(%q: !m, %k: !m, %v: !m, %out: !m, %n: index, %r: memref<?x?x?xf32>) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %R = online.view %r[%b, %h] len(%n) : memref<?x?x?xf32> -> <?xf32, ragged>
    // expected-error @+1 {{sm_90a kernels do not have loads of scalars a row}}
    %rt = online.load %R[%c0] : <?xf32, ragged> -> tensor<128xf32>
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @op_in_grid(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    // expected-error @+1 {{sm_90a kernels do not have 'online.map' in a grid}}
    %r = online.map rows(%c0) {
    ^bb0(%m: i64):
      %f = arith.sitofp %m : i64 to f32
      online.yield %f : f32
    } -> tensor<128xf32>
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @product(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %w2 = arith.constant dense<0.0> : tensor<64x128xbf16>
      // expected-error @+1 {{sm_90a kernels do not have products other than q times k transposed}}
      %x = online.dot %qt, %w2 contract [1, 0] : !q, tensor<64x128xbf16> -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @map_of_rows(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      // expected-error @+1 {{sm_90a kernels do not have maps of other than one tile}}
      %r = online.map rows(%c0) {
      ^bb0(%m: i64):
        %f = arith.sitofp %m : i64 to f32
        online.yield %f : f32
      } -> tensor<128xf32>
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @affine(%q: !m, %k: !m, %v: !m, %out: !m, %n: index, %row: tensor<128xf32>, %col: tensor<1x128xf32>) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      // expected-error @+1 {{sm_90a kernels do not have affine biases in a step}}
      %y = online.step %a, %x, %vt visible(%p : !p) row(%row : tensor<128xf32>) col(%col : tensor<1x128xf32>) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @no_mask(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      // expected-error @+1 {{sm_90a kernels do not have steps without a mask}}
      %y = online.step %a, %x, %vt normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @scan(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    // expected-error @+1 {{sm_90a kernels do not have masks without closed-form bounds; with a block mask they run}}
    %w = online.walk.scan rows 128 step 128 at(%c0) shift(%c0) [%c0, %n) {
    ^bb0(%m: i64, %k1: i64):
      %keep = arith.cmpi sge, %m, %k1 : i64
      online.yield %keep : i1
    }
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @segments_of_nothing(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    // expected-error @+1 {{sm_90a kernels do not have sweeps over other than segments or a list}}
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @walk_argument(%q: !m, %k: !m, %v: !m, %out: !m, %n: index, %w: !online.walk) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    // expected-error @+1 {{sm_90a kernels do not have sweeps over other than segments or a list}}
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @two_states(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    // expected-error @+1 {{sm_90a kernels do not have sweeps over other than one state}}
    %s:2 = online.sweep (%n0, %cls) in %w iter(%a = %i, %a2 = %i) -> (!st, !st) {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y, %a2 : !st, !st
    }
    %o = online.finish %s#0 normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!o = tensor<128x64xf32>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

func.func @op_in_sweep(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %zero = arith.constant dense<0.0> : tensor<128x64xf32>
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer #attn.softmax at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      // expected-error @+1 {{sm_90a kernels do not have 'online.accumulate' in a sweep}}
      %z = online.accumulate %zero, %x, %vt contract [1, 0] : !s, !q -> !o
      online.yield %y : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}

// -----

!m = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!v = !online.view<?x64xbf16, ragged>
!q = tensor<128x64xbf16>
!s = tensor<128x128xf32>
!p = tensor<128x128xi1>
!st = !online.state<128x64xf32, t, l>
#g = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

attn.normalizer @signed score_type f32 captures []
  stat {
  ^bb0(%s: f32):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    %w = arith.mulf %p, %s : f32
    attn.yield %w : f32
  } denom {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  }

func.func @normalizer(%q: !m, %k: !m, %v: !m, %out: !m, %n: index) {
  %c0 = arith.constant 0 : index
  online.grid (%b, %h, %mt) in (%n, %n, %n) schedule(#g) {
    %bi = arith.index_cast %b : index to i64
    %Q = online.view %q[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %K = online.view %k[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %V = online.view %v[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    %qt = online.load %Q[%c0] : <?x64xbf16, ragged> -> !q
    %w = online.walk.segments step 128 [%c0, %n) full : !online.walk
    // expected-error @+1 {{sm_90a kernels do not have normalisers other than softmax with a seed for the row, and weights without statistics}}
    %i = online.init normalizer @signed at(%bi, %bi, %c0) : <128x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16, ragged> -> !q
      %x = online.dot %qt, %kt contract [1, 1] : !q, !q -> !s
      %vt = online.load %V[%n0] : <?x64xbf16, ragged> -> !q
      %p = online.mask at(%c0, %n0) class(%cls) : !p
      %y = online.step %a, %x, %vt visible(%p : !p) normalizer @signed at(%bi, %bi, %c0, %n0) : <128x64xf32, t, l>, !s, !q
      online.yield %y : !st
    }
    %o = online.finish %s normalizer @signed at(%bi, %bi, %c0) : <128x64xf32, t, l> -> tensor<128x64xf32>
    %O = online.view %out[%b, %h] len(%n) : !m -> <?x64xbf16, ragged>
    online.store %o, %O[%c0] : tensor<128x64xf32>, <?x64xbf16, ragged>
  }
  return
}
