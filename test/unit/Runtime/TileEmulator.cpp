//===- TileEmulator.cpp ---------------------------------------------------===//
//
// A handler of SIGILL that decodes ldtilecfg, tilerelease, tilezero,
// tileloadd, tilestored and tdpbf16ps, and goes on behind them.
//
//===----------------------------------------------------------------------===//
#if defined(__x86_64__) && defined(__linux__)

#include "TileEmulator.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <ucontext.h>
#include <unistd.h>

using namespace fovea::test;

namespace {
constexpr int kTiles = 8, kRows = 16, kBytes = 64;

struct Tile {
  int rows = 0, bytes = 0;
  alignas(64) uint8_t data[kRows][kBytes] = {};
};

struct TileState {
  int palette = 0, startRow = 0;
  Tile tiles[kTiles];
};

thread_local TileState state;
std::atomic<int64_t> products{0};

[[noreturn]] void refuse(const char *why) {
  for (const char *text : {"tile emulator: ", why, "\n"})
    (void)!write(STDERR_FILENO, text, std::strlen(text));
  abort();
}

void require(bool condition, const char *otherwise) {
  if (!condition)
    refuse(otherwise);
}

/// An instruction with a VEX prefix of three bytes, of the map 0F38.
struct Instruction {
  int prefix = 0; // 0: none, 1: 66, 2: F3, 3: F2
  uint8_t opcode = 0;
  bool isRegister = false;
  int reg = 0, rm = 0, vvvv = 0;
  uint64_t base = 0, stride = 0; // of a memory operand
  bool hasIndexByte = false;
  int length = 0;
};

uint64_t readRegister(const ucontext_t &context, int number) {
  constexpr int names[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                           REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                           REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<uint64_t>(context.uc_mcontext.gregs[names[number]]);
}

template <typename T> T readAt(const void *address) {
  T value;
  std::memcpy(&value, address, sizeof value);
  return value;
}

/// The operand in memory: base and displacement, and what the index register
/// holds, scaled: the distance of rows.
void decodeMemory(Instruction &inst, const ucontext_t &context,
                  const uint8_t *&at, int mode, bool extendIndex,
                  bool extendBase) {
  int base = inst.rm;
  bool hasBase = true;
  if (base == 4) {
    uint8_t sib = *at++;
    int index = (sib >> 3 & 7) | (extendIndex ? 8 : 0);
    base = sib & 7;
    inst.hasIndexByte = true;
    if (index != 4)
      inst.stride = readRegister(context, index) << (sib >> 6);
    hasBase = !(mode == 0 && base == 5);
  }
  bool relative = !inst.hasIndexByte && mode == 0 && base == 5;
  int64_t displacement = 0;
  if (mode == 1) {
    displacement = int64_t(*at ^ 0x80) - 0x80; // signed
    at += 1;
  } else if (mode == 2 || relative || !hasBase) {
    displacement = readAt<int32_t>(at);
    at += 4;
  }
  if (relative)
    inst.base = reinterpret_cast<uint64_t>(at);
  else if (hasBase)
    inst.base = readRegister(context, base | (extendBase ? 8 : 0));
  inst.base += static_cast<uint64_t>(displacement);
}

bool decode(const ucontext_t &context, Instruction &inst) {
  const auto *start =
      reinterpret_cast<const uint8_t *>(context.uc_mcontext.gregs[REG_RIP]);
  // VEX.128.0F38.W0; the register fields are stored inverted.
  if (start[0] != 0xc4 || (start[1] & 0x1f) != 2 || (start[2] & 0x84) != 0)
    return false;
  inst.prefix = start[2] & 3;
  inst.vvvv = ~(start[2] >> 3) & 15;
  inst.opcode = start[3];
  int mode = start[4] >> 6;
  inst.isRegister = mode == 3;
  inst.reg = (start[4] >> 3 & 7) | (start[1] & 0x80 ? 0 : 8);
  inst.rm = start[4] & 7;
  const uint8_t *at = start + 5;
  if (!inst.isRegister)
    decodeMemory(inst, context, at, mode, !(start[1] & 0x40),
                 !(start[1] & 0x20));
  inst.length = static_cast<int>(at - start);
  return true;
}

Tile &tileOf(int number) {
  require(state.palette == 1, "tiles are not configured");
  require(number < kTiles, "there are eight tiles");
  require(state.tiles[number].rows > 0, "a tile without rows");
  return state.tiles[number];
}

void configure(uint64_t address) {
  const auto *bytes = reinterpret_cast<const uint8_t *>(address);
  require(bytes[0] <= 1, "unknown palette");
  state = {};
  state.palette = bytes[0];
  if (state.palette == 0)
    return;
  state.startRow = bytes[1];
  for (int i = 2; i < 64; ++i)
    if (i < 16 || (i >= 32 && i < 48) || i >= 56)
      require(bytes[i] == 0, "reserved bytes of a configuration");
  for (int i = 0; i < kTiles; ++i) {
    Tile &tile = state.tiles[i];
    tile.bytes = readAt<uint16_t>(bytes + 16 + 2 * i);
    tile.rows = bytes[48 + i];
    require(tile.bytes <= kBytes && tile.rows <= kRows &&
                (tile.bytes == 0) == (tile.rows == 0),
            "the shape of a tile");
  }
}

void clear(Tile &tile) { std::memset(tile.data, 0, sizeof tile.data); }

void loadTile(Tile &tile, const Instruction &inst) {
  require(inst.hasIndexByte, "an address without an index byte");
  if (state.startRow == 0)
    clear(tile);
  for (int row = state.startRow; row < tile.rows; ++row)
    std::memcpy(tile.data[row],
                reinterpret_cast<const void *>(inst.base + row * inst.stride),
                tile.bytes);
  state.startRow = 0;
}

void storeTile(const Tile &tile, const Instruction &inst) {
  require(inst.hasIndexByte, "an address without an index byte");
  for (int row = state.startRow; row < tile.rows; ++row)
    std::memcpy(reinterpret_cast<void *>(inst.base + row * inst.stride),
                tile.data[row], tile.bytes);
  state.startRow = 0;
}

/// Denormal numbers are zeros, as operands and as results.
float flush(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}

float widen(const uint8_t *bytes) {
  uint32_t bits = uint32_t(readAt<uint16_t>(bytes)) << 16;
  return flush(readAt<float>(&bits));
}

/// sums[m][n] += Σ a[m][2 k + i] b[k][2 n + i], even and odd elements apart.
void multiply(Tile &sums, const Tile &a, const Tile &b) {
  require(&sums != &a && &sums != &b && &a != &b, "a tile twice");
  require(sums.rows == a.rows && sums.bytes == b.bytes &&
              a.bytes == 4 * b.rows && sums.bytes % 4 == 0,
          "shapes of a product");
  require(state.startRow == 0, "a product from a later row");
  for (int m = 0; m < sums.rows; ++m)
    for (int n = 0; n < sums.bytes / 4; ++n) {
      float half[2] = {0, 0};
      for (int k = 0; k < b.rows; ++k)
        for (int i = 0; i < 2; ++i)
          half[i] = flush(std::fma(widen(a.data[m] + 4 * k + 2 * i),
                                   widen(b.data[k] + 4 * n + 2 * i), half[i]));
      uint8_t *at = sums.data[m] + 4 * n;
      float sum = flush(flush(readAt<float>(at)) + flush(half[0] + half[1]));
      std::memcpy(at, &sum, sizeof sum);
    }
  products.fetch_add(1, std::memory_order_relaxed);
}

/// Carries out one instruction; false where it is none of the known ones.
bool execute(const Instruction &inst) {
  bool inMemory = !inst.isRegister;
  switch (inst.opcode << 4 | inst.prefix) {
  case 0x490:
    if (inMemory)
      configure(inst.base);
    else
      state = {};
    return inst.reg == 0 && (inMemory || inst.rm == 0);
  case 0x493:
    clear(tileOf(inst.reg));
    return !inMemory && inst.rm == 0;
  case 0x4b3:
    if (inMemory)
      loadTile(tileOf(inst.reg), inst);
    return inMemory;
  case 0x4b2:
    if (inMemory)
      storeTile(tileOf(inst.reg), inst);
    return inMemory;
  case 0x5c2:
    if (!inMemory)
      multiply(tileOf(inst.reg), tileOf(inst.rm), tileOf(inst.vvvv));
    return !inMemory;
  default:
    return false;
  }
}

void handle(int, siginfo_t *, void *data) {
  auto &context = *static_cast<ucontext_t *>(data);
  Instruction inst;
  if (!decode(context, inst) || !execute(inst))
    refuse("an instruction that is not of AMX");
  context.uc_mcontext.gregs[REG_RIP] += inst.length;
}
} // namespace

TileEmulator::TileEmulator() {
  products = 0;
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &previous);
}

TileEmulator::~TileEmulator() { sigaction(SIGILL, &previous, nullptr); }

int64_t TileEmulator::countProducts() { return products; }
bool TileEmulator::isConfigured() { return state.palette != 0; }

#endif
