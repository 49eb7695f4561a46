// The level-3 form of a plain variant that docs/sm_90a.md shows is what the
// compiler prints. After a change put the output of the first line there.
// RUN: fovea-opt %s -pass-pipeline='builtin.module(attn-bind-params,canonicalize,cse,convert-attn-to-online{target=sm_90a},canonicalize,cse,convert-online-to-attn-gpu,canonicalize,cse,func.func(attn-gpu-split-roles,cse,attn-gpu-flatten-stream,canonicalize,cse))' > %t
// RUN: sed -n '/^```mlir$/,/^```$/p' %S/../../../docs/sm_90a.md | sed '1d;$d' | diff - %t

!t = tensor<?x?x?x128xbf16>
func.func @noop(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}
