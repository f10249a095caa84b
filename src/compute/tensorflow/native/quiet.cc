// Compiled into tfjs-node's addon. TensorFlow prints what it is built for whenever it starts, whatever
// TF_CPP_MIN_LOG_LEVEL says, because its log is not initialised yet; ranks' logs and --json are no place for that.
#if __has_include("absl/log/globals.h")
#include <cstdlib>
#include "absl/log/globals.h"

namespace absl {
ABSL_NAMESPACE_BEGIN
// Weak: a TensorFlow that does not export it prints, and that is all.
__attribute__((weak)) void SetMinLogLevel(LogSeverityAtLeast severity);
ABSL_NAMESPACE_END
} // namespace absl

namespace {

struct Quiet {
  Quiet() {
    const char* wish = std::getenv("TF_CPP_MIN_LOG_LEVEL");
    if (absl::SetMinLogLevel) absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(wish ? std::atoi(wish) : 2));
  }
} quiet;

} // namespace
#endif
