// RUN: fovea-opt %s --canonicalize | FileCheck %s

// The only part of a walk is the walk.
// CHECK-LABEL: func.func @slice
// CHECK-SAME: (%[[W:.*]]: !online.walk, %[[N:.*]]: index)
func.func @slice(%w: !online.walk, %n: index) -> (!online.walk, !online.walk) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %whole = online.walk.slice %w part(%c0 of %c1)
  // CHECK: %[[P:.*]] = online.walk.slice %[[W]] part(%{{.*}} of %[[N]])
  %part = online.walk.slice %w part(%c0 of %n)
  // CHECK: return %[[W]], %[[P]]
  return %whole, %part : !online.walk, !online.walk
}

// Loads without a use go, stores stay.
// CHECK-LABEL: func.func @effects
func.func @effects(%v: !online.view<?xf32>, %t: tensor<8xf32>, %i: index) {
  // CHECK-NOT: online.load
  %x = online.load %v[%i] : !online.view<?xf32> -> tensor<8xf32>
  // CHECK: online.store
  online.store %t, %v[%i] : tensor<8xf32>, !online.view<?xf32>
  return
}
