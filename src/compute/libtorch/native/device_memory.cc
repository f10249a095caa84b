#include "device_memory.h"
#include <torch/version.h>

// One interface to the allocators of all devices, with which no header of CUDA's is needed.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <c10/core/CachingDeviceAllocator.h>
#define PATCHWISE_DEVICE_FIGURES 1
#else
#define PATCHWISE_DEVICE_FIGURES 0
#endif

namespace patchwise {

#if PATCHWISE_DEVICE_FIGURES

namespace {

constexpr auto kAll = (size_t)c10::CachingAllocator::StatType::AGGREGATE;

c10::DeviceAllocator& allocatorOf(at::Device device) { return *c10::getDeviceAllocator(device.type()); }

} // namespace

MemoryFigures figuresOn(at::Device device) {
  if (device.is_cpu()) return memoryFigures();
  auto stats = allocatorOf(device).getDeviceStats(device.index());
  int64_t live = stats.allocated_bytes[kAll].current;
  return {live, stats.allocated_bytes[kAll].peak, stats.reserved_bytes[kAll].current - live};
}

void resetPeakOn(at::Device device) {
  if (device.is_cpu()) resetPeak();
  else allocatorOf(device).resetPeakStats(device.index());
}

void releaseCacheOn(at::Device device) {
  releaseCache();
  if (!device.is_cpu()) allocatorOf(device).emptyCache();
}

#else

MemoryFigures figuresOn(at::Device) { return memoryFigures(); }
void resetPeakOn(at::Device) { resetPeak(); }
void releaseCacheOn(at::Device) { releaseCache(); }

#endif

} // namespace patchwise
