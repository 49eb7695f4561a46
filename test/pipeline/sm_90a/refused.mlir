// RUN: fovea-opt %s -split-input-file -verify-diagnostics -fovea-sm90a-pipeline

!t = tensor<?x?x?x96xbf16>
func.func @head_dim(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-error @+1 {{sm_90a kernels have head dims 64, 128 and 256, the same for keys and values, got 96 and 96}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xf32>
func.func @f32(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-error @+1 {{sm_90a kernels take f16 and bf16, got 'f32'}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xbf16>
func.func @power(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
      // expected-error @+1 {{sm_90a kernels do not have 'math.powf' on 'f32', 'f32'}}
      %x = math.powf %s, %s : f32
      attn.yield %x : f32
    } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xbf16>
!c = tensor<?xf32>
func.func @power_in_a_mask(%q: !t, %k: !t, %v: !t, %c: f32, %x: !c {attn.name = "x"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%x) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: !c):
      %a = attn.read %t[%n] : !c -> f32
      // expected-error @+1 {{sm_90a kernels do not have 'math.powf' on 'f32', 'f32'}}
      %y = math.powf %a, %a : f32
      %keep = arith.cmpf olt, %y, %a : f32
      attn.yield %keep : i1
    } : (!t, !t, !t, !c, f32) -> !t
  return %o : !t
}

// -----

!t = tensor<?x?x?x64xbf16>
func.func @pairs(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  // expected-error @+1 {{sm_90a kernels take one (query, key) pair, got 2}}
  %o = attn.attention query(%q, %q) key(%k, %k) value(%v) normalizer #attn.softmax scale(%c, %c) : (!t, !t, !t, !t, !t, f32, f32) -> !t
  return %o : !t
}
