//===- AffineMask.cpp - Questions about unions of polyhedra ---------------===//
#include "fovea/Analysis/AffineMask.h"
#include "fovea/Support/TotalArithmetic.h"

#include "mlir/Analysis/Presburger/IntegerRelation.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace fovea;
using mlir::presburger::IntegerPolyhedron;
using mlir::presburger::PresburgerSpace;

constexpr int64_t positionLimit = int64_t(1) << 40;

/// A rectangle with the ranges of the divisions on it.
struct AffineMask::Box {
  Interval q, kv;
  std::vector<Interval> quotients;
};

//===----------------------------------------------------------------------===//
// Rectangles
//===----------------------------------------------------------------------===//

/// Sums of a mask do not wrap for positions within the limit.
Interval AffineMask::rangeOf(const Sum &sum, const Box &box) const {
  Interval out = Interval::of(sum.constant);
  auto add = [&](int64_t factor, Interval of) {
    out.low += factor * (factor >= 0 ? of.low : of.high);
    out.high += factor * (factor >= 0 ? of.high : of.low);
  };
  add(sum.q, box.q);
  add(sum.kv, box.kv);
  for (size_t i = 0; i < sum.divisions.size(); ++i)
    if (sum.divisions[i] != 0)
      add(sum.divisions[i], box.quotients[i]);
  return out;
}

AffineMask::Box AffineMask::makeBox(const MaskRectangle &rectangle) const {
  Box box{rectangle.q, rectangle.kv, {}};
  for (const Division &division : divisions) {
    Interval of = rangeOf(division.of, box);
    box.quotients.push_back(
        {floorDiv(of.low, division.by), floorDiv(of.high, division.by)});
  }
  return box;
}

bool AffineMask::isEmptyExactly(const Polyhedron &polyhedron, const Box &box) {
  // Divisions name earlier ones only; those that are not used stay away.
  std::vector<bool> used(divisions.size());
  auto use = [&](const Sum &sum) {
    for (size_t i = 0; i < sum.divisions.size(); ++i)
      if (sum.divisions[i] != 0)
        used[i] = true;
  };
  for (const Sum &row : polyhedron)
    use(row);
  for (size_t i = divisions.size(); i-- > 0;)
    if (used[i])
      use(divisions[i].of);
  IntegerPolyhedron set(PresburgerSpace::getSetSpace(2));
  std::vector<unsigned> column(divisions.size());
  auto toRow = [&](const Sum &sum) {
    llvm::SmallVector<int64_t, 8> row(set.getNumCols());
    row[0] = sum.q;
    row[1] = sum.kv;
    for (size_t i = 0; i < sum.divisions.size(); ++i)
      if (sum.divisions[i] != 0)
        row[column[i]] = sum.divisions[i];
    row.back() = sum.constant;
    return row;
  };
  for (size_t i = 0; i < divisions.size(); ++i)
    if (used[i])
      column[i] = set.addLocalFloorDiv(toRow(divisions[i].of), divisions[i].by);
  for (const Sum &row : polyhedron)
    set.addInequality(toRow(row));
  for (auto [position, range] : {std::pair(0u, box.q), std::pair(1u, box.kv)}) {
    set.addBound(mlir::presburger::BoundType::LB, position, range.low);
    set.addBound(mlir::presburger::BoundType::UB, position, range.high);
  }
  // A simplex over these rows; each pivot visits all entries of its tableau.
  uint64_t rows = set.getNumConstraints();
  answerSteps += rows * rows * set.getNumCols();
  return set.isIntegerEmpty();
}

/// Whether a polyhedron and the box share a point; `known` becomes false past
/// the limit.
bool AffineMask::intersects(const std::vector<Polyhedron> &set, const Box &box,
                            bool &known) {
  llvm::SmallVector<const Polyhedron *> open;
  for (const Polyhedron &polyhedron : set) {
    bool never = false, always = true;
    for (const Sum &row : polyhedron) {
      Interval range = rangeOf(row, box);
      never |= range.high < 0;
      always &= range.low >= 0;
    }
    if (always)
      return true;
    if (!never)
      open.push_back(&polyhedron);
  }
  for (const Polyhedron *polyhedron : open) {
    if (answerSteps > limits.answerSteps) {
      known = false;
      return true;
    }
    if (!isEmptyExactly(*polyhedron, box))
      return true;
  }
  return false;
}

