// c10d for JavaScript: torch's TCPStore, and its process groups Gloo and NCCL (if libtorch has CUDA).
//
// Whatever may wait runs in a thread of its own and settles a promise, so the JavaScript thread goes on: an operation
// can be on its way while gradients are still being computed. Operations of a group start on the JavaScript thread, in
// the order of the calls. All ranks make the calls in the same order.
#include <node_api.h>
#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/version.h>
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
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

// While it lives, this thread's work on a GPU goes to a stream of its own. On the default stream it would wait for the
// backward pass queued there, and the backward pass would wait for the sum.
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

using Answer = std::function<napi_value(napi_env)>; // makes a result on the JavaScript thread; empty: undefined
using Work = std::function<Answer()>;               // may wait, in a thread of its own

// A promise and what settles it.
struct Job {
  napi_deferred deferred = nullptr;
  napi_threadsafe_function back = nullptr;
  napi_ref kept = nullptr;
  Work work;
  Answer answer;
  std::string error;
};

// Jobs that are not settled. Only the JavaScript thread touches it.
std::set<Job*> pending;

struct Arguments {
  napi_env env;
  napi_value values[10];
  size_t count = 10;
  napi_ref kept = nullptr; // an argument that must live until the promise is settled

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

void settle(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<Job> job(static_cast<Job*>(data));
  pending.erase(job.get());
  if (env == nullptr) return; // the environment is being torn down
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value value = nullptr;
  if (job->error.empty()) {
    if (job->answer) value = job->answer(env);
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

// Runs `body`; returns what it says when it fails, or nothing.
template <typename Body>
std::string errorOf(Body body) {
  try {
    body();
  } catch (const c10::Error& problem) {
    return problem.what_without_backtrace();
  } catch (const std::exception& problem) {
    return problem.what();
  } catch (...) {
    return "unknown error";
  }
  return "";
}

// Prepares work on the JavaScript thread, does it in a thread of its own, and returns the promise of its answer.
template <Work (*prepare)(Arguments&)>
napi_value call(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  auto* job = new Job();
  job->error = errorOf([&] { job->work = prepare(given); });
  job->kept = given.kept;
  napi_value promise, name;
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "c10d", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, settle, &job->back);
  pending.insert(job);
  std::thread([job] {
    if (job->error.empty()) job->error = errorOf([&] { job->answer = job->work(); });
    napi_threadsafe_function back = job->back;
    napi_call_threadsafe_function(back, job, napi_tsfn_blocking);
    napi_release_threadsafe_function(back, napi_tsfn_release);
  }).detach();
  return promise;
}

// letProcessEnd(): what still waits for other ranks no longer keeps this process.
napi_value letProcessEnd(napi_env env, napi_callback_info) {
  for (Job* job : pending) napi_unref_threadsafe_function(env, job->back);
  return nullptr;
}

template <class T>
Answer external(std::shared_ptr<T> value) {
  return [value](napi_env env) {
    napi_value result;
    auto destroy = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); };
    napi_create_external(env, new std::shared_ptr<T>(value), destroy, nullptr, &result);
    return result;
  };
}

using Store = c10::intrusive_ptr<c10d::Store>;

// openStore(host, port, serves, prefix, milliseconds)
Work openStore(Arguments& given) {
  c10d::TCPStoreOptions options;
  options.port = (uint16_t)given.integer(1);
  options.isServer = given.flag(2);
  options.waitWorkers = false;
  // Node exports its own libuv, and libtorch's server needs another one.
  options.useLibUV = false;
  options.timeout = Milliseconds(given.integer(4));
  return [options, host = given.text(0), prefix = given.text(3)] {
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    return external(std::make_shared<Store>(c10::make_intrusive<c10d::PrefixStore>(prefix, store)));
  };
}

// add(store, key, n): the sum so far
Work add(Arguments& given) {
  return [store = given.shared<Store>(0), key = given.text(1), n = given.integer(2)]() -> Answer {
    return [sum = (*store)->add(key, n)](napi_env env) {
      napi_value number;
      napi_create_int64(env, sum, &number);
      return number;
    };
  };
}

// set(store, key, text)
Work set(Arguments& given) {
  return [store = given.shared<Store>(0), key = given.text(1), text = given.text(2)]() -> Answer {
    (*store)->set(key, std::vector<uint8_t>(text.begin(), text.end()));
    return nullptr;
  };
}

// get(store, key): the text; undefined if nobody has set it
Work get(Arguments& given) {
  return [store = given.shared<Store>(0), key = given.text(1)]() -> Answer {
    if (!(*store)->check({key})) return nullptr;
    return [bytes = (*store)->get(key)](napi_env env) {
      napi_value text = nullptr;
      napi_create_string_utf8(env, (const char*)bytes.data(), bytes.size(), &text);
      return text;
    };
  };
}

Work closeStore(Arguments& given) {
  return [store = given.shared<Store>(0)]() -> Answer {
    store->reset();
    return nullptr;
  };
}

// gpus(): how many NCCL can use
Work gpus(Arguments&) {
  return []() -> Answer {
#ifdef USE_C10D_NCCL
    // As the backend counts them, which may not be loaded yet.
    setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);
    int64_t count = c10::cuda::device_count();
#else
    int64_t count = 0;
#endif
    return [count](napi_env env) {
      napi_value number;
      napi_create_int64(env, count, &number);
      return number;
    };
  };
}

#ifdef USE_C10D_NCCL
// A rank that dies or is late is an error that the call throws, after the timeout at the latest. By default NCCL's watchdog
// ends the process instead, and a second one ends it if the first takes long to abort. Users' own values stay.
void throwInsteadOfDying() {
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 2
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", 0);
#else
  setenv("NCCL_BLOCKING_WAIT", "1", 0);
#endif
}
#endif

