// Between JavaScript's arrays and tensors.
#include "binding/call.h"

namespace patchwise {
namespace {

Tensor fromArray(Environment& environment, Array array, Sizes shape, at::ScalarType type) {
  Tensor copy = at::empty(shape, environment.floats().dtype(type));
  TORCH_CHECK(copy.numel() == (int64_t)array.length, copy.numel(), " values expected, received ", array.length);
  if (copy.numel() == 0) return copy;
  Tensor view = at::from_blob(array.data, shape, at::TensorOptions().dtype(array.type));
  // From pinned memory a GPU copies while the host goes on; libtorch keeps that memory until the copy has arrived.
  return copy.device().is_cpu() ? copy.copy_(view) : copy.copy_(view.pin_memory(), true);
}

// Row-major, into an array of the same size and type.
void toArray(Tensor tensor, Array array) {
  TORCH_CHECK((int64_t)array.length == tensor.numel(), tensor.numel(), " places expected, received ", array.length);
  if (tensor.numel() == 0) return;
  auto stored = tensor.scalar_type();
  auto type = stored == at::kBool ? at::kByte : stored == at::kBFloat16 ? at::kFloat : stored;
  TORCH_CHECK(type == array.type, "an array of ", type, " expected");
  at::from_blob(array.data, tensor.sizes(), at::TensorOptions().dtype(type)).copy_(tensor);
}

const Exports transfer{"", {
  {"toArray", toArray},
  {"address", [](Tensor tensor) { return (double)(uintptr_t)tensor.unsafeGetTensorImpl(); }},
  {"free", [](Environment& environment, Slot& slot) { environment.release(slot); }},
}};
const Exports arrays{"kernels", {{"fromArray", fromArray}}};

} // namespace
} // namespace patchwise
