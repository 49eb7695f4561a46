// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s
// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s --check-prefix=NVVM
// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | sed /grid_dependency/d \
// RUN:   | fovea-opt -convert-attn-gpu-to-nvvm | FileCheck %s --check-prefix=PLAIN

// A kernel may begin beside the one ahead of it: barriers are made meanwhile. It
// waits, all threads of it, before roles begin. So does what runs before, beside
// which the next one may begin.
!t = tensor<?x?x?x128xbf16>

// CHECK: attn_gpu.channel "v"
// CHECK: attn_gpu.grid_dependency.wait
// CHECK: attn_gpu.specialize

// NVVM: llvm.func @noop_kernel({{.*}}\22programmatic_launch\22:true
// NVVM: mbarrier.init
// NVVM-NOT: llvm.load
// NVVM: nvvm.griddepcontrol wait
// NVVM-NEXT: llvm.inline_asm has_side_effects asm_dialect = att "", "~{memory}"
// NVVM-NOT: launch_dependents
// NVVM: nvvm.barrier
// NVVM: setmaxnreg
// NVVM: llvm.func @noop_sign(
// NVVM-NEXT: nvvm.griddepcontrol wait
// NVVM-NEXT: llvm.inline_asm has_side_effects asm_dialect = att "", "~{memory}"
// NVVM-NEXT: nvvm.griddepcontrol launch_dependents
// NVVM: ld.global

// Without the ops it is launched as kernels always were.
// PLAIN-NOT: programmatic_launch
// PLAIN-NOT: griddepcontrol
// PLAIN: llvm.func @noop_sign(
// PLAIN-NOT: griddepcontrol
func.func @noop(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}
