// Between JavaScript's arrays and tensors.
#include "table.h"

namespace patchwise {
namespace {

struct Array {
  void* data;
  size_t length;
  at::ScalarType type;
};

Array arrayOf(Call& call, size_t at) {
  napi_typedarray_type type;
  Array array;
  TORCH_CHECK(napi_get_typedarray_info(call.env, call.raw(at), &type, &array.length, &array.data, nullptr, nullptr) ==
                  napi_ok,
              "argument ", at, ": typed array expected");
  switch (type) {
    case napi_float32_array: array.type = at::kFloat; break;
    case napi_float64_array: array.type = at::kDouble; break;
    case napi_int32_array: array.type = at::kInt; break;
    case napi_uint8_array:
    case napi_uint8_clamped_array: array.type = at::kByte; break;
    default: TORCH_CHECK(false, "argument ", at, ": an array of float32, float64, int32 or uint8 expected");
  }
  return array;
}

// (values, shape, type): copies.
void fromArray(Call& call) {
  Array array = arrayOf(call, 0);
  Sizes shape = call.sizes(1);
  int64_t size = 1;
  for (int64_t length : shape) size *= length;
  TORCH_CHECK(size == (int64_t)array.length, size, " values expected, received ", array.length);
  if (size == 0) {
    call.result(at::empty(shape, call.floats().dtype(call.dtype(2))));
    return;
  }
  Tensor view = at::from_blob(array.data, shape, at::TensorOptions().dtype(array.type));
  Tensor copy = at::empty(shape, call.floats().dtype(call.dtype(2)));
  // From pinned memory a GPU copies while the host goes on; libtorch keeps that memory until the copy has arrived.
  if (copy.device().is_cpu()) copy.copy_(view);
  else copy.copy_(view.pin_memory(), true);
  call.result(copy);
}

// (tensor, out): row-major into an array of the same size and type.
void toArray(Call& call) {
  Tensor tensor = call.tensor(0);
  Array array = arrayOf(call, 1);
  TORCH_CHECK((int64_t)array.length == tensor.numel(), tensor.numel(), " places expected, received ", array.length);
  if (tensor.numel() == 0) return;
  auto stored = tensor.scalar_type();
  auto type = stored == at::kBool ? at::kByte : stored == at::kBFloat16 ? at::kFloat : stored;
  TORCH_CHECK(type == array.type, "an array of ", type, " expected");
  at::from_blob(array.data, tensor.sizes(), at::TensorOptions().dtype(type)).copy_(tensor);
}

} // namespace

void addTransfer(Exports& exports) {
  exports.push_back({"", "fromArray", fromArray});
  exports.push_back({"", "toArray", toArray});
  exports.push_back({"", "free", freeSlot});
}

} // namespace patchwise
