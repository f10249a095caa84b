// The addon: what JavaScript can call, and how errors reach it. Node-API alone, so one build serves every Node.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <deque>
#include "allocator.h"
#include "cuda.h"
#include "device_memory.h"
#include "table.h"

namespace patchwise {
namespace {

const std::deque<Export>& allExports() {
  static const std::deque<Export> all = [] {
    Exports exports;
    for (auto add : {addTransfer, addPointwise, addShapes, addReductions, addConvolutions, addNorms, addPads, addCodes,
                     addOptimiser, addControl})
      add(exports);
    return std::deque<Export>(exports.begin(), exports.end());
  }();
  return all;
}

// `why` is what libtorch says, where it is libtorch that found out.
void throwOutOfMemory(napi_env env, const OutOfMemory& problem, const std::string& why = "out of memory") {
  napi_value code, message, error, number;
  napi_create_string_utf8(env, "ERR_OUT_OF_MEMORY", NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, why.c_str(), NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &error);
  napi_create_double(env, (double)problem.bytes, &number);
  napi_set_named_property(env, error, "bytes", number);
  napi_create_double(env, (double)problem.limit, &number);
  napi_set_named_property(env, error, "limit", number);
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
    c10::InferenceMode guard; // no autograd of libtorch's own: the tape is tfjs's
    called->run(call);
    return call.answered();
  } catch (const OutOfMemory& problem) {
    throwOutOfMemory(env, problem);
  } catch (const c10::Error& problem) {
    // A GPU's allocator has a class of its own for it; the CPU's default one, cuDNN and cuBLAS only words.
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

// attach(results: Int32Array): where the shapes and handles of results are written.
napi_value attach(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value array;
  Environment* environment;
  napi_typedarray_type type;
  size_t length;
  void* data;
  napi_get_cb_info(env, info, &count, &array, nullptr, nullptr);
  napi_get_instance_data(env, (void**)&environment);
  if (count < 1 || napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_int32_array || length < 64) {
    napi_throw_error(env, "ERR_LIBTORCH", "attach: an Int32Array of 64 expected");
    return nullptr;
  }
  if (environment->resultsArray) napi_delete_reference(env, environment->resultsArray);
  napi_create_reference(env, array, 1, &environment->resultsArray);
  environment->results = (int32_t*)data;
  return nullptr;
}

napi_value initialise(napi_env env, napi_value exports) {
  installAllocator();
  napi_set_instance_data(
      env, new Environment(), [](napi_env, void* data, void*) { delete (Environment*)data; }, nullptr);
  napi_value function, text;
  napi_create_function(env, "attach", NAPI_AUTO_LENGTH, attach, nullptr, &function);
  napi_set_named_property(env, exports, "attach", function);
  napi_create_string_utf8(env, TORCH_VERSION, NAPI_AUTO_LENGTH, &text);
  napi_set_named_property(env, exports, "version", text);
  for (const Export& entry : allExports()) {
    napi_value holder = exports;
    if (!entry.group.empty()) {
      bool there = false;
      napi_has_named_property(env, exports, entry.group.c_str(), &there);
      if (!there) {
        napi_create_object(env, &holder);
        napi_set_named_property(env, exports, entry.group.c_str(), holder);
      }
      napi_get_named_property(env, exports, entry.group.c_str(), &holder);
    }
    napi_create_function(env, entry.name.c_str(), NAPI_AUTO_LENGTH, invoke, (void*)&entry, &function);
    napi_set_named_property(env, holder, entry.name.c_str(), function);
  }
  return exports;
}

} // namespace

void addControl(Exports& exports) {
  auto put = [](Call& call, napi_value object, const char* name, double value) {
    napi_value number;
    napi_create_double(call.env, value, &number);
    napi_set_named_property(call.env, object, name, number);
  };
  exports.push_back({"", "threads", [](Call& call) {
    if (call.integer(0) > 0) at::set_num_threads((int)call.integer(0));
    napi_value number;
    napi_create_int32(call.env, at::get_num_threads(), &number);
    call.answer(number);
  }});
  exports.push_back({"", "memory", [put](Call& call) {
    napi_value object;
    napi_create_object(call.env, &object);
    MemoryFigures figures = figuresOn(call.environment.device);
    put(call, object, "live", (double)figures.live);
    put(call, object, "peak", (double)figures.peak);
    put(call, object, "cached", (double)figures.cached);
    put(call, object, "handles", (double)(call.environment.slots.size() - call.environment.free.size()));
    call.answer(object);
  }});
  exports.push_back({"", "resetPeak", [](Call& call) { resetPeakOn(call.environment.device); }});
  exports.push_back({"", "releaseCache", [](Call& call) { releaseCacheOn(call.environment.device); }});
  exports.push_back({"", "limitMemory", [](Call& call) { limitMemory(call.integer(0)); }});
  exports.push_back({"", "ownLoops", [](Call& call) { call.environment.ownLoops = call.flag(0) && !likeCuda(); }});
  exports.push_back({"", "halfStorage", [](Call& call) {
    call.environment.storage = call.flag(0) ? at::kBFloat16 : at::kFloat;
  }});
  exports.push_back({"", "gpus", [](Call& call) {
    napi_value number;
    napi_create_uint32(call.env, (uint32_t)cudaDevices(), &number);
    call.answer(number);
  }});
  exports.push_back({"", "cudaProblem", [](Call& call) {
    napi_value text;
    napi_create_string_utf8(call.env, cudaProblem().c_str(), NAPI_AUTO_LENGTH, &text);
    call.answer(text);
  }});
  exports.push_back({"", "cudnn", [](Call& call) {
    napi_value number;
    napi_create_double(call.env, (double)cudnnVersion(), &number);
    call.answer(number);
  }});
  exports.push_back({"", "useCuda", [](Call& call) {
    TORCH_CHECK(call.environment.slots.size() == call.environment.free.size(), "tensors are alive on another device");
    call.environment.device = startCuda(call.integer(0));
    call.environment.ownLoops = false;
  }});
}

} // namespace patchwise

NAPI_MODULE_INIT() { return patchwise::initialise(env, exports); }
