// RUN: fovea-opt %s -convert-online-to-cpu -split-input-file -verify-diagnostics

// expected-error @below {{arguments of a kernel must be q…, k…, v, captures…, scale…, offsets, lengths [, block mask], out [, lse]; found no scale}}
func.func @no_scale(%n: index) {
  online.grid (%i) in (%n) {
  }
  return
}

// -----

!t = memref<?x?x?x64xf32>
!p = memref<?xi64>
// expected-error @below {{argument 5 is not a memref of rank 1}}
func.func @offsets(%q: !t, %k: !t, %v: !t, %c: f32, %a: !p, %b: !t, %d: !p, %e: !p, %o: !t) {
  %n = arith.constant 1 : index
  online.grid (%i) in (%n) {
  }
  return
}

// -----

!t = memref<?x?x?x64xf32>
!p = memref<?xi64>
func.func @no_sweep(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %o: !t) {
  %n = arith.constant 1 : index
  // expected-error @below {{has no online.sweep, which the CPU target needs}}
  online.grid (%i) in (%n) {
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @lanes(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's lanes must fill 16, 32 or 64 bytes with scores of 4 bytes, got 2}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 2, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @pairs(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's pairs need bf16 inputs, f32 scores and 16 lanes}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32, pairs = true>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xbf16>
!st = !online.state<48x64xf32, t, l>
func.func @tiles(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c48 = arith.constant 48 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's amx needs m and n to be multiples of 32, got 48 and 256}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 48, n = 256, lanes = 16, exact = false, index_bits = 32, pairs = true, amx = true>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c48 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xbf16>
    %K = online.view %k[%b, %h] : !t -> <?x64xbf16>
    %V = online.view %v[%b, %h] : !t -> <?x64xbf16>
    %O = online.view %out[%b, %h] : !t -> <?x64xbf16>
    %qt = online.load %Q[%m0] : <?x64xbf16> -> tensor<48x64xbf16>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <48x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xbf16> -> tensor<256x64xbf16>
      %vt = online.load %V[%n0] : <?x64xbf16> -> tensor<256x64xbf16>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<48x64xbf16>, tensor<256x64xbf16> -> tensor<48x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<48x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<48x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <48x64xf32, t, l>, tensor<48x256xf32>, tensor<256x64xbf16>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <48x64xf32, t, l> -> tensor<48x64xf32>
    online.store %o, %O[%m0] : tensor<48x64xf32>, <?x64xbf16>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @rows(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's m must be a positive multiple of 16, got 100}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 100, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @keys(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's n must be a positive multiple of 16, got 40}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 40, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @no_schedule(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{needs a #online.cpu_schedule}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
llvm.func @taken_run()
// expected-error @below {{cannot be lowered: the module has a symbol 'taken_run' already}}
func.func @taken(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @two_inits(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    // expected-error @below {{appears twice, which the CPU target does not lower}}
    %i2 = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @slice(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %w2 = online.walk.slice %w part(%c0 of %c192)
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    // expected-error @below {{walk is not lowered by the CPU target}}
    %s = online.sweep (%n0, %cls) in %w2 iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @unscaled(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    // expected-error @below {{is not supported in scalar code by the CPU target}}
    %ev = vector.broadcast %c : f32 to vector<1xf32>
    %e = vector.extract %ev[0] : f32 from vector<1xf32>
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%e : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @not_argument(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %k2 = memref.cast %k : !t to !t
    // expected-error @below {{source must be an argument of the function}}
    %K = online.view %k2[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @scores(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %xe = arith.constant dense<1.0> : tensor<2xf32>
      // expected-error @below {{is not supported in scalar code by the CPU target}}
      %z = tensor.empty() : tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %z, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @store(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    // expected-error @below {{must store a result of online.finish}}
    online.store %qt, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @diagonal(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %w = online.walk.segments step 256 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      // expected-error @below {{of kind diag is not lowered by the CPU target}}
      %g = online.map diag(%m0, %n0) {
      ^bb0(%d: i64):
        online.yield %c : f32
      } {columns = 256 : i64} -> tensor<447xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!view = !online.view<?x64xf32>
!st = !online.state<192x64xf32, t, l>
func.func @foreign_walk(%q: !t, %k: !t, %v: !t, %w: !online.walk, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c192 = arith.constant 192 : index
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c192 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<192x64xf32>
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l>
    // expected-error @below {{walk must be made in the grid on the CPU target}}
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<256x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<192x64xf32>, tensor<256x64xf32> -> tensor<192x256xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<192x256xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<192x256xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <192x64xf32, t, l>, tensor<192x256xf32>, tensor<256x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <192x64xf32, t, l> -> tensor<192x64xf32>
    online.store %o, %O[%m0] : tensor<192x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!st = !online.state<32x64xf32, t, l>
func.func @few_wide(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's wide must be at least 4 and fill 16, 32 or 64 bytes with scores of 4 bytes, got 2}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 32, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 2)>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c32 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<32x64xf32>
    %w = online.walk.segments step 64 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<32x64xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<32x64xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <32x64xf32, t, l>, tensor<32x64xf32>, tensor<64x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l> -> tensor<32x64xf32>
    online.store %o, %O[%m0] : tensor<32x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!st = !online.state<32x64xf32, t, l>
func.func @few_lanes(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's lanes must be 4 with split, got 8}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 32, n = 64, lanes = 8, exact = false, index_bits = 32 few(split = 1024, wide = 16)>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c32 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<32x64xf32>
    %w = online.walk.segments step 64 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<32x64xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<32x64xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <32x64xf32, t, l>, tensor<32x64xf32>, tensor<64x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l> -> tensor<32x64xf32>
    online.store %o, %O[%m0] : tensor<32x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!st = !online.state<32x64xf32, t, l>
func.func @few_split(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's split must be a multiple of n (64), got 100}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 32, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 100, wide = 16)>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c32 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<32x64xf32>
    %w = online.walk.segments step 64 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<32x64xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<32x64xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <32x64xf32, t, l>, tensor<32x64xf32>, tensor<64x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l> -> tensor<32x64xf32>
    online.store %o, %O[%m0] : tensor<32x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!st = !online.state<32x64xf32, t, l>
func.func @one_row(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{schedule's m may be 1 with split where wide fills 32 or 64 bytes and a query 1024 at most}}
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 1, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 4)>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c32 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<32x64xf32>
    %w = online.walk.segments step 64 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<32x64xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<32x64xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <32x64xf32, t, l>, tensor<32x64xf32>, tensor<64x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l> -> tensor<32x64xf32>
    online.store %o, %O[%m0] : tensor<32x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!st = !online.state<32x64xf32, t, l>
func.func @few_bounds(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  // expected-error @below {{must have bounds (batch, head, query tile) for a schedule with split}}
  online.grid (%b, %h, %mt, %e) in (%B, %B, %B, %B) schedule(#online.cpu_schedule<m = 32, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 16)>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c32 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<32x64xf32>
    %w = online.walk.segments step 64 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<32x64xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<32x64xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <32x64xf32, t, l>, tensor<32x64xf32>, tensor<64x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l> -> tensor<32x64xf32>
    online.store %o, %O[%m0] : tensor<32x64xf32>, <?x64xf32>
  }
  return
}

// -----

!t = memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
!p = memref<?xi64>
!st = !online.state<32x64xf32, t, l>
func.func @few_views(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p, %out: !t) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = memref.dim %k, %c0 : !t
  %B = memref.dim %q, %c0 : !t
  online.grid (%b, %h, %mt) in (%B, %B, %B) schedule(#online.cpu_schedule<m = 32, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 16)>) {
    %bi = arith.index_cast %b : index to i64
    %m0 = arith.muli %mt, %c32 : index
    %Q = online.view %q[%b, %h] : !t -> <?x64xf32>
    %K = online.view %k[%b, %h] : !t -> <?x64xf32>
    // expected-error @below {{must have the indices (batch, head), of keys and values (batch, head divui heads a key head), for a schedule with split}}
    %V = online.view %v[%b, %h] : !t -> <?x64xf32>
    %O = online.view %out[%b, %h] : !t -> <?x64xf32>
    %qt = online.load %Q[%m0] : <?x64xf32> -> tensor<32x64xf32>
    %w = online.walk.segments step 64 [%c0, %n) full : !online.walk
    %i = online.init normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l>
    %s = online.sweep (%n0, %cls) in %w iter(%a = %i) -> !st {
      %kt = online.load %K[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %vt = online.load %V[%n0] : <?x64xf32> -> tensor<64x64xf32>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<32x64xi1>
      %s1 = online.step %a, %x, %vt visible(%p : tensor<32x64xi1>) scale(%c : f32) normalizer #attn.softmax at(%bi, %bi, %m0, %n0) : <32x64xf32, t, l>, tensor<32x64xf32>, tensor<64x64xf32>
      online.yield %s1 : !st
    }
    %o = online.finish %s normalizer #attn.softmax at(%bi, %bi, %m0) : <32x64xf32, t, l> -> tensor<32x64xf32>
    online.store %o, %O[%m0] : tensor<32x64xf32>, <?x64xf32>
  }
  return
}
