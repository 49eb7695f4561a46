// RUN: fovea-opt %s -split-input-file -verify-diagnostics -attn-gpu-budget -convert-attn-gpu-to-nvvm

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @few_arguments(%k: !memref, %n: index {attn.name = "n"}) { // expected-error {{a kernel takes q, k, v and out, got 2 arguments}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @no_name(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index) { // expected-error {{argument #4 needs a name: attn.name}}
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @no_queries(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %kc = attn_gpu.channel "k" : !channel
  // expected-error@+1 {{has no channel of queries whose products are started: run -attn-gpu-flatten-stream}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @view_argument(%q: !memref, %K: !view, %v: !memref, %out: !memref) {
  %c0 = arith.constant 0 : index
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error@+1 {{needs a view that 'online.view' gives}}
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @dimension(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error@+1 {{needs a constant dimension}}
      %d = memref.dim %k, %n : !memref
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @no_memref(%q: !memref, %k: !memref, %v: !memref, %out: !memref) {
  %c0 = arith.constant 0 : index
  %made = memref.alloc() : memref<4xf32>
  // expected-error@+1 {{needs a memref that is an argument}}
  %d = memref.dim %made, %c0 : memref<4xf32>
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}
