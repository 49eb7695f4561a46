//===- PrintValue.cpp - Values of the interpreters as text ----------------===//

#include "PrintValue.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace fovea;
using namespace mlir;

/// NaN has no sign here.
static void printFloat(llvm::raw_ostream &os, double value) {
  if (std::isnan(value))
    os << "nan";
  else
    os << llvm::format("%.6g", value);
}

static void printTensor(llvm::raw_ostream &os, const TensorView &tensor,
                        int64_t dim, int64_t offset) {
  if (dim == tensor.rank()) {
    if (isFloat(tensor.dtype))
      printFloat(os, tensor.loadFloat(offset));
    else
      os << tensor.loadInt(offset);
    return;
  }
  os << '[';
  for (int64_t i = 0; i < tensor.sizes[dim]; ++i) {
    os << (i == 0 ? "" : ", ");
    printTensor(os, tensor, dim + 1, offset + i * tensor.strides[dim]);
  }
  os << ']';
}

void fovea::printValue(llvm::raw_ostream &os,
                       const std::optional<TensorView> &tensor,
                       ScalarValue scalar, Type type) {
  if (tensor)
    printTensor(os, *tensor, 0, 0);
  else if (isa<FloatType>(type))
    printFloat(os, scalar.f);
  else
    os << scalar.i;
}
