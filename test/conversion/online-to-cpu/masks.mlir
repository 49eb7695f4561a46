// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 exact=true' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=EXACT
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 schedule=n=768' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=PAGES

!t = tensor<?x?x?x64xf32>

// The mask region runs once a (panel, key) of an element that is not full,
// before any product; the scores of a group ask its bits only where the group's
// class says so. The region is nowhere else.
// CHECK-LABEL: llvm.func @causal_run(
// CHECK: scf.if
// CHECK: arith.cmpi sge, %{{.*}}, %{{.*}} : vector<32xi32>
// CHECK: llvm.bitcast %{{.*}} : vector<32xi1> to i32
// Groups that one register of the panel does not see are multiplied by the
// other alone.
// CHECK: arith.andi %{{.*}}, %c65535_i32 : i32
// CHECK: arith.andi %{{.*}}, %c-65536_i32 : i32
// CHECK: %{{.*}}:8 = scf.for {{.*}} -> (vector<16xf32>
// CHECK: } else {
// CHECK: %{{.*}}:8 = scf.for {{.*}} -> (vector<32xf32>
// CHECK: scf.if
// CHECK: llvm.bitcast %{{.*}} : i32 to vector<32xi1>
// CHECK: arith.select %{{.*}} : vector<32xi1>, vector<32xf32>
// CHECK-NOT: arith.cmpi sge, %{{.*}}, %{{.*}} : vector<32xi32>
// The fast form adds values whatever the bits, for eight rows at a time the
// keys that they see, from a list of their own.
// CHECK: scf.for %[[ROWS:.*]] = %c0_i64{{[_0-9]*}} to %c4_i64
// CHECK: %[[LIST:.*]] = arith.addi %[[ROWS]], %c1_i64
// CHECK: llvm.getelementptr %{{.*}}[%[[LIST]]]
// CHECK: %{{.*}}:9 = scf.for
// CHECK: %{{.*}}:9 = scf.for
// CHECK-NOT: arith.select
// CHECK: scf.yield
// CHECK-NOT: -> (vector<16xf32>
// CHECK: llvm.return

// The exact form selects on what each lane sees.
// EXACT-LABEL: llvm.func @causal_run(
// EXACT: llvm.bitcast %{{.*}} : vector<32xi1> to i32
// EXACT: %{{.*}}:8 = scf.for
// EXACT: %{{.*}}:8 = scf.for
// EXACT: %{{.*}}:8 = scf.for
// EXACT: %[[SEEN:.*]] = llvm.bitcast %{{.*}} : i32 to vector<32xi1>
// EXACT-COUNT-8: arith.select %[[SEEN]], %{{.*}}, %{{.*}} : vector<32xi1>, vector<32xf32>
// EXACT-NOT: -> (vector<16xf32>
// EXACT: llvm.return

// Lists of 96 groups are made from 64 at a time; what is past them is filled.
// PAGES-LABEL: llvm.func @causal_run(
// PAGES: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c128_i64{{[_0-9]*}} step %c32_i64
// PAGES: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c128_i64{{[_0-9]*}} step %c64_i64
// PAGES: scf.for %{{.*}} = %c0_i64{{[_0-9]*}} to %c64_i64{{[_0-9]*}} step %c32_i64
func.func @causal(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
