#include "matrix_unit.h"
#if PATCHWISE_TILES
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace patchwise {

bool hasMatrixUnit() {
#if PATCHWISE_TILES
  static const bool has = [] {
    unsigned a, b, c, features = 0;
    constexpr unsigned kNeeded = 1u << 22 | 1u << 24; // bfloat16, tiles
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &features) || (features & kNeeded) != kNeeded) return false;
    // Linux gives a process the unit's large registers when it asks for them.
    constexpr long kRequest = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  }();
  return has;
#else
  return false;
#endif
}

} // namespace patchwise
