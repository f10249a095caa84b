// Loads a library and tells what it printed meanwhile. TensorFlow says what it is built for while it is being loaded,
// whatever TF_CPP_MIN_LOG_LEVEL says, because its log is not initialised yet; ranks' logs are no place for that.
#include <dlfcn.h>
#include <node_api.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cstdlib>
#include <string>

// tell(name, value): sets an environment variable where C reads it. Node's process.env of a worker is a copy.
static napi_value tell(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  char text[2][256];
  for (size_t i = 0; i < 2; i++) {
    size_t length = 0;
    if (count < 2 || napi_get_value_string_utf8(env, arguments[i], text[i], sizeof text[i], &length) != napi_ok) {
      napi_throw_type_error(env, nullptr, "tell takes a name and a value");
      return nullptr;
    }
  }
  setenv(text[0], text[1], 1);
  return nullptr;
}

// load(path): what was written to stderr. Throws what dlopen says.
static napi_value load(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  char path[4096];
  size_t length = 0;
  if (count < 1 || napi_get_value_string_utf8(env, argument, path, sizeof path, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "load takes the path of a library");
    return nullptr;
  }
  const int caught = memfd_create("stderr", 0);
  const int real = dup(STDERR_FILENO);
  if (caught >= 0 && real >= 0) dup2(caught, STDERR_FILENO);
  void* library = dlopen(path, RTLD_NOW);
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
  napi_value function;
  napi_create_function(env, "load", NAPI_AUTO_LENGTH, load, nullptr, &function);
  napi_set_named_property(env, exports, "load", function);
  napi_create_function(env, "tell", NAPI_AUTO_LENGTH, tell, nullptr, &function);
  napi_set_named_property(env, exports, "tell", function);
  return exports;
}
