// c10d for JavaScript: torch's TCPStore, and its process groups Gloo, where Gloo's headers are, and NCCL, where libtorch
// has CUDA.
//
// Everything that may wait runs in a thread of its own and settles a promise, so the JavaScript thread goes on: an
// operation can be on its way while gradients are still being computed. Operations of a group are started on the
// JavaScript thread, in the order of the calls, which all ranks make in the same order.
#include <node_api.h>
#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/version.h>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using Milliseconds = std::chrono::milliseconds;

struct Group {
  c10::intrusive_ptr<c10d::Backend> backend;
  at::Device device{at::kCPU};
  int size = 1;
};

// While it lives, this thread's work on a GPU goes to a stream of its own. On the default stream it would wait for
// what the backward pass has queued there, and the backward pass for the sum.
class SideStream {
 public:
#ifdef USE_C10D_NCCL
  explicit SideStream(at::Device device) {
    if (device.is_cuda()) guard_.emplace(c10::cuda::getStreamFromPool(false, device.index()));
  }

 private:
  std::optional<c10::cuda::CUDAStreamGuard> guard_;
#else
  explicit SideStream(at::Device) {}
#endif
};

// A promise, what settles it, and the thread in between.
struct Job {
  napi_deferred deferred = nullptr;
  napi_threadsafe_function back = nullptr;
  std::function<void()> work;                       // in the thread
  std::function<napi_value(napi_env)> result;       // on the JavaScript thread
  std::string error;
  napi_ref kept = nullptr;                          // arguments that must live until then
};

void settle(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<Job> job(static_cast<Job*>(data));
  if (env == nullptr) return; // the environment is being torn down
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value value = nullptr;
  if (job->error.empty()) {
    if (job->result) value = job->result(env);
    if (value == nullptr) napi_get_undefined(env, &value);
    napi_resolve_deferred(env, job->deferred, value);
  } else {
    napi_value message;
    napi_create_string_utf8(env, job->error.c_str(), job->error.size(), &message);
    napi_create_error(env, nullptr, message, &value);
    napi_reject_deferred(env, job->deferred, value);
  }
  if (job->kept) napi_delete_reference(env, job->kept);
  napi_close_handle_scope(env, scope);
}

std::string messageOf(const std::exception& problem) {
  if (auto* error = dynamic_cast<const c10::Error*>(&problem)) return error->what_without_backtrace();
  return problem.what();
}

napi_value start(napi_env env, std::unique_ptr<Job> job) {
  napi_value promise, name;
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "c10d", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, settle, &job->back);
  std::thread([raw = job.release()] {
    try {
      if (raw->error.empty()) raw->work();
    } catch (const std::exception& problem) {
      raw->error = messageOf(problem);
    } catch (...) {
      raw->error = "unknown error";
    }
    napi_threadsafe_function back = raw->back;
    napi_call_threadsafe_function(back, raw, napi_tsfn_blocking);
    napi_release_threadsafe_function(back, napi_tsfn_release);
  }).detach();
  return promise;
}

struct Arguments {
  napi_env env;
  napi_value values[10];
  size_t count = 10;

  Arguments(napi_env env, napi_callback_info info) : env(env) {
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  int64_t integer(size_t at) const {
    double value = 0;
    napi_get_value_double(env, values[at], &value);
    return (int64_t)value;
  }
  bool flag(size_t at) const {
    bool value = false;
    napi_get_value_bool(env, values[at], &value);
    return value;
  }
  std::string text(size_t at) const {
    size_t length = 0;
    napi_get_value_string_utf8(env, values[at], nullptr, 0, &length);
    std::string text(length, '\0');
    napi_get_value_string_utf8(env, values[at], text.data(), length + 1, &length);
    return text;
  }
  template <class T>
  std::shared_ptr<T> shared(size_t at) const {
    void* data = nullptr;
    napi_get_value_external(env, values[at], &data);
    return data ? *static_cast<std::shared_ptr<T>*>(data) : nullptr;
  }
};

template <class T>
napi_value external(napi_env env, std::shared_ptr<T> value) {
  napi_value result;
  auto* held = new std::shared_ptr<T>(std::move(value));
  napi_create_external(
      env, held, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); }, nullptr, &result);
  return result;
}

