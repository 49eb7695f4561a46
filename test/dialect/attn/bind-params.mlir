// RUN: fovea-opt %s -attn-bind-params | FileCheck %s --check-prefixes=CHECK,DEFAULT
// RUN: fovea-opt %s '-attn-bind-params=params=W=64,causal=false,c=0.5' | FileCheck %s --check-prefixes=CHECK,GIVEN
// RUN: not fovea-opt %s '-attn-bind-params=params=V=64' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not fovea-opt %s '-attn-bind-params=params=W=1.5' 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not fovea-opt %s '-attn-bind-params=params=causal=1' 2>&1 | FileCheck %s --check-prefix=BOOL
// RUN: not fovea-opt %s '-attn-bind-params=params=c=x' 2>&1 | FileCheck %s --check-prefix=FLOAT
// RUN: not fovea-opt %s '-attn-bind-params=params=W' 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not fovea-opt %s '-attn-bind-params=params=W=1,W=2' 2>&1 | FileCheck %s --check-prefix=TWICE

// TWICE: error: the parameter 'W' is given twice
// UNKNOWN: error: no compile-time parameter is named 'V'
// TYPE: error: 'attn.param' op is of type 'i64', cannot be '1.5'
// BOOL: error: 'attn.param' op is of type 'i1', cannot be '1'
// FLOAT: error: 'attn.param' op is of type 'f32', cannot be 'x'
// FORM: error: a parameter is given as NAME=VALUE, got 'W'

// CHECK-NOT: attn.param
// DEFAULT-DAG: arith.constant 4096 : i64
// DEFAULT-DAG: arith.constant true
// DEFAULT-DAG: arith.constant 2.000000e+00 : f32
// GIVEN-DAG: arith.constant 64 : i64
// GIVEN-DAG: arith.constant false
// GIVEN-DAG: arith.constant 5.000000e-01 : f32
!t = tensor<?x?x?x64xf32>
func.func @window(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %f = attn.param "c" = 2.0 : f32
    %y = arith.mulf %s, %f : f32
    attn.yield %y : f32
  }
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = attn.param "W" = 4096 : i64
    %on = attn.param "causal" = true
    %d = arith.subi %m, %n : i64
    %near = arith.cmpi slt, %d, %w : i64
    %keep = arith.andi %near, %on : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
