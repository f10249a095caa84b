#include "allocator.h"
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
#include "table.h"

namespace patchwise {
namespace {

// Stands in front of every block, as wide as a cache line so that what follows is aligned to one.
struct alignas(64) Header {
  size_t block; // bytes mapped, or 0 for memory from the C library
  size_t asked;
};
static_assert(sizeof(Header) == 64, "tensors start on a cache line");

constexpr size_t kMapped = 256 << 10;  // smaller ones are the C library's business
constexpr size_t kHugePage = 2 << 20;

std::mutex mutex;
std::multimap<size_t, Header*> kept; // by size
std::atomic<int64_t> live{0}, peak{0}, cached{0};

// Sizes in steps of a sixteenth to an eighth, so that a block fits many tensors and wastes little.
size_t blockSize(size_t bytes) {
  size_t step = 64 << 10;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

Header* takeKept(size_t block) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = kept.lower_bound(block);
  if (found == kept.end() || found->first > block + block / 4) return nullptr;
  Header* header = found->second;
  cached -= (int64_t)found->first;
  kept.erase(found);
  return header;
}

Header* map(size_t block) {
  void* pages = mmap(nullptr, block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  if (block >= kHugePage) madvise(pages, block, MADV_HUGEPAGE);
  auto* header = (Header*)pages;
  header->block = block;
  return header;
}

void* take(size_t bytes) {
  if (bytes == 0) return nullptr;
  size_t whole = bytes + sizeof(Header);
  Header* header = nullptr;
  // The system promises more than it has and kills who uses it; an error that can be caught comes before.
  if ((int64_t)bytes < 0 || live + (int64_t)bytes > memoryLimit()) throw OutOfMemory((int64_t)bytes, memoryLimit());
  if (whole >= kMapped) {
    size_t block = blockSize(whole);
    header = takeKept(block);
    if (!header && live + cached + (int64_t)block > memoryLimit()) releaseCache();
    if (!header) header = map(block);
    if (!header) {
      releaseCache();
      header = map(block);
    }
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
  if (header->block == 0) {
    std::free(header);
    return;
  }
  std::lock_guard<std::mutex> lock(mutex);
  cached += (int64_t)header->block;
  kept.emplace(header->block, header);
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

MemoryFigures memoryFigures() { return {live, peak, cached}; }
void resetPeak() { peak = live.load(); }

void releaseCache() {
  std::lock_guard<std::mutex> lock(mutex);
  for (auto& [block, header] : kept) munmap(header, block);
  kept.clear();
  cached = 0;
}

int64_t memoryLimit() {
  static const int64_t limit = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return limit;
}

} // namespace patchwise