struct StoreHandle {
  c10::intrusive_ptr<c10d::Store> store;
};

// openStore(host, port, serves, prefix, milliseconds)
napi_value openStore(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  auto handle = std::make_shared<StoreHandle>();
  c10d::TCPStoreOptions options;
  options.port = (uint16_t)given.integer(1);
  options.isServer = given.flag(2);
  options.waitWorkers = false;
  // Node exports its own libuv, which is another one than that of libtorch's server.
  options.useLibUV = false;
  options.timeout = Milliseconds(given.integer(4));
  job->work = [handle, options, host = given.text(0), prefix = given.text(3)] {
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    handle->store = c10::make_intrusive<c10d::PrefixStore>(prefix, store);
  };
  job->result = [handle](napi_env env) { return external(env, handle); };
  return start(env, std::move(job));
}

// add(store, key, n): the sum so far
napi_value add(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  auto sum = std::make_shared<int64_t>(0);
  job->work = [handle = given.shared<StoreHandle>(0), sum, key = given.text(1), n = given.integer(2)] {
    *sum = handle->store->add(key, n);
  };
  job->result = [sum](napi_env env) {
    napi_value number;
    napi_create_int64(env, *sum, &number);
    return number;
  };
  return start(env, std::move(job));
}

// set(store, key, text)
napi_value set(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  job->work = [handle = given.shared<StoreHandle>(0), key = given.text(1), text = given.text(2)] {
    handle->store->set(key, std::vector<uint8_t>(text.begin(), text.end()));
  };
  return start(env, std::move(job));
}

// get(store, key): the text, or undefined where nobody has set it
napi_value get(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  auto found = std::make_shared<std::pair<bool, std::string>>(false, "");
  job->work = [handle = given.shared<StoreHandle>(0), key = given.text(1), found] {
    if (!handle->store->check({key})) return;
    auto bytes = handle->store->get(key);
    *found = {true, std::string(bytes.begin(), bytes.end())};
  };
  job->result = [found](napi_env env) -> napi_value {
    napi_value text = nullptr;
    if (found->first) napi_create_string_utf8(env, found->second.c_str(), found->second.size(), &text);
    return text;
  };
  return start(env, std::move(job));
}

// openGroup(store, rank, size, address, gpu or -1, milliseconds, interface or '')
napi_value openGroup(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  auto group = std::make_shared<Group>();
  int rank = (int)given.integer(1), gpu = (int)given.integer(4);
  group->size = (int)given.integer(2);
  Milliseconds timeout(given.integer(5));
  job->work = [=, handle = given.shared<StoreHandle>(0), address = given.text(3), interface = given.text(6)] {
    if (gpu >= 0) {
#ifdef USE_C10D_NCCL
      c10::cuda::set_device((c10::DeviceIndex)gpu);
      auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = timeout;
      group->device = at::Device(at::kCUDA, (c10::DeviceIndex)gpu);
      group->backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(handle->store, rank, group->size, options);
      return;
#else
      TORCH_CHECK(false, "built without NCCL");
#endif
    }
#ifdef USE_C10D_GLOO
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->timeout = timeout;
    options->threads = 2;
    options->devices.push_back(interface.empty() ? c10d::ProcessGroupGloo::createDeviceForHostname(address)
                                                 : c10d::ProcessGroupGloo::createDeviceForInterface(interface));
    group->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(handle->store, rank, group->size, options);
#else
    TORCH_CHECK(false, "built without Gloo, which ranks on the CPU need");
#endif
  };
  job->result = [group](napi_env env) { return external(env, group); };
  return start(env, std::move(job));
}

struct Piece {
  float* data;
  size_t length;
};

bool pieceOf(napi_env env, napi_value array, Piece& piece) {
  napi_typedarray_type type;
  void* data;
  if (napi_get_typedarray_info(env, array, &type, &piece.length, &data, nullptr, nullptr) != napi_ok) return false;
  piece.data = static_cast<float*>(data);
  return type == napi_float32_array;
}

