//===- RegionFacts.cpp - What kernels may rely on -------------------------===//
#include "fovea/Analysis/RegionFacts.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace fovea;

FloatBounds fovea::finiteScores() { return {-0x1p96, 0x1p96}; }

RegionFacts::RegionFacts(const Program &program, const Region &region,
                         const RegionEnvironment &environment,
                         const FactDomain &domain)
    : bounds(program, region, environment) {
  bounds.setElement(domain.element);
  bounds.enter(IntBounds(domain.batch), IntBounds(domain.head));
  bounds.evaluate(domain.q, domain.kv, /*all=*/true);
  std::vector<bool> needed(region.nodes.size());
  for (unsigned result : region.results)
    needed[result] = true;
  for (unsigned i = region.nodes.size(); i-- > 0;)
    if (needed[i])
      for (unsigned operand : region.nodes[i].operands)
        needed[operand] = true;
  for (auto [index, node] : llvm::enumerate(region.nodes)) {
    if (!needed[index] || node.kind != NodeKind::Read)
      continue;
    for (auto [dim, operand] : llvm::enumerate(node.operands)) {
      IndexFact fact{static_cast<unsigned>(index), static_cast<unsigned>(dim),
                     bounds.ints(operand), false};
      if (node.capture < environment.captures.size())
        fact.inRange =
            fact.range.low >= 0 &&
            fact.range.high < environment.captures[node.capture].sizes[dim];
      reads.push_back(fact);
    }
  }
}

bool RegionFacts::isAboveMinusInfinity(unsigned result) const {
  return bounds.floatResult(result).low > -HUGE_VAL;
}

bool RegionFacts::isPositive(unsigned result) const {
  const FloatBounds &value = bounds.floatResult(result);
  return value.low > 0 && !value.nan;
}

std::optional<bool> RegionFacts::constantCondition() const {
  if (!bounds.intResult().isPoint())
    return std::nullopt;
  return bounds.intResult().low != 0;
}

bool RegionFacts::areIndicesInRange() const {
  return llvm::all_of(reads,
                      [](const IndexFact &fact) { return fact.inRange; });
}
