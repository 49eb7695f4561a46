// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 | FileCheck %s --check-prefix=V4
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 features=+avx512bf16' | FileCheck %s --check-prefix=PAIRS
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 features=+avx512bf16 exact=true' | FileCheck %s --check-prefix=EXACT
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 features=+avx512bf16,+amx-tile,+amx-bf16' | FileCheck %s --check-prefix=AMX
// RUN: fovea-opt %s -convert-attn-to-online=cpu=graniterapids | FileCheck %s --check-prefix=AMX
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids features=-amx-bf16' | FileCheck %s --check-prefix=PAIRS
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 features=+avx512bf16,+amx-bf16' | FileCheck %s --check-prefix=PAIRS
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids schedule=n=48' | FileCheck %s --check-prefix=PART
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids exact=true' | FileCheck %s --check-prefix=EXACT
// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 | FileCheck %s --check-prefix=V3
// RUN: fovea-opt %s -convert-attn-to-online='schedule=m=32,n=64 exact=true index-bits=64' | FileCheck %s --check-prefix=GIVEN
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=k=3 2>&1 | FileCheck %s --check-prefix=KEY
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 features=+avx512bf16 few-queries=true' | FileCheck %s --check-prefix=FEW
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids few-queries=true' | FileCheck %s --check-prefix=FEWAMX
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids few-queries=true schedule=short=20,block=48,split=480' | FileCheck %s --check-prefix=GIVENAMX
// RUN: not fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids few-queries=true schedule=block=24' 2>&1 | FileCheck %s --check-prefix=BLOCKAMX
// RUN: fovea-opt %s -convert-attn-to-online='schedule=short=0' | FileCheck %s --check-prefix=NEVER
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=split=100 2>&1 | FileCheck %s --check-prefix=SPLIT
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=block=20 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=short=-1 2>&1 | FileCheck %s --check-prefix=SHORT
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=m=zero 2>&1 | FileCheck %s --check-prefix=NUMBER
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=m=20 2>&1 | FileCheck %s --check-prefix=LANES
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=n=20 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: not fovea-opt %s -convert-attn-to-online='schedule=m=8,m=16' 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=m=4096 2>&1 | FileCheck %s --check-prefix=L2
// RUN: not fovea-opt %s -convert-attn-to-online=schedule=m 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not fovea-opt %s -convert-attn-to-online=cpu=znver9 2>&1 | FileCheck %s --check-prefix=CPU
// RUN: not fovea-opt %s -convert-attn-to-online='cpu=znver4 features=+avx512bf16,+nope' 2>&1 | FileCheck %s --check-prefix=FEATURE
// RUN: not fovea-opt %s -convert-attn-to-online='cpu=neoverse-n1 features=+avx512f' 2>&1 | FileCheck %s --check-prefix=FOREIGN
// RUN: fovea-opt %s -convert-attn-to-online='cpu=cortex-a53 features=+bf16' | FileCheck %s --check-prefix=NEON
// RUN: not fovea-opt %s -convert-attn-to-online=target=gpu 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not fovea-opt %s -convert-attn-to-online=index-bits=16 2>&1 | FileCheck %s --check-prefix=BITS

// KEY: error: schedule: a CPU schedule has m, n, short, split and block, got 'k=3'
// NUMBER: error: schedule: m must be a number from 1 to 1048576, got 'm=zero'
// LANES: error: schedule: m must be a multiple of 8 (the queries of a vector on x86-64-v3), got 20
// GROUP: error: schedule: n must be a multiple of 8 (the least block of keys on x86-64-v3), got 20
// TWICE: error: schedule: m must be given once, got 'm=8,m=16'
// L2: error: schedule: m=4096,n=264 asks for {{[0-9]+}} of l2_bytes, the limit of 'x86-64-v3' is 524288
// SPLIT: error: schedule: split must be a multiple of 32 (the keys of a block), got 100
// BLOCK: error: schedule: block must be a multiple of 16 (the keys of a group), got 20
// SHORT: error: schedule: short must be a number from 0 to 1048576, got 'short=-1'
// NONE: error: schedule: m takes a number, as in m=64, got none
// CPU: error: cpu must be an x86-64 or AArch64 processor in LLVM's spelling, got 'znver9'
// FEATURE: error: features must be +NAME or -NAME of what x86-64 processors have, got '+nope'
// FOREIGN: error: features must be +NAME or -NAME of what AArch64 processors have, got '+avx512f'
// TARGET: error: no schedules for the target family 'gpu', there are: cpu, sm_90a
// BITS: error: index_bits must be 32 or 64, got 16