// operate(group, kind, Float32Array[], root): 'allReduce' sums in place, 'broadcast' overwrites with those of root,
// 'allGather' takes one array and fills a second one, as long as all of them, in rank order.
napi_value operate(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  auto group = given.shared<Group>(0);
  std::string kind = given.text(1);
  uint32_t count = 0;
  napi_get_array_length(env, given.values[2], &count);
  auto pieces = std::make_shared<std::vector<Piece>>(count);
  size_t total = 0;
  for (uint32_t i = 0; i < count; i++) {
    napi_value array;
    napi_get_element(env, given.values[2], i, &array);
    if (!pieceOf(env, array, (*pieces)[i])) job->error = "Float32Arrays expected";
  }
  bool gathers = kind == "allGather";
  std::vector<Piece> inputs(pieces->begin(), gathers ? pieces->begin() + 1 : pieces->end());
  for (const Piece& piece : inputs) total += piece.length;
  napi_create_reference(env, given.values[2], 1, &job->kept);
  if (!job->error.empty()) return start(env, std::move(job));
  try {
    c10::InferenceMode guard;
    SideStream stream(group->device);
    at::Tensor flat = at::empty({(int64_t)total}, at::kFloat);
    float* to = flat.data_ptr<float>();
    for (const Piece& piece : inputs) {
      std::memcpy(to, piece.data, piece.length * sizeof(float));
      to += piece.length;
    }
    at::Tensor sent = flat.to(group->device);
    auto all = std::make_shared<std::vector<std::vector<at::Tensor>>>(1);
    c10::intrusive_ptr<c10d::Work> work;
    std::vector<at::Tensor> tensors{sent};
    if (kind == "allReduce") {
      work = group->backend->allreduce(tensors);
    } else if (kind == "broadcast") {
      c10d::BroadcastOptions options;
      options.rootRank = given.integer(3);
      work = group->backend->broadcast(tensors, options);
    } else {
      for (int rank = 0; rank < group->size; rank++) (*all)[0].push_back(at::empty_like(sent));
      work = group->backend->allgather(*all, tensors);
    }
    auto result = std::make_shared<at::Tensor>();
    job->work = [=] {
      c10::InferenceMode guard;
      SideStream stream(group->device);
      work->wait();
      // For NCCL this also waits for the GPU, and is done before the memory can be given to another.
      *result = (gathers ? at::cat((*all)[0]) : sent).to(at::kCPU);
    };
    job->result = [=](napi_env) -> napi_value {
      const float* from = result->data_ptr<float>();
      for (size_t i = gathers ? 1 : 0; i < pieces->size(); i++) {
        const Piece& piece = (*pieces)[i];
        std::memcpy(piece.data, from, piece.length * sizeof(float));
        from += piece.length;
      }
      return nullptr;
    };
  } catch (const std::exception& problem) {
    job->error = messageOf(problem);
  }
  return start(env, std::move(job));
}

// closeGroup(group): operations under way fail
napi_value closeGroup(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  job->work = [group = given.shared<Group>(0)] {
    auto backend = group->backend;
    group->backend.reset();
#if defined(USE_C10D_NCCL) && (TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 6)
    // A kernel of NCCL that waits for a dead rank holds the GPU and a thread of ours: it ends when it is aborted alone.
    if (group->device.is_cuda()) backend->abort();
#endif
  };
  return start(env, std::move(job));
}

napi_value closeStore(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto job = std::make_unique<Job>();
  job->work = [handle = given.shared<StoreHandle>(0)] { handle->store.reset(); };
  return start(env, std::move(job));
}

napi_value initialise(napi_env env, napi_value exports) {
  const std::pair<const char*, napi_callback> functions[] = {
      {"openStore", openStore}, {"add", add},         {"set", set},
      {"get", get},             {"openGroup", openGroup}, {"operate", operate},
      {"closeGroup", closeGroup}, {"closeStore", closeStore}};
  for (auto [name, call] : functions) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function);
    napi_set_named_property(env, exports, name, function);
  }
  napi_value gloo;
#ifdef USE_C10D_GLOO
  napi_get_boolean(env, true, &gloo);
#else
  napi_get_boolean(env, false, &gloo);
#endif
  napi_set_named_property(env, exports, "gloo", gloo);
  napi_value nccl;
#ifdef USE_C10D_NCCL
  napi_get_boolean(env, true, &nccl);
#else
  napi_get_boolean(env, false, &nccl);
#endif
  napi_set_named_property(env, exports, "nccl", nccl);
  return exports;
}

} // namespace

NAPI_MODULE_INIT() { return initialise(env, exports); }
