// Registers of columns of O that a pass holds: three beside four rows where there
// are 16 registers of 32 bytes, else two, and one where there is no other.
// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 -canonicalize -cse -convert-online-to-cpu | FileCheck %s

!q = tensor<?x?x?x8xf32>

// CHECK-LABEL: llvm.func @one_run(
// CHECK: :7 = scf.for {{.*}} -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @one(%q: !q, %k: !q, %v: tensor<?x?x?x8xf32>, %c: f32) -> tensor<?x?x?x8xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x8xf32>, f32) -> tensor<?x?x?x8xf32>
  return %o : tensor<?x?x?x8xf32>
}

// CHECK-LABEL: llvm.func @two_run(
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @two(%q: !q, %k: !q, %v: tensor<?x?x?x16xf32>, %c: f32) -> tensor<?x?x?x16xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x16xf32>, f32) -> tensor<?x?x?x16xf32>
  return %o : tensor<?x?x?x16xf32>
}

// CHECK-LABEL: llvm.func @three_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c24_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @three(%q: !q, %k: !q, %v: tensor<?x?x?x24xf32>, %c: f32) -> tensor<?x?x?x24xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x24xf32>, f32) -> tensor<?x?x?x24xf32>
  return %o : tensor<?x?x?x24xf32>
}

// CHECK-LABEL: llvm.func @four_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c32_i64{{[_0-9]*}} step %c16_i64{{[_0-9]*}}
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @four(%q: !q, %k: !q, %v: tensor<?x?x?x32xf32>, %c: f32) -> tensor<?x?x?x32xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x32xf32>, f32) -> tensor<?x?x?x32xf32>
  return %o : tensor<?x?x?x32xf32>
}

// CHECK-LABEL: llvm.func @five_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c24_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @five(%q: !q, %k: !q, %v: tensor<?x?x?x40xf32>, %c: f32) -> tensor<?x?x?x40xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x40xf32>, f32) -> tensor<?x?x?x40xf32>
  return %o : tensor<?x?x?x40xf32>
}

// CHECK-LABEL: llvm.func @six_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c48_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @six(%q: !q, %k: !q, %v: tensor<?x?x?x48xf32>, %c: f32) -> tensor<?x?x?x48xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x48xf32>, f32) -> tensor<?x?x?x48xf32>
  return %o : tensor<?x?x?x48xf32>
}

// CHECK-LABEL: llvm.func @seven_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c24_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: scf.for %{{.*}} = %c24_i64{{[_0-9]*}} to %c56_i64{{[_0-9]*}} step %c16_i64{{[_0-9]*}}
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @seven(%q: !q, %k: !q, %v: tensor<?x?x?x56xf32>, %c: f32) -> tensor<?x?x?x56xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x56xf32>, f32) -> tensor<?x?x?x56xf32>
  return %o : tensor<?x?x?x56xf32>
}

// CHECK-LABEL: llvm.func @eight_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c48_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @eight(%q: !q, %k: !q, %v: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// CHECK-LABEL: llvm.func @nine_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c72_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @nine(%q: !q, %k: !q, %v: tensor<?x?x?x72xf32>, %c: f32) -> tensor<?x?x?x72xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x72xf32>, f32) -> tensor<?x?x?x72xf32>
  return %o : tensor<?x?x?x72xf32>
}

// CHECK-LABEL: llvm.func @ten_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c48_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: scf.for %{{.*}} = %c48_i64{{[_0-9]*}} to %c80_i64{{[_0-9]*}} step %c16_i64{{[_0-9]*}}
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @ten(%q: !q, %k: !q, %v: tensor<?x?x?x80xf32>, %c: f32) -> tensor<?x?x?x80xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x80xf32>, f32) -> tensor<?x?x?x80xf32>
  return %o : tensor<?x?x?x80xf32>
}

// CHECK-LABEL: llvm.func @eleven_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c72_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: :7 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-4: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @eleven(%q: !q, %k: !q, %v: tensor<?x?x?x88xf32>, %c: f32) -> tensor<?x?x?x88xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x88xf32>, f32) -> tensor<?x?x?x88xf32>
  return %o : tensor<?x?x?x88xf32>
}

// CHECK-LABEL: llvm.func @twelve_run(
// CHECK: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c96_i64{{[_0-9]*}} step %c24_i64{{[_0-9]*}}
// CHECK: :11 = scf.for {{.*}} -> (vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, vector<16xf32>, vector<8xf32>, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK-NOT: {{:7|:11}} = scf.for
func.func @twelve(%q: !q, %k: !q, %v: tensor<?x?x?x96xf32>, %c: f32) -> tensor<?x?x?x96xf32> {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!q, !q, tensor<?x?x?x96xf32>, f32) -> tensor<?x?x?x96xf32>
  return %o : tensor<?x?x?x96xf32>
}
