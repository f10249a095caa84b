// The tensors of one JavaScript environment, by handle; and the arguments and results of one call from it.
//
// A handle is a whole number: the slot, and how often the slot has been used before, so that a handle kept after its
// tensor was freed is refused and never names another tensor.
#pragma once
#include "aten.h"
#include <c10/core/InferenceMode.h>
#include <node_api.h>
#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace patchwise {

using at::Tensor;
using Sizes = std::vector<int64_t>;
using Size3 = std::array<int64_t, 3>; // [d, h, w]

// Voxels added on each side of a volume.
struct Border {
  Size3 before{0, 0, 0};
  Size3 after{0, 0, 0};
  bool empty() const;
  bool operator==(const Border& other) const { return before == other.before && after == other.after; }
};

// PATCHWISE_LIKE_CUDA, for tests: tensors on the CPU take the way that tensors on a GPU take, with none of our own loops.
inline bool likeCuda() {
  static const bool on = std::getenv("PATCHWISE_LIKE_CUDA") != nullptr;
  return on;
}

// Whether our own loops and oneDNN may read a tensor.
inline bool onCpu(const Tensor& x) { return x.device().is_cpu() && !likeCuda(); }

struct Slot {
  // What JavaScript sees. Undefined while `gradient` stands for it.
  Tensor value;
  // The value with its replicated border; `value` is then a view of its inside. Convolutions read it without a copy.
  Tensor bordered;
  // The gradient of a bordered volume. Its border is folded inwards when somebody asks for the value itself.
  Tensor gradient;
  Border border;
  // A convolution's weights in the order libtorch computes in; tensors never change, so it is made once.
  Tensor filter;
  // Of a gradient, the sum of each channel, where the gradient of weights has come by it.
  Tensor channelSums;
  uint32_t uses = 0;
  bool taken = false;
};

struct Environment {
  std::vector<Slot> slots;
  std::vector<uint32_t> free;
  int32_t* results = nullptr; // JavaScript's array: 16 numbers a result
  napi_ref resultsArray = nullptr;
  at::Device device{at::kCPU};
  // Whether hand-written CPU loops are used; without them everything is ATen's, as on other devices.
  bool ownLoops = !likeCuda();
  // What activations of convolutions and norms are stored in: floats or bfloat16. JavaScript sees floats either way.
  at::ScalarType storage = at::kFloat;
};

// The caller's mistake or the machine's limit, as it reaches JavaScript.
struct OutOfMemory : std::exception {
  int64_t bytes;
  int64_t limit;
  OutOfMemory(int64_t bytes, int64_t limit) : bytes(bytes), limit(limit) {}
  const char* what() const noexcept override { return "out of memory"; }
};

// One call: its arguments by position, its results in order.
class Call {
 public:
  Call(napi_env env, Environment& environment, size_t count, napi_value* arguments)
      : env(env), environment(environment), count_(count), arguments_(arguments) {}

  Tensor tensor(size_t at);                 // argument: a handle
  Tensor tensorOr(size_t at);               // undefined for a handle below 0
  std::vector<Tensor> tensors(size_t at);   // argument: an array of handles
  Slot& slot(size_t at);
  double number(size_t at);
  int64_t integer(size_t at);
  bool flag(size_t at);
  Sizes sizes(size_t at);
  Size3 size3(size_t at);
  at::ScalarType dtype(size_t at);
  napi_value raw(size_t at) const { return arguments_[at]; }
  at::TensorOptions floats() const { return at::TensorOptions().dtype(at::kFloat).device(environment.device); }

  void result(Tensor tensor);
  void result(Slot slot);
  void answer(napi_value value) { answer_ = value; }
  napi_value answered() const { return answer_; }

  napi_env env;
  Environment& environment;

 private:
  Slot& find(int64_t handle);

  size_t count_;
  napi_value* arguments_;
  napi_value answer_ = nullptr;
  int results_ = 0;
};

// The value of a slot, folded now if it was not yet.
Tensor valueOf(Slot& slot);
void freeSlot(Call& call);

// What JavaScript can call: `group.name`, or `name` where the group is empty.
using Function = std::function<void(Call&)>;
struct Export {
  std::string group;
  std::string name;
  Function run;
};
using Exports = std::vector<Export>;

void addTransfer(Exports& exports);
void addPointwise(Exports& exports);
void addShapes(Exports& exports);
void addReductions(Exports& exports);
void addConvolutions(Exports& exports);
void addNorms(Exports& exports);
void addPads(Exports& exports);
void addCodes(Exports& exports);
void addOptimiser(Exports& exports);
void addControl(Exports& exports);

} // namespace patchwise
