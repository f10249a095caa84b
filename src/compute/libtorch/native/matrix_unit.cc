#include "matrix_unit.h"
#if PATCHWISE_TILES
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace patchwise {

bool hasMatrixUnit() {
#if PATCHWISE_TILES
  // Linux gives a process the unit's large registers when it asks for them.
  constexpr long kRequest = 0x1023, kTileData = 18;
  static const bool has = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("amx-tile") &&
                          syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return has;
#else
  return false;
#endif
}

} // namespace patchwise
