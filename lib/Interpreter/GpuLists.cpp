//===- GpuLists.cpp - Elements of block masks at level 3 ------------------===//
//
// The order in which a tile meets its key tiles: those of segments, of one row
// of a block mask, or of rows that a tile's warpgroups walk together.
//
//===----------------------------------------------------------------------===//

#include "GpuEngine.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace fovea;
using namespace mlir;
using namespace mlir::attn_gpu;

static bool isFull(const WalkElement &element) {
  return element.kind == online::ClassKind::Full;
}

/// Of a full tile, and not cut.
static bool isWhole(const WalkElement &element, int64_t step) {
  return isFull(element) && element.count == step;
}

/// Whole ones of full tiles, then those that need their mask or are cut.
static Walk sortByKind(const Walk &walk, int64_t step) {
  auto belongsFirst = [&](const WalkElement &x) { return isWhole(x, step); };
  Walk sorted;
  llvm::copy_if(walk, std::back_inserter(sorted), belongsFirst);
  llvm::copy_if(walk, std::back_inserter(sorted), std::not_fn(belongsFirst));
  return sorted;
}

//===----------------------------------------------------------------------===//
// One row
//===----------------------------------------------------------------------===//

/// The elements of one row by their keys: full is what asks no mask, cut or
/// not.
template <typename Op>
FailureOr<Walk> GpuCoroutine::readElements(Op op, ArrayRef<int64_t> row) {
  int64_t tile = getInt(op.getKeyTile()), step = op.getStep();
  int64_t length = getInt(op.getLength());
  if (tile < length && tile % step != 0)
    return op->emitError() << "key tile " << tile
                           << " is not a multiple of step " << step;
  FailureOr<Walk> walk = readList(op, op.getList(), row, tile, length, step);
  if (failed(walk))
    return failure();
  if (op.getUnmasked())
    for (WalkElement &element : *walk)
      element.kind = online::ClassKind::Full;
  return walk;
}

LogicalResult GpuCoroutine::runListCount(ListCountOp op) {
  FailureOr<Walk> list = readElements(op, getInts(op.getRow()));
  if (failed(list))
    return failure();
  int64_t step = op.getStep(), fulls = llvm::count_if(*list, isFull);
  int64_t whole = llvm::count_if(
      *list, [&](const WalkElement &x) { return isWhole(x, step); });
  set(op.getWhole(), ScalarValue::ofInt(whole));
  set(op.getTotal(), ScalarValue::ofInt(list->size()));
  set(op.getCut(), ScalarValue::ofInt(fulls - whole));
  return success();
}

LogicalResult GpuCoroutine::runListElement(ListElementOp op) {
  FailureOr<Walk> list = readElements(op, getInts(op.getRow()));
  if (failed(list))
    return failure();
  Walk sorted = sortByKind(*list, op.getStep());
  int64_t element = getInt(op.getElement()), size = sorted.size();
  if (element < 0 || element >= std::max<int64_t>(size, 1))
    return op.emitError() << "element " << element << " of a list of " << size;
  set(op.getN0(), ScalarValue::ofInt(size ? sorted[element].first
                                          : getInt(op.getLength())));
  return success();
}

//===----------------------------------------------------------------------===//
// Rows of a joint list
//===----------------------------------------------------------------------===//

/// A key tile of a joint list: what each row has of it, and who reads it.
struct fovea::JointElement {
  WalkElement own[kMostJointGroups]; // no key belongs where a row has it not
  bool has[kMostJointGroups] = {}, reads[kMostJointGroups] = {};
  /// In all rows that have it.
  bool isWhole = true;

  int64_t first() const { return own[0].first; }
  int64_t owners() const {
    int64_t owners = 0;
    for (int64_t g = 0; g < kMostJointGroups; ++g)
      owners |= int64_t(has[g]) << g;
    return owners;
  }
};

namespace {
/// Brings the elements of rows into the order of `joint.count`.
class Joiner {
public:
  Joiner(ArrayRef<Walk> rows, int64_t length, int64_t step, int64_t reach)
      : groups(rows.size()), reach(reach) {
    sortOut(rows, step);
    for (Kinds *kinds : {&others, &whole})
      if (auto &joint = (*kinds)[all()]; list.empty() && !joint.empty())
        list.push_back(joint.pop_back_val());
    addInTurns(whole);
    addInTurns(others);
    if (list.empty()) {
      JointElement none;
      for (WalkElement &own : none.own)
        own.first = length;
      list.push_back(none);
    }
    for (int64_t g = 0; g < groups; ++g)
      setReads(g);
  }

  JointList list;

private:
  /// By who has them.
  using Kinds = std::map<int64_t, SmallVector<JointElement>>;

  int64_t all() const { return (1 << groups) - 1; }
  void sortOut(ArrayRef<Walk> rows, int64_t step);
  void addInTurns(Kinds &kinds);
  void setReads(int64_t group);

  int64_t groups, reach;
  Kinds whole, others;
};
} // namespace

