//===- RegionBuilder.h - One region, equal nodes shared ---------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_REGIONBUILDER_H
#define FOVEA_LIB_FRONTEND_REGIONBUILDER_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringMap.h"

namespace fovea {

/// Equal nodes have equal keys; operands are given apart so that they can be
/// renumbered.
std::string getStructuralKey(const Node &node,
                             llvm::ArrayRef<unsigned> operands);

class RegionBuilder {
public:
  explicit RegionBuilder(RegionKind kind) {
    for (llvm::StringRef arg : getRegionArgs(kind))
      region.args.push_back(arg.str());
  }

  void setLocation(unsigned newLine, unsigned newColumn) {
    line = newLine;
    column = newColumn;
  }
  unsigned add(Node node);
  unsigned addOp(NodeKind kind, llvm::ArrayRef<unsigned> operands);
  unsigned addSelect(unsigned condition, unsigned x, unsigned y);
  unsigned addInteger(int64_t value);
  unsigned addBool(bool value);
  unsigned addReal(double value);
  unsigned addSymbol(NodeKind kind, ValueType type, llvm::StringRef symbol);
  unsigned addExtent(unsigned capture, unsigned dim);
  unsigned addRead(unsigned capture, DType dtype,
                   llvm::ArrayRef<unsigned> indices);

  Node &operator[](unsigned id) { return region.nodes[id]; }
  Region take(llvm::ArrayRef<unsigned> results) {
    region.results.assign(results.begin(), results.end());
    return std::move(region);
  }
  const Region &get() const { return region; }

private:
  Region region;
  llvm::StringMap<unsigned> known;
  unsigned line = 0, column = 0;
};

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_REGIONBUILDER_H
