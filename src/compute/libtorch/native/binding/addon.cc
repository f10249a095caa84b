// The addon: its functions in JavaScript, and how errors reach it. Only Node-API is used, so one build serves every Node.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>
#include "binding/call.h"
#include "memory/allocator.h"
#include "memory/cuda.h"

namespace patchwise {
namespace {

void set(napi_env env, napi_value object, const char* name, double value) {
  napi_value number;
  napi_create_double(env, value, &number);
  napi_set_named_property(env, object, name, number);
}

// `why` is what libtorch says, if it was libtorch that found out.
void throwOutOfMemory(napi_env env, const OutOfMemory& problem, const std::string& why = "out of memory") {
  napi_value code, message, error;
  napi_create_string_utf8(env, "ERR_OUT_OF_MEMORY", NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, why.c_str(), NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &error);
  set(env, error, "bytes", (double)problem.bytes);
  set(env, error, "limit", (double)problem.limit);
  napi_throw(env, error);
}

napi_value invoke(napi_env env, napi_callback_info info) {
  constexpr size_t kMost = 16;
  size_t count = kMost;
  napi_value arguments[kMost];
  void* data;
  Environment* environment;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, &data) != napi_ok) return nullptr;
  napi_get_instance_data(env, (void**)&environment);
  auto* called = static_cast<const Export*>(data);
  Call call(env, *environment, std::min(count, kMost), arguments);
  auto fail = [&](const std::string& why) {
    napi_throw_error(env, "ERR_LIBTORCH", (called->name + ": " + why).c_str());
  };
  try {
    c10::InferenceMode guard; // tfjs has the tape; libtorch's own autograd stays off
    called->run(call);
    return call.answer;
  } catch (const OutOfMemory& problem) {
    throwOutOfMemory(env, problem);
  } catch (const c10::Error& problem) {
    // A GPU's allocator has an error class for it. The CPU's default one, cuDNN and cuBLAS only have words.
    std::string why = problem.what_without_backtrace();
    if (dynamic_cast<const c10::OutOfMemoryError*>(&problem) || saysOutOfMemory(why))
      throwOutOfMemory(env, OutOfMemory(0, environment->device.is_cpu() ? memoryLimit() : 0), why);
    else
      fail(why);
  } catch (const std::bad_alloc&) {
    throwOutOfMemory(env, OutOfMemory(0, memoryLimit()));
  } catch (const std::exception& problem) {
    fail(problem.what());
  } catch (...) {
    fail("unknown error");
  }
  return nullptr;
}

napi_value initialise(napi_env env, napi_value exports) {
  installAllocator();
  auto destroy = [](napi_env, void* data, void*) { delete (Environment*)data; };
  napi_set_instance_data(env, new Environment(), destroy, nullptr);
  napi_value function, text;
  napi_create_string_utf8(env, TORCH_VERSION, NAPI_AUTO_LENGTH, &text);
  napi_set_named_property(env, exports, "version", text);
  for (const Exports* group : Exports::all()) {
    napi_value holder = exports;
    const char* name = group->group.c_str();
    bool there = true;
    if (*name) napi_has_named_property(env, exports, name, &there);
    if (!there) {
      napi_create_object(env, &holder);
      napi_set_named_property(env, exports, name, holder);
    }
    if (*name) napi_get_named_property(env, exports, name, &holder);
    for (const Export& entry : group->functions) {
      napi_create_function(env, entry.name.c_str(), NAPI_AUTO_LENGTH, invoke, (void*)&entry, &function);
      napi_set_named_property(env, holder, entry.name.c_str(), function);
    }
  }
  return exports;
}

napi_value memory(Call& call) {
  napi_value object;
  napi_create_object(call.env, &object);
  MemoryFigures figures = figuresOn(call.environment.device);
  set(call.env, object, "live", (double)figures.live);
  set(call.env, object, "peak", (double)figures.peak);
  set(call.env, object, "cached", (double)figures.cached);
  set(call.env, object, "handles", (double)call.environment.handles());
  return object;
}

// The array that the shapes and handles of results are written to.
void attach(Call& call) {
  napi_value array = call.next();
  napi_typedarray_type type;
  size_t length;
  void* data;
  napi_status status = napi_get_typedarray_info(call.env, array, &type, &length, &data, nullptr, nullptr);
  call.expect(status == napi_ok && type == napi_int32_array && length >= 64, "an Int32Array of 64");
  Environment& environment = call.environment;
  if (environment.resultsArray) napi_delete_reference(call.env, environment.resultsArray);
  napi_create_reference(call.env, array, 1, &environment.resultsArray);
  environment.results = (int32_t*)data;
}

void useCuda(Environment& environment, int64_t device) {
  TORCH_CHECK(environment.handles() == 0, "tensors are alive on another device");
  environment.device = startCuda(device);
}

const Exports control{"", {
  {"attach", attach},
  {"threads", [](int64_t count) {
    if (count > 0) at::set_num_threads((int)count);
    return (double)at::get_num_threads();
  }},
  {"memory", memory},
  {"resetPeak", [](Environment& environment) { resetPeakOn(environment.device); }},
  {"releaseCache", [](Environment& environment) { releaseCacheOn(environment.device); }},
  {"limitMemory", limitMemory},
  {"ownLoops", allowOwnLoops},
  {"halfStorage", [](Environment& environment, bool on) { environment.storage = on ? at::kBFloat16 : at::kFloat; }},
  {"tf32", allowTf32},
  {"gpus", [] { return (double)cudaDevices(); }},
  {"cudaProblem", cudaProblem},
  {"cudnn", [] { return (double)cudnnVersion(); }},
  {"useCuda", useCuda},
}};

} // namespace
} // namespace patchwise

NAPI_MODULE_INIT() { return patchwise::initialise(env, exports); }