void Joiner::sortOut(ArrayRef<Walk> rows, int64_t step) {
  std::map<int64_t, JointElement> elements;
  for (auto [g, row] : llvm::enumerate(rows))
    for (const WalkElement &element : row) {
      JointElement &joint = elements[element.first];
      joint.own[g] = element;
      joint.has[g] = true;
      joint.isWhole &= ::isWhole(element, step);
    }
  for (auto &[first, element] : elements) {
    for (WalkElement &own : element.own)
      own.first = first;
    (element.isWhole ? whole : others)[element.owners()].push_back(element);
  }
}

void Joiner::addInTurns(Kinds &kinds) {
  llvm::append_range(list, kinds[all()]);
  bool isLeft = true;
  for (size_t i = 0; isLeft; ++i) {
    isLeft = false;
    for (int64_t owners : getJointTurns(groups))
      if (i < kinds[owners].size()) {
        list.push_back(kinds[owners][i]);
        isLeft = true;
      }
  }
}

/// From the end: every reach-th element before one of the group's own, or
/// before where the next tile's first may lie, is read in vain.
void Joiner::setReads(int64_t group) {
  int64_t slack = getJointTurns(groups).size() - 1;
  int64_t next = int64_t(list.size()) + slack;
  for (int64_t i = int64_t(list.size()) - 1; i >= 0; --i) {
    bool isFar = i == 0 && next > slack;
    list[i].reads[group] =
        list[i].has[group] || (next - i) % reach == 0 || isFar;
    if (list[i].has[group])
      next = i;
  }
}

/// Numbers of the rows of 64 queries that the groups of an op's tile have,
/// where tiles share out their rows.
template <typename Op>
FailureOr<SmallVector<int64_t>> GpuCoroutine::sortRows(Op op, int64_t groups) {
  SmallVector<int64_t> row = getInts(op.getRow());
  int64_t first = row.back() * groups, queryTile = getInt(op.getQueryTile());
  if (!op.getTiles())
    return llvm::to_vector(llvm::seq(first, first + groups));
  int64_t width = groups * kJointWindow, begin = first / width * width;
  int64_t end = std::min(begin + width, getInt(op.getTiles()) * groups);
  std::vector<int64_t> &order = (*orders)[{row[0], row[1], begin}];
  if (order.empty()) {
    std::map<int64_t, int64_t> lengths;
    for (int64_t number = begin; number < end; ++number) {
      row.back() = number * kGroupRows / std::max<int64_t>(queryTile, 1);
      lengths[number] = -1;
      if (row.back() >= getMemRef(op.getList()).sizes[2])
        continue; // behind the last query
      FailureOr<Walk> walk = readElements(op, row);
      if (failed(walk))
        return failure();
      lengths[number] = walk->size();
    }
    llvm::append_range(order, llvm::seq(begin, end));
    llvm::sort(order, [&](int64_t x, int64_t y) {
      return std::pair(lengths[x], x) < std::pair(lengths[y], y);
    });
  }
  return SmallVector<int64_t>(ArrayRef(order).slice(first - begin, groups));
}

/// The joint list of an op, whose `row` is (batch, head, tile) and whose groups
/// have these rows of 64 queries.
template <typename Op>
FailureOr<JointList> GpuCoroutine::joinRows(Op op, ArrayRef<int64_t> numbers,
                                            int64_t reach) {
  int64_t queryTile = getInt(op.getQueryTile());
  if (queryTile < 1)
    return op->emitError() << "query tile must be positive, got " << queryTile;
  SmallVector<int64_t> row = getInts(op.getRow());
  SmallVector<Walk> rows(numbers.size());
  for (auto [g, number] : llvm::enumerate(numbers)) {
    row.back() = kGroupRows * number / queryTile;
    if (row.back() >= getMemRef(op.getList()).sizes[2])
      continue; // behind the last query
    FailureOr<Walk> walk = readElements(op, row);
    if (failed(walk))
      return failure();
    rows[g] = *walk;
    // Where the mask holds on all of them an element is as of a full tile.
    if (std::optional<IntegerSet> set = op.getVisible()) {
      SmallVector<Plane> planes = *toPlanes(*set);
      int64_t m0 = kGroupRows * number;
      for (WalkElement &element : rows[g])
        if (llvm::all_of(planes, [&](const Plane &plane) {
              return plane.holdsOn(m0, kGroupRows, element.first, op.getStep());
            }))
          element.kind = online::ClassKind::Full;
    }
  }
  return Joiner(rows, getInt(op.getLength()), op.getStep(), reach).list;
}

/// Where a group's next element after one lies, as a distance; 0 at the end.
static int64_t distance(const JointList &list, int64_t from, int64_t group) {
  for (int64_t i = from + 1; i < int64_t(list.size()); ++i)
    if (list[i].reads[group])
      return i - from;
  return 0;
}

