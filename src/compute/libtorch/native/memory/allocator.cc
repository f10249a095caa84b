#include "memory/allocator.h"
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <torch/version.h>
#include <unistd.h>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
// One interface to the allocators of all devices, which needs no header of CUDA's.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <c10/core/CachingDeviceAllocator.h>
#define PATCHWISE_DEVICE_FIGURES 1
#endif

namespace patchwise {
namespace {

// Stands in front of every block. It is as wide as a cache line, so that the tensor behind it is aligned to one.
struct alignas(64) Header {
  size_t block; // bytes of the arena, or 0 for memory from the C library
  size_t asked;
};
static_assert(sizeof(Header) == 64, "tensors start on a cache line");

constexpr size_t kOwn = 64 << 10; // smaller blocks are the C library's
constexpr size_t kStep = 16 << 10;
constexpr size_t kHugePage = 2 << 20;

std::atomic<int64_t> live{0}, peak{0}, cached{0};

int64_t physicalMemory() { return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE); }
std::atomic<int64_t> limit{physicalMemory()};

// Address space for all that the machine could hold. A freed range joins its free neighbours and keeps its pages. So a
// training step needs hardly more memory than the tensors at its peak, and faults pages in once.
class Arena {
 public:
  void* take(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!base_ && !reserve()) return nullptr;
    // The smallest range that is large enough; the lowest of equal ones.
    auto best = free_.end();
    for (auto range = free_.begin(); range != free_.end(); ++range)
      if (range->second >= bytes && (best == free_.end() || range->second < best->second)) best = range;
    if (best != free_.end()) {
      auto [start, size] = *best;
      free_.erase(best);
      if (size > bytes) free_[start + bytes] = size - bytes;
      cached -= (int64_t)bytes;
      return base_ + start;
    }
    // Grow at the end, over a free range there.
    size_t start = freeFrom(), reused = end_ - start;
    if (start + bytes > size_) return nullptr;
    if (reused) free_.erase(start);
    cached -= (int64_t)reused;
    end_ = start + bytes;
    return base_ + start;
  }

  void give(void* memory, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t start = (char*)memory - base_;
    cached += (int64_t)bytes;
    auto after = free_.lower_bound(start);
    if (after != free_.end() && after->first == start + bytes) {
      bytes += after->second;
      after = free_.erase(after);
    }
    if (after != free_.begin() && std::prev(after)->first + std::prev(after)->second == start)
      std::prev(after)->second += bytes;
    else
      free_[start] = bytes;
  }

  // Gives the pages of all free ranges back to the system.
  void release() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto [start, size] : free_) {
      // A range's first and last page may be shared with its neighbours.
      size_t from = (start + kPage - 1) / kPage * kPage, to = (start + size) / kPage * kPage;
      if (to > from) madvise(base_ + from, to - from, MADV_DONTNEED);
    }
    end_ = freeFrom();
    free_.erase(end_);
    cached = 0;
    for (auto [start, size] : free_) cached += (int64_t)size;
  }

 private:
  static constexpr size_t kPage = 4096;

  // Where the free range at the end begins; the end itself if there is none.
  size_t freeFrom() const {
    if (free_.empty()) return end_;
    auto [start, size] = *std::prev(free_.end());
    return start + size == end_ ? start : end_;
  }

  bool reserve() {
    for (size_ = (size_t)physicalMemory(); size_ >= (64 << 20); size_ /= 2) {
      void* space = mmap(nullptr, size_ + kHugePage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (space == MAP_FAILED) continue;
      base_ = (char*)(((uintptr_t)space + kHugePage - 1) / kHugePage * kHugePage);
      madvise(base_, size_, MADV_HUGEPAGE);
      return true;
    }
    return false;
  }

  std::mutex mutex_;
  std::map<size_t, size_t> free_; // start -> bytes
  char* base_ = nullptr;
  size_t size_ = 0;
  size_t end_ = 0; // of all that was ever taken
};

Arena& arena() {
  static Arena* made = new Arena(); // never freed: tensors of any thread may outlive everything else
  return *made;
}

void* take(size_t bytes) {
  if (bytes == 0) return nullptr;
  size_t whole = bytes + sizeof(Header);
  Header* header = nullptr;
  // The system promises more than it has, and kills the process that uses it. So we throw an error that can be caught,
  // before that.
  if ((int64_t)bytes < 0 || live + (int64_t)bytes > memoryLimit()) throw OutOfMemory((int64_t)bytes, memoryLimit());
  if (whole >= kOwn) {
    size_t block = (whole + kStep - 1) / kStep * kStep;
    header = (Header*)arena().take(block);
    if (header) header->block = block;
  } else if (posix_memalign((void**)&header, sizeof(Header), whole) == 0) {
    header->block = 0;
  } else {
    header = nullptr;
  }
  if (!header) throw OutOfMemory((int64_t)bytes, memoryLimit());
  header->asked = bytes;
  int64_t now = (live += (int64_t)bytes);
  for (int64_t before = peak; now > before && !peak.compare_exchange_weak(before, now);) {}
  return header + 1;
}

void give(void* memory) {
  if (!memory) return;
  Header* header = (Header*)memory - 1;
  live -= (int64_t)header->asked;
  if (header->block == 0) std::free(header);
  else arena().give(header, header->block);
}

struct Caching final : at::Allocator {
#if TORCH_VERSION_MAJOR >= 2
  at::DataPtr allocate(size_t bytes) override { return wrap(take(bytes)); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
#else
  at::DataPtr allocate(size_t bytes) const override { return wrap(take(bytes)); }
#endif
  at::DeleterFnPtr raw_deleter() const override { return &give; }
  static at::DataPtr wrap(void* memory) { return {memory, memory, &give, at::Device(at::kCPU)}; }
};

} // namespace

void installAllocator() {
  static Caching* allocator = [] {
    auto* made = new Caching(); // never freed: tensors of any thread may outlive everything else
    c10::SetCPUAllocator(made, 1);
    return made;
  }();
  (void)allocator;
}

#ifdef PATCHWISE_DEVICE_FIGURES
constexpr auto kAll = (size_t)c10::CachingAllocator::StatType::AGGREGATE;
static c10::DeviceAllocator& allocatorOf(at::Device device) { return *c10::getDeviceAllocator(device.type()); }
#endif

MemoryFigures figuresOn(at::Device device) {
#ifdef PATCHWISE_DEVICE_FIGURES
  if (!device.is_cpu()) {
    auto stats = allocatorOf(device).getDeviceStats(device.index());
    int64_t used = stats.allocated_bytes[kAll].current;
    return {used, stats.allocated_bytes[kAll].peak, stats.reserved_bytes[kAll].current - used};
  }
#endif
  return {live, peak, cached};
}

void resetPeakOn(at::Device device) {
#ifdef PATCHWISE_DEVICE_FIGURES
  if (!device.is_cpu()) return allocatorOf(device).resetPeakStats(device.index());
#endif
  peak = live.load();
}

void releaseCacheOn(at::Device device) {
  arena().release();
#ifdef PATCHWISE_DEVICE_FIGURES
  if (!device.is_cpu()) allocatorOf(device).emptyCache();
#endif
}

int64_t memoryLimit() { return limit; }
void limitMemory(int64_t bytes) { limit = bytes; }

} // namespace patchwise