// openGroup(store, rank, size, address, gpu or -1, milliseconds, interface or '')
Work openGroup(Arguments& given) {
  auto group = std::make_shared<Group>();
  int rank = (int)given.integer(1), gpu = (int)given.integer(4);
  group->size = (int)given.integer(2);
  Milliseconds timeout(given.integer(5));
  return [=, store = given.shared<Store>(0), address = given.text(3), interface = given.text(6)] {
    if (gpu >= 0) {
#ifdef USE_C10D_NCCL
      c10::cuda::set_device((c10::DeviceIndex)gpu);
      throwInsteadOfDying();
      auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = timeout;
      group->device = at::Device(at::kCUDA, (c10::DeviceIndex)gpu);
      group->backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(*store, rank, group->size, options);
      return external(group);
#else
      TORCH_CHECK(false, "built without NCCL");
#endif
    }
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->timeout = timeout;
    options->threads = 2;
    options->devices.push_back(interface.empty() ? c10d::ProcessGroupGloo::createDeviceForHostname(address)
                                                 : c10d::ProcessGroupGloo::createDeviceForInterface(interface));
    group->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(*store, rank, group->size, options);
    return external(group);
  };
}

// closeGroup(group): operations under way fail
Work closeGroup(Arguments& given) {
  return [group = given.shared<Group>(0)]() -> Answer {
    auto backend = group->backend;
    group->backend.reset();
#if defined(USE_C10D_NCCL) && (TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 6)
    // A kernel of NCCL that waits for a dead rank holds the GPU and a thread of ours. Only an abort ends it.
    if (group->device.is_cuda()) backend->abort();
#endif
    return nullptr;
  };
}

struct Piece {
  float* data;
  size_t length;
};

Piece pieceOf(const Arguments& given, uint32_t at) {
  napi_value array;
  napi_typedarray_type type;
  Piece piece;
  napi_get_element(given.env, given.values[2], at, &array);
  TORCH_CHECK(napi_get_typedarray_info(given.env, array, &type, &piece.length, (void**)&piece.data, nullptr, nullptr) ==
                      napi_ok && type == napi_float32_array,
              "Float32Arrays expected");
  return piece;
}

// operate(group, kind, Float32Array[], root): 'allReduce' sums in place, 'broadcast' overwrites with those of root,
// 'allGather' takes one array and fills a second one, as long as all of them, in rank order.
Work operate(Arguments& given) {
  auto group = given.shared<Group>(0);
  std::string kind = given.text(1);
  uint32_t count = 0;
  napi_get_array_length(given.env, given.values[2], &count);
  std::vector<Piece> pieces;
  for (uint32_t i = 0; i < count; i++) pieces.push_back(pieceOf(given, i));
  napi_create_reference(given.env, given.values[2], 1, &given.kept);
  bool gathers = kind == "allGather";
  std::vector<Piece> inputs(pieces.begin(), gathers ? pieces.begin() + 1 : pieces.end());
  std::vector<Piece> outputs(gathers ? pieces.begin() + 1 : pieces.begin(), pieces.end());
  size_t total = 0;
  for (const Piece& piece : inputs) total += piece.length;
  c10::InferenceMode guard;
  SideStream stream(group->device);
  at::Tensor flat = at::empty({(int64_t)total}, at::kFloat);
  float* to = flat.data_ptr<float>();
  for (const Piece& piece : inputs) to = std::copy_n(piece.data, piece.length, to);
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
  return [=]() -> Answer {
    c10::InferenceMode guard;
    SideStream stream(group->device);
    work->wait();
    // For NCCL this also waits for the GPU, before the memory can be given to another tensor.
    at::Tensor result = (gathers ? at::cat((*all)[0]) : sent).to(at::kCPU);
    return [=](napi_env) -> napi_value {
      const float* from = result.data_ptr<float>();
      for (const Piece& piece : outputs) {
        std::copy_n(from, piece.length, piece.data);
        from += piece.length;
      }
      return nullptr;
    };
  };
}

// reduce(group, address): sums a tensor of the backend in place, on its device. Gloo works on it while the backward pass
// goes on. NCCL has a stream of its own, which waits for what is queued on the current one, the backward pass's, till now.
Work reduce(Arguments& given) {
  auto group = given.shared<Group>(0);
  auto* there = reinterpret_cast<c10::TensorImpl*>((uintptr_t)given.integer(1));
  at::Tensor sum(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim_copy(there));
  TORCH_CHECK(sum.is_contiguous() && sum.scalar_type() == at::kFloat && sum.device().type() == group->device.type(),
              "a dense tensor of floats on the group's device expected");
  c10::InferenceMode guard;
  std::vector<at::Tensor> tensors{sum};
  auto work = group->backend->allreduce(tensors);
  return [work, sum]() -> Answer {
    c10::InferenceMode guard;
    SideStream stream(sum.device());
    work->wait();
    return nullptr;
  };
}

napi_value initialise(napi_env env, napi_value exports) {
  const std::pair<const char*, napi_callback> functions[] = {
      {"openStore", call<openStore>}, {"gpus", call<gpus>}, {"add", call<add>}, {"set", call<set>}, {"get", call<get>},
      {"closeStore", call<closeStore>}, {"openGroup", call<openGroup>}, {"operate", call<operate>},
      {"reduce", call<reduce>}, {"closeGroup", call<closeGroup>}, {"letProcessEnd", letProcessEnd}};
  for (auto [name, function] : functions) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  }
  return exports;
}

} // namespace

NAPI_MODULE_INIT() { return initialise(env, exports); }