LogicalResult GpuCoroutine::runJointCount(JointCountOp op) {
  int64_t groups = op.getGroups().size() / 4;
  FailureOr<SmallVector<int64_t>> rows = sortRows(op, groups);
  if (failed(rows))
    return failure();
  FailureOr<JointList> list = joinRows(op, *rows, op.getReach());
  if (failed(list))
    return failure();
  set(op.getUses(), ScalarValue::ofInt(list->size()));
  for (int64_t g = 0; g < groups; ++g) {
    auto reads = [&](const JointElement &element) { return element.reads[g]; };
    auto first = llvm::find_if(*list, reads);
    int64_t whole = std::count_if(std::next(first), list->end(), [&](auto &x) {
      return x.has[g] && x.isWhole;
    });
    set(op.getGroups()[4 * g], ScalarValue::ofInt(first - list->begin()));
    set(op.getGroups()[4 * g + 1], ScalarValue::ofInt(whole));
    set(op.getGroups()[4 * g + 2],
        ScalarValue::ofInt(llvm::count_if(*list, reads)));
    set(op.getGroups()[4 * g + 3], ScalarValue::ofInt((*rows)[g] * kGroupRows));
  }
  return success();
}

LogicalResult GpuCoroutine::runJointElement(JointElementOp op) {
  int64_t groups = op.getLinks().size();
  FailureOr<SmallVector<int64_t>> rows = sortRows(op, groups);
  if (failed(rows))
    return failure();
  FailureOr<JointList> list = joinRows(op, *rows, op.getReach());
  if (failed(list))
    return failure();
  int64_t i = getInt(op.getElement());
  // The loading role asks for one ahead.
  int64_t size = list->size();
  if (i < 0 || i > size)
    return op.emitError() << "element " << i << " of a list of " << size;
  const JointElement &element = (*list)[std::min(i, size - 1)];
  set(op.getN0(), ScalarValue::ofInt(element.first()));
  for (int64_t g = 0; g < groups; ++g) {
    int64_t link = 0;
    if (element.reads[g])
      link = 1 + 2 * isFull(element.own[g]) + 4 * !element.has[g] +
             8 * distance(*list, i, g);
    set(op.getLinks()[g], ScalarValue::ofInt(link));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The order of a loop
//===----------------------------------------------------------------------===//

FailureOr<Walk> GpuCoroutine::orderList(ForBlocksOp op) {
  if (!op.getQueryTile()) {
    FailureOr<Walk> list = readElements(op, getInts(op.getRow()));
    if (failed(list))
      return failure();
    Walk walk = sortByKind(*list, op.getStep());
    if (!walk.empty())
      std::rotate(walk.begin(), walk.end() - 1, walk.end());
    return walk;
  }
  // Who reads what has no say in the order.
  auto tiles = op->getParentOfType<ForTilesOp>();
  int64_t groups = tiles.getSchedule().getGroups(),
          first = getInt(op.getRow().back()) * groups;
  FailureOr<JointList> list =
      joinRows(op, llvm::to_vector(llvm::seq(first, first + groups)),
               /*reach=*/int64_t(getJointTurns(kMostJointGroups).size()));
  if (failed(list))
    return failure();
  Walk walk;
  for (const JointElement &element : *list)
    walk.push_back(
        element.own[role && role.getKind() == RoleKind::Load ? 0 : group]);
  return walk;
}

/// Whole blocks of a full segment from its begin on, the others from its end
/// down, with the first key that belongs in place of a count.
static void addCutInFront(Walk &walk, int64_t begin, int64_t end, int64_t step,
                          online::ClassKind kind) {
  if (kind == online::ClassKind::Full)
    for (; end - begin >= step; begin += step)
      walk.push_back({begin, begin, kind});
  for (int64_t last = end; last > begin; last -= step)
    walk.push_back({last - step, begin, online::ClassKind::Partial});
}

std::shared_ptr<const Walk> GpuCoroutine::orderBlocks(ForBlocksOp op) {
  auto walk = std::make_shared<Walk>();
  int64_t step = op.getStep();
  if (op.getList()) {
    FailureOr<Walk> list = orderList(op);
    if (failed(list))
      return nullptr;
    *walk = *list;
  } else {
    Walk all;
    for (auto [index, begin, end] :
         llvm::enumerate(op.getBegins(), op.getEnds())) {
      auto kind = static_cast<online::ClassKind>(op.getClasses()[index]);
      if (op.getCutFront()) {
        addCutInFront(all, getInt(begin), getInt(end), step, kind);
        continue;
      }
      for (int64_t n = getInt(begin); n < getInt(end); n += step) {
        int64_t count = std::min(step, getInt(end) - n);
        // An element that is not whole needs its mask.
        all.push_back(
            {n, count, count < step ? online::ClassKind::Partial : kind});
      }
    }
    llvm::copy_if(llvm::reverse(all), std::back_inserter(*walk), isFull);
    llvm::copy_if(all, std::back_inserter(*walk), std::not_fn(isFull));
    if (!all.empty())
      std::rotate(walk->begin(), walk->end() - 1, walk->end());
  }
  if (walk->empty())
    walk->push_back(
        {op.getCutFront() ? -step : 0, 0, online::ClassKind::Partial});
  return walk;
}
