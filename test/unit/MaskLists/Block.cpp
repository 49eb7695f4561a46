//===- Block.cpp ----------------------------------------------------------===//

#include "Block.h"

#include <algorithm>

using namespace fovea::test;

/// The block that runs.
static Block *running = nullptr;

Block::Block(unsigned threads, std::function<void()> body)
    : body(std::move(body)), fibers(threads) {
  for (Fiber &fiber : fibers)
    fiber.stack.resize(64 << 10);
}

int32_t Block::index() { return running->number; }
int32_t Block::thread() { return int32_t(running->current); }

uint64_t Block::meet(Meeting kind, uint64_t value, int32_t lanes) {
  Fiber &self = running->fibers[running->current];
  self.waits = kind;
  self.value = value;
  self.lanes = lanes;
  swapcontext(&self.context, &running->scheduler);
  return self.value;
}

void Block::start() {
  running->body();
  Fiber &self = running->fibers[running->current];
  self.done = true;
  swapcontext(&self.context, &running->scheduler);
}

bool Block::runWarp(unsigned first) {
  for (;;) {
    for (current = first; current < first + kLanes; ++current) {
      Fiber &fiber = fibers[current];
      if (!fiber.done && fiber.waits == Meeting::None)
        swapcontext(&scheduler, &fiber.context);
    }
    const Fiber &leader = fibers[first];
    for (unsigned i = first; i < first + kLanes; ++i)
      if (fibers[i].waits != leader.waits || fibers[i].done != leader.done)
        return false;
    if (leader.done || leader.waits == Meeting::Barrier)
      return true;
    answer(first);
  }
}

void Block::answer(unsigned first) {
  Fiber *warp = &fibers[first];
  uint64_t values[kLanes];
  for (unsigned lane = 0; lane < kLanes; ++lane)
    values[lane] = warp[lane].value;
  auto low = [](uint64_t a, uint64_t b) { return int32_t(a) < int32_t(b); };
  uint64_t bits = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    bits |= values[lane] << lane;
  votes += warp->waits == Meeting::Vote;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    Fiber &fiber = warp[lane];
    auto other = static_cast<unsigned>(fiber.lanes);
    switch (fiber.waits) {
    case Meeting::Vote:
      fiber.value = bits;
      break;
    case Meeting::Butterfly:
      fiber.value = values[lane ^ other];
      break;
    case Meeting::Up:
      fiber.value = values[lane >= other ? lane - other : lane];
      break;
    case Meeting::FromLane:
      fiber.value = values[other];
      break;
    case Meeting::Min:
      fiber.value = *std::min_element(values, values + kLanes, low);
      break;
    case Meeting::Max:
      fiber.value = *std::max_element(values, values + kLanes, low);
      break;
    default:
      break;
    }
    fiber.waits = Meeting::None;
  }
}

std::string Block::run(int32_t blockNumber) {
  running = this;
  number = blockNumber;
  for (Fiber &fiber : fibers) {
    fiber.waits = Meeting::None;
    fiber.done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    makecontext(&fiber.context, &Block::start, 0);
  }
  for (;;) {
    for (unsigned first = 0; first < fibers.size(); first += kLanes)
      if (!runWarp(first))
        return "lanes of a warp meet at different places";
    for (const Fiber &fiber : fibers)
      if (fiber.done != fibers.front().done)
        return "a thread has ended where others wait";
    if (fibers.front().done)
      return "";
    for (Fiber &fiber : fibers)
      fiber.waits = Meeting::None;
  }
}
