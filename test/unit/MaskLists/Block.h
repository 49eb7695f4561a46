//===- Block.h - A block of threads, a fiber each ---------------*- C++ -*-===//
#ifndef FOVEA_TEST_UNIT_MASKLISTS_BLOCK_H
#define FOVEA_TEST_UNIT_MASKLISTS_BLOCK_H

#include <cstdint>
#include <functional>
#include <string>
#include <ucontext.h>
#include <vector>

namespace fovea::test {

/// Where threads wait for others: those of the warp, or of the block.
enum class Meeting { None, Vote, Butterfly, Up, FromLane, Min, Max, Barrier };

class Block {
public:
  Block(unsigned threads, std::function<void()> body);

  /// Runs all threads to their end. Returns what was wrong, or nothing.
  std::string run(int32_t number);

  // Of the thread that runs.
  static int32_t index();
  static int32_t thread();
  static uint64_t meet(Meeting kind, uint64_t value, int32_t lanes);

  int64_t votes = 0;

private:
  struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    Meeting waits = Meeting::None;
    bool done = false;
    uint64_t value = 0;
    int32_t lanes = 0;
  };
  static constexpr unsigned kLanes = 32;
  static void start();
  /// Until all threads of the warp wait or have ended; false where they do not
  /// agree.
  bool runWarp(unsigned first);
  void answer(unsigned first);

  std::function<void()> body;
  std::vector<Fiber> fibers;
  ucontext_t scheduler;
  unsigned current = 0;
  int32_t number = 0;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_MASKLISTS_BLOCK_H
