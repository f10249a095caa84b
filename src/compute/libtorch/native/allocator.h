// Memory for tensors on the CPU, in one arena: freed ranges are kept for the next tensors, because giving pages back to
// the system and faulting them in again costs a tenth of a training step.
#pragma once
#include <cstddef>
#include <cstdint>

namespace patchwise {

struct MemoryFigures {
  int64_t live;   // bytes of tensors
  int64_t peak;   // the most there were
  int64_t cached; // bytes of freed ranges kept for reuse
};

// Once per process; tensors made before keep the allocator they have.
void installAllocator();
MemoryFigures memoryFigures();
void resetPeak();
// Gives every kept range back to the system.
void releaseCache();
// The most bytes of tensors there may be: what the machine has, unless less was set.
int64_t memoryLimit();
void limitMemory(int64_t bytes);

} // namespace patchwise
