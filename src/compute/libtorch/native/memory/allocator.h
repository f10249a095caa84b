// Memory for tensors. On the CPU they are in one arena that keeps freed ranges for the next tensors: giving pages back to
// the system and faulting them in again costs a tenth of a training step. On GPUs libtorch's own allocator has them.
#pragma once
#include <c10/core/Device.h>
#include <cstdint>
#include <exception>

namespace patchwise {

// Memory ran out: the caller asked for too much, or the machine has too little.
struct OutOfMemory : std::exception {
  int64_t bytes;
  int64_t limit;
  OutOfMemory(int64_t bytes, int64_t limit) : bytes(bytes), limit(limit) {}
  const char* what() const noexcept override { return "out of memory"; }
};

struct MemoryFigures {
  int64_t live;   // bytes of tensors
  int64_t peak;   // the most there were
  int64_t cached; // bytes of freed ranges kept for reuse
};

// Once per process. Tensors made before keep the allocator they have.
void installAllocator();

// Figures of a GPU's allocator need libtorch 2.9 or newer; before, they are those of tensors on the CPU.
MemoryFigures figuresOn(at::Device device);
void resetPeakOn(at::Device device);
// Gives what is kept for reuse back to the system.
void releaseCacheOn(at::Device device);

// The most bytes of tensors on the CPU; at first all that the machine has.
int64_t memoryLimit();
void limitMemory(int64_t bytes);

} // namespace patchwise
