//===- OnlineInterfaces.td - Interfaces of online -----------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ONLINE_INTERFACES
#define FOVEA_DIALECT_ONLINE_INTERFACES

include "mlir/IR/Interfaces.td"

def Online_ScheduleAttrInterface : AttrInterface<"ScheduleAttrInterface"> {
  let cppNamespace = "::mlir::online";
  let description = [{
    How a grid is cut and run on one family of targets. `verifySchedule` names
    the resource that runs out, the amount asked for and the limit.
  }];
  let methods = [
    InterfaceMethod<"Query rows of one output tile", "int64_t", "getQueryTile", (ins)>,
    InterfaceMethod<"Keys of one sweep element", "int64_t", "getKeyTile", (ins)>,
    InterfaceMethod<"Bytes (or units) of a resource that the schedule takes; 0 for an unknown one",
      "int64_t", "footprint", (ins "::llvm::StringRef":$resource, "int64_t":$headDim,
                                   "int64_t":$valueDim, "unsigned":$elementBytes)>,
    InterfaceMethod<"Checks the schedule against a target",
      "::llvm::LogicalResult", "verifySchedule",
      (ins "const ::fovea::TargetModel &":$target, "int64_t":$headDim, "int64_t":$valueDim,
           "unsigned":$elementBytes,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError)>,
  ];
}

#endif // FOVEA_DIALECT_ONLINE_INTERFACES
