// The tensors of one JavaScript environment, by handle.
//
// A handle is a whole number: the slot, and how often the slot was used before. A handle kept after its tensor was freed
// is therefore refused, and never names another tensor.
#pragma once
#include "binding/aten.h"
#include <c10/util/BFloat16.h>
#include <node_api.h>
#include <array>
#include <vector>

namespace patchwise {

using at::Tensor;
using c10::BFloat16;
using Sizes = std::vector<int64_t>;
using Size3 = std::array<int64_t, 3>; // [d, h, w]

// Voxels added on each side of a volume.
struct Border {
  Size3 before{0, 0, 0};
  Size3 after{0, 0, 0};
  bool empty() const { return *this == Border{}; }
  bool operator==(const Border& other) const { return before == other.before && after == other.after; }
  // A shape [n, d, h, w, c] with this border, or without it if sign is -1.
  Sizes around(at::IntArrayRef shape, int64_t sign = 1) const {
    Sizes sizes = shape.vec();
    for (int axis = 0; axis < 3; axis++) sizes[1 + axis] += sign * (before[axis] + after[axis]);
    return sizes;
  }
};

// Whether our own loops compute with a tensor: it is on the CPU, and has values. ATen alone computes with all others.
// PATCHWISE_LIKE_CUDA, for tests, treats the CPU like a GPU.
bool takesOwnLoops(const Tensor& x);
// False treats the CPU like a GPU too. True changes nothing where PATCHWISE_LIKE_CUDA is set.
void allowOwnLoops(bool allow);

// Calls body with a value of the type that a tensor is stored in.
template <typename Body>
auto withType(const Tensor& tensor, Body body) {
  return tensor.scalar_type() == at::kBFloat16 ? body(BFloat16()) : body(0.f);
}

struct Slot {
  // What JavaScript sees. Undefined while `gradient` stands for it.
  Tensor value;
  // The value with its replicated border; `value` is then a view of its inside. Convolutions read it without a copy.
  Tensor bordered;
  // The gradient of a bordered volume. Its border is folded inwards when somebody asks for the value.
  Tensor gradient;
  Border border;
  // A convolution's weights in the order libtorch computes in. Tensors never change, so it is made once.
  Tensor filter;
  // Of a gradient, the sum of each channel, if the gradient of weights computed it on the way.
  Tensor channelSums;
  uint32_t uses = 0;
  bool taken = false;

  Slot() = default;
  Slot(Tensor value) : value(std::move(value)) {}
};

// The value of a slot. A border that is not folded yet is folded now.
Tensor valueOf(Slot& slot);

struct Environment {
  std::vector<Slot> slots;
  std::vector<uint32_t> free;
  int32_t* results = nullptr; // JavaScript's array, 16 numbers for each result: type, rank, sizes; last the handle
  napi_ref resultsArray = nullptr;
  at::Device device{at::kCPU};
  // What activations of convolutions and norms are stored in: floats or bfloat16. JavaScript always sees floats.
  at::ScalarType storage = at::kFloat;

  at::TensorOptions floats() const { return at::TensorOptions().dtype(at::kFloat).device(device); }
  Slot& find(int64_t handle);
  // Takes a slot, and writes its shape and handle as result `at`.
  void add(Slot slot, int at);
  void release(Slot& slot);
  size_t handles() const { return slots.size() - free.size(); }
};

} // namespace patchwise
