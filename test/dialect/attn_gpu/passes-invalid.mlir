// RUN: fovea-opt %s -split-input-file -verify-diagnostics -attn-gpu-flatten-stream -attn-gpu-place-awaits -attn-gpu-budget

// -attn-gpu-flatten-stream
func.func @not_split() {
  // expected-error @+1 {{is not two roles over one 'for_tiles' each: run -attn-gpu-split-roles}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

#s = #attn_gpu.schedule<groups = 2, n = 128, stages = 2, q_stages = 2, ping_pong = false, pin = 0, staged = true>

// -attn-gpu-flatten-stream
func.func @no_channels(%n: index) {
  // expected-error @+1 {{streams have one query, one key and one value channel and one loop over blocks}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      attn_gpu.for_tiles (%b, %h, %mt) in (%n, %n, %n) schedule(#s) {
      }
    }
    attn_gpu.role mma groups(2) {
      attn_gpu.for_tiles (%b, %h, %mt) in (%n, %n, %n) schedule(#s) {
      }
    }
  }
  return
}

// -----

!tile = !attn_gpu.tile<64x64xbf16>
!frag = !attn_gpu.frag<64x64xf32, quad>

// -attn-gpu-place-awaits
func.func @between(%q: !tile, %n: index) {
  %p = attn_gpu.mma.start %q, %q transposed : !tile, !tile -> !attn_gpu.pending<!frag>
  // expected-error @+1 {{stands between the start of a product and its await}}
  scf.for %i = %n to %n step %n {
  }
  %s = attn_gpu.await %p : !attn_gpu.pending<!frag> -> !frag
  return
}

// -----

!frag = !attn_gpu.frag<64x64xf32, quad>

// -attn-gpu-place-awaits
func.func @elsewhere(%p: !attn_gpu.pending<!frag>) {
  // expected-error @+1 {{awaits a product of another block}}
  %s = attn_gpu.await %p : !attn_gpu.pending<!frag> -> !frag
  return
}