static bool isWithin(Interval range) {
  return range.low > -positionLimit && range.high < positionLimit;
}

std::optional<TileClass> AffineMask::classify(const MaskRectangle &rectangle) {
  if (!isWithin(rectangle.q) || !isWithin(rectangle.kv))
    return std::nullopt;
  Box box = makeBox(rectangle);
  bool known = true;
  bool live = intersects(visible, box, known);
  if (!live && known)
    return TileClass::Empty;
  bool gaps = intersects(hidden, box, known);
  if (!known)
    return std::nullopt;
  return gaps ? TileClass::Partial : TileClass::Full;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

bool AffineMask::dependsOnKey(const Sum &sum) const {
  for (size_t i = 0; i < sum.divisions.size(); ++i)
    if (sum.divisions[i] != 0 && divisions[i].onKey)
      return true;
  return sum.kv != 0;
}

/// At most one term depends on the key, at most one division deep.
bool AffineMask::canSolve(const Sum &sum) const {
  unsigned terms = sum.kv != 0;
  for (size_t i = 0; i < sum.divisions.size(); ++i) {
    if (sum.divisions[i] == 0 || !divisions[i].onKey)
      continue;
    ++terms;
    const Sum &of = divisions[i].of;
    for (size_t j = 0; j < of.divisions.size(); ++j)
      if (of.divisions[j] != 0 && divisions[j].onKey)
        return false;
  }
  return terms <= 1;
}

/// Cuts `keys` to those where factor · kv + constant >= 0.
static void cut(int64_t factor, int64_t constant, Interval &keys) {
  if (factor > 0)
    keys.low = std::max(keys.low, -floorDiv(constant, factor));
  else
    keys.high = std::min(keys.high, floorDiv(constant, -factor));
}

/// Cuts `keys` by sum >= 0 at row q; false where no key is left.
bool AffineMask::solveForKeys(const Sum &sum, int64_t q,
                              const std::vector<int64_t> &quotients,
                              Interval &keys) const {
  auto constantPart = [&](const Sum &of) {
    int64_t total = of.constant + of.q * q;
    for (size_t i = 0; i < of.divisions.size(); ++i)
      if (!divisions[i].onKey)
        total += of.divisions[i] * quotients[i];
    return total;
  };
  int64_t constant = constantPart(sum);
  if (!dependsOnKey(sum))
    return constant >= 0;
  if (sum.kv != 0) {
    cut(sum.kv, constant, keys);
    return keys.low <= keys.high;
  }
  size_t index = 0;
  while (sum.divisions[index] == 0 || !divisions[index].onKey)
    ++index;
  // factor · quotient + constant >= 0 bounds the quotient, that the key.
  const Division &division = divisions[index];
  Interval quotient;
  cut(sum.divisions[index], constant, quotient);
  int64_t most = (int64_t(1) << 61) / division.by; // no dividend is larger
  quotient = {std::clamp(quotient.low, -most, most),
              std::clamp(quotient.high, -most, most)};
  int64_t inner = constantPart(division.of);
  if (sum.divisions[index] > 0)
    cut(division.of.kv, inner - division.by * quotient.low, keys);
  else
    cut(-division.of.kv, division.by * (quotient.high + 1) - 1 - inner, keys);
  return keys.low <= keys.high;
}

std::optional<std::vector<Interval>> AffineMask::keysOf(int64_t q) const {
  if (!intervals || !isWithin(Interval::of(q)))
    return std::nullopt;
  std::vector<int64_t> quotients(divisions.size());
  for (auto [index, division] : llvm::enumerate(divisions)) {
    if (division.onKey)
      continue;
    int64_t of = division.of.constant + division.of.q * q;
    for (size_t i = 0; i < division.of.divisions.size(); ++i)
      of += division.of.divisions[i] * quotients[i];
    quotients[index] = floorDiv(of, division.by);
  }
  std::vector<Interval> found, merged;
  for (const Polyhedron &polyhedron : visible) {
    Interval keys{-positionLimit, positionLimit};
    if (llvm::all_of(polyhedron, [&](const Sum &row) {
          return solveForKeys(row, q, quotients, keys);
        }))
      found.push_back(keys);
  }
  llvm::sort(found, [](Interval a, Interval b) { return a.low < b.low; });
  for (Interval keys : found) {
    if (!merged.empty() && keys.low <= merged.back().high + 1)
      merged.back().high = std::max(merged.back().high, keys.high);
    else
      merged.push_back(keys);
  }
  return merged;
}

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

void AffineMask::printSum(llvm::raw_ostream &os, const Sum &sum) const {
  bool first = true;
  auto sign = [&](bool negative) {
    if (first)
      os << (negative ? "-" : "");
    else
      os << (negative ? " - " : " + ");
    first = false;
  };
  auto term = [&](int64_t factor, auto printTerm) {
    if (factor == 0)
      return;
    sign(factor < 0);
    if (factor != 1 && factor != -1)
      os << std::abs(factor) << " * ";
    printTerm();
  };
  term(sum.q, [&] { os << "q"; });
  term(sum.kv, [&] { os << "kv"; });
  for (size_t i = 0; i < sum.divisions.size(); ++i)
    term(sum.divisions[i], [&] {
      const Sum &of = divisions[i].of;
      bool plain = of.constant == 0 && of.divisions.empty() &&
                   ((of.q == 1 && of.kv == 0) || (of.q == 0 && of.kv == 1));
      os << (plain ? "(" : "((");
      printSum(os, of);
      os << (plain ? "" : ")") << " // " << divisions[i].by << ")";
    });
  if (sum.constant != 0 || first) {
    sign(sum.constant < 0);
    os << std::abs(sum.constant);
  }
}

/// sum >= 0 (or = 0), solved for kv or q where one of them stands alone.
void AffineMask::printBound(llvm::raw_ostream &os, const Sum &sum,
                            bool equal) const {
  auto solved = [&](llvm::StringRef name, int64_t factor, Sum rest) {
    if (factor > 0) // name >= -rest
      rest = negate(rest);
    os << name << (equal ? " == " : factor > 0 ? " >= " : " <= ");
    printSum(os, rest);
  };
  Sum rest = sum;
  if (sum.kv == 1 || sum.kv == -1) {
    rest.kv = 0;
    return solved("kv", sum.kv, rest);
  }
  if (sum.kv == 0 && (sum.q == 1 || sum.q == -1) && sum.divisions.empty()) {
    rest.q = 0;
    return solved("q", sum.q, rest);
  }
  printSum(os, sum);
  os << (equal ? " == 0" : " >= 0");
}

AffineMask::Sum AffineMask::negate(Sum sum) {
  sum.q = -sum.q;
  sum.kv = -sum.kv;
  sum.constant = -sum.constant;
  for (int64_t &factor : sum.divisions)
    factor = -factor;
  return sum;
}

void AffineMask::print(llvm::raw_ostream &os) const {
  if (visible.empty())
    os << "nothing\n";
  for (const Polyhedron &polyhedron : visible) {
    if (polyhedron.empty())
      os << "everything";
    const char *separator = "";
    for (auto row = polyhedron.begin(); row != polyhedron.end(); ++row) {
      Sum opposite = negate(*row);
      if (std::find(polyhedron.begin(), row, opposite) != row)
        continue; // said as an equation
      bool equal =
          std::find(row, polyhedron.end(), opposite) != polyhedron.end();
      os << separator;
      separator = ", ";
      printBound(os, *row, equal);
    }
    os << '\n';
  }
}
