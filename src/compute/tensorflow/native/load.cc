// Loads a library, and returns what it printed meanwhile. While TensorFlow is loaded, it prints what it is built for: its
// log does not know TF_CPP_MIN_LOG_LEVEL yet. That does not belong into the logs of ranks.
#include <dlfcn.h>
#include <node_api.h>
#include <sys/mman.h>
#include <unistd.h>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>

// The arguments of a call, which are texts; none, and a TypeError in JavaScript, if one is no text.
template <size_t kCount>
static std::optional<std::array<std::string, kCount>> textsOf(napi_env env, napi_callback_info info) {
  size_t count = kCount;
  napi_value arguments[kCount];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  std::array<std::string, kCount> texts;
  for (size_t i = 0; i < kCount; i++) {
    char text[4096];
    size_t length = 0;
    if (napi_get_value_string_utf8(env, arguments[i], text, sizeof text, &length) != napi_ok) {
      napi_throw_type_error(env, nullptr, ("argument " + std::to_string(i) + ": text expected").c_str());
      return std::nullopt;
    }
    texts[i] = text;
  }
  return texts;
}

// tell(name, value): sets an environment variable where C reads it. Node's process.env of a worker is a copy.
static napi_value tell(napi_env env, napi_callback_info info) {
  const auto texts = textsOf<2>(env, info);
  if (!texts) return nullptr;
  const auto& [name, value] = *texts;
  setenv(name.c_str(), value.c_str(), 1);
  return nullptr;
}

// load(path): what was written to stderr. Throws what dlopen says.
static napi_value load(napi_env env, napi_callback_info info) {
  const auto texts = textsOf<1>(env, info);
  if (!texts) return nullptr;
  const auto& [path] = *texts;
  const int caught = memfd_create("stderr", 0);
  const int real = dup(STDERR_FILENO);
  if (caught >= 0 && real >= 0) dup2(caught, STDERR_FILENO);
  void* library = dlopen(path.c_str(), RTLD_NOW);
  if (real >= 0) dup2(real, STDERR_FILENO);
  std::string said;
  if (caught >= 0) {
    said.resize(lseek(caught, 0, SEEK_END));
    const ssize_t got = pread(caught, said.data(), said.size(), 0);
    said.resize(got < 0 ? 0 : got);
    close(caught);
  }
  if (real >= 0) close(real);
  if (!library) {
    napi_throw_error(env, nullptr, dlerror());
    return nullptr;
  }
  napi_value text;
  napi_create_string_utf8(env, said.data(), said.size(), &text);
  return text;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"load", nullptr, load, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"tell", nullptr, tell, nullptr, nullptr, nullptr, napi_enumerable, nullptr}};
  napi_define_properties(env, exports, 2, functions);
  return exports;
}
