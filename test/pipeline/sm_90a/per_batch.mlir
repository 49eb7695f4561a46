// RUN: fovea-opt %s -pass-pipeline='builtin.module(convert-attn-to-online{target=sm_90a per-batch},canonicalize,cse,convert-online-to-attn-gpu,canonicalize,cse)' | FileCheck %s --check-prefix=TILES
// RUN: fovea-opt %s -fovea-attn-gpu-pipeline=per-batch | FileCheck %s --check-prefix=ROLES
// RUN: fovea-opt %s -fovea-attn-gpu-pipeline="schedule=per_batch=1" | FileCheck %s --check-prefix=ROLES
// RUN: fovea-opt %s -fovea-sm90a-pipeline=per-batch | FileCheck %s --check-prefix=KERNEL
// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s --check-prefix=WHOLE
// RUN: not fovea-opt %S/lists.mlir -fovea-sm90a-pipeline=per-batch 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: sm_90a kernels do not have offsets and lengths beside lists of tiles

// Offsets and lengths of a batch are read once a tile. There is one tile more
// than rows need, for those behind a length.
// TILES: %[[TILES:.*]] = arith.addi %{{.*}}, %c1 : index
// TILES: attn_gpu.for_tiles (%[[B:.*]], %{{.*}}, %{{.*}}) in (%{{.*}}, %{{.*}}, %[[TILES]])
// TILES-SAME: staged = false
// TILES-COUNT-4: memref.load %{{.*}}[%[[B]]] : memref<?xi64>

// Copies clip at the end of a tensor, so no block goes beyond a length.
// TILES: online.view %[[K:.*]][%[[B]], %{{.*}}] len(%[[N:.*]])
// TILES: attn_gpu.for_blocks (%[[LOCAL:.*]], %[[FROM:.*]], %{{.*}}) in [%{{.*}}) full, [%{{.*}}) partial step 128
// TILES-SAME: attributes {cut_front} {
// TILES: %[[FIRST:.*]] = arith.index_cast %{{.*}} : index to i64
// TILES: attn_gpu.mask %{{.*}} count(%c128)
// TILES: arith.cmpi sge, %{{.*}}, %[[FIRST]] : i64

// The loading role has registers for what it reads; what the other one asks for
// travels as records, which say where rows end as well.
// Batches come in the order that the launch gives.
// ROLES: attn_gpu.role load groups(1) registers(40)
// ROLES: %[[BATCH:.*]] = attn_gpu.batch %
// ROLES: memref.load %{{.*}}[%[[BATCH]]]
// ROLES: memref.load
// ROLES: attn_gpu.fill
// ROLES: attn_gpu.role mma
// ROLES-NOT: memref.load
// ROLES: %[[RECORD:.*]]:{{.*}} = attn_gpu.record

// A tile's first weights are packed when those in flight have been read: some
// assemblers would serialise the products.
// ROLES: scf.condition
// ROLES: } do {
// ROLES: %[[OUT:.*]] = attn_gpu.mma.start {{.*}} acc(
// ROLES-NOT: attn_gpu.convert
// ROLES: attn_gpu.await %[[OUT]] {{.*}}holds
// ROLES: attn_gpu.convert
// ROLES: attn_gpu.store_tile %

// KERNEL: llvm.func @causal_kernel
// KERNEL-SAME: {llvm.align = 64 : i64, llvm.byval = !llvm.array<2560 x i8>, nvvm.grid_constant}
// KERNEL-SAME: \22per_batch\22:128,\22positions\22:16777215
// KERNEL-SAME: sm_90a kernels take offsets and lengths of at most 128 batches
// KERNEL-SAME: [\22add\22,[\22ceildiv\22,\22M\22,128],1]
// KERNEL-NOT: whole_sequences
// KERNEL-SAME: per_batch=1\22

// WHOLE: \22forms\22:[\22per_batch\22]
// WHOLE-SAME: \22promises\22:[\22whole_sequences\22]

!t = tensor<?x?x?x128xbf16>
!p = tensor<?xi64>
func.func @causal(%q: !t {attn.name = "q"}, %k: !t {attn.name = "k"}, %v: !t {attn.name = "v"}, %c: f32, %qo: !p {attn.name = "q_offset"}, %ko: !p {attn.name = "kv_offset"}, %ql: !p {attn.name = "q_lengths"}, %kl: !p {attn.name = "kv_lengths"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) q_offset(%qo) kv_offset(%ko) q_lengths(%ql) kv_lengths(%kl)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %0 = arith.cmpi sle, %n, %m : i64
    attn.yield %0 : i1
  } : (!t, !t, !t, f32, !p, !p, !p, !p) -> !t
  return %o : !t
}
