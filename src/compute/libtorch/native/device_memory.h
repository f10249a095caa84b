// Memory figures of the device that tensors are on.
#pragma once
#include <c10/core/Device.h>
#include "allocator.h"

namespace patchwise {

// On GPUs they are libtorch's own allocator's, from 2.9 on; before, those of tensors that are on the CPU.
MemoryFigures figuresOn(at::Device device);
void resetPeakOn(at::Device device);
// Gives what is kept for reuse back to the system.
void releaseCacheOn(at::Device device);

} // namespace patchwise