// Which calls take the form for few queries stands on the function.
// V4: online.few_queries = #online.cpu_schedule<m = 32, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 16)>
// V4-SAME: online.one_row = #online.cpu_schedule<m = 1, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 16)>
// V3: online.few_queries
// V3-SAME: online.one_row = #online.cpu_schedule<m = 1, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 8)>
// NEVER-NOT: few_queries
// FEW-NOT: few_queries
// FEW: schedule(#online.cpu_schedule<m = 32, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 16)>)
// FEW: schedule(#online.cpu_schedule<m = 32, n = 32, lanes = 4, exact = false, index_bits = 32, pairs = true few(split = 512, wide = 16)>)
// Tiles multiply eight rows, and are for bf16 alone.
// FEWAMX: schedule(#online.cpu_schedule<m = 32, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 16)>)
// FEWAMX: schedule(#online.cpu_schedule<m = 32, n = 32, lanes = 8, exact = false, index_bits = 32, pairs = true, amx = true few(split = 512, wide = 16)>)
// GIVENAMX: lanes = 4
// GIVENAMX: #online.cpu_schedule<m = 24, n = 48, lanes = 8, exact = false, index_bits = 32, pairs = true, amx = true few(split = 480, wide = 16)>
// BLOCKAMX: error: schedule: block must be a multiple of 16 (the keys of a group), got 24
// V4: #online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>
// Whole groups of six keys, by two registers of queries, and of twelve.
// V3: #online.cpu_schedule<m = 192, n = 264, lanes = 8, exact = false, index_bits = 32>
// GIVEN: #online.cpu_schedule<m = 32, n = 64, lanes = 8, exact = true, index_bits = 64>
!t = tensor<?x?x?x64xf32>
func.func @f(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// Long rows: fewer of them, and shorter blocks where they are widened.
// V4: #online.cpu_schedule<m = 128, n = 64, lanes = 16, exact = false, index_bits = 32>
// Of bf16 alone.
// PAIRS: #online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>
// PAIRS: #online.cpu_schedule<m = 128, n = 64, lanes = 16, exact = false, index_bits = 32, pairs = true>
// AMX: lanes = 16, exact = false, index_bits = 32>
// Tiles gain by longer blocks.
// AMX: #online.cpu_schedule<m = 128, n = 128, lanes = 16, exact = false, index_bits = 32, pairs = true, amx = true>
// Tiles are whole: 32 queries by 32 keys.
// PART: #online.cpu_schedule<m = 128, n = 48, lanes = 16, exact = false, index_bits = 32, pairs = true>
// EXACT: exact = true, index_bits = 32>
// EXACT: exact = true, index_bits = 32, pairs = true>
!b = tensor<?x?x?x512xbf16>
func.func @wide(%q: !b, %k: !b, %v: !b, %c: f32) -> !b {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!b, !b, !b, f32) -> !b
  return %o : !b
}

// Blocks are whole groups of keys, of 16 where registers have 16 bytes.
// NEON: #online.cpu_schedule<m = 192, n = 256, lanes = 4,
// NEON: #online.cpu_schedule<m = 64, n = 32, lanes = 4,
// NEON: #online.cpu_schedule<m = 192, n = 112, lanes = 4,
!h = tensor<?x?x?x130xf16>
func.func @odd(%q: !h, %k: !h, %v: !h, %c: f32) -> !h {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!h, !h, !h, f32) -> !h
  return %o : !h
}
