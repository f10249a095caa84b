#include "table.h"
#include "pad.h"

namespace patchwise {
namespace {

constexpr int64_t kSlots = 1 << 20;  // the slot is the handle's lower 20 bits
constexpr uint32_t kUses = 1 << 11;  // and the count of uses the 11 above, so that a handle is a positive int32
constexpr int kResult = 16;

int32_t codeOf(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
    case at::kBFloat16: return 0;
    case at::kInt: return 1;
    case at::kBool: return 2;
    default: TORCH_CHECK(false, "no JavaScript type for ", type);
  }
}

} // namespace

bool Border::empty() const {
  for (int axis = 0; axis < 3; axis++)
    if (before[axis] || after[axis]) return false;
  return true;
}

Tensor valueOf(Slot& slot) {
  if (!slot.value.defined()) {
    slot.value = foldBorder(slot.gradient, slot.border);
    slot.gradient = Tensor();
  }
  return slot.value;
}

Slot& Call::find(int64_t handle) {
  auto& slots = environment.slots;
  int64_t index = handle % kSlots;
  TORCH_CHECK(handle >= 0 && index < (int64_t)slots.size(), "no such tensor handle: ", handle);
  Slot& slot = slots[index];
  TORCH_CHECK(slot.taken && slot.uses % kUses == handle / kSlots, "tensor handle of a freed tensor: ", handle);
  return slot;
}

Slot& Call::slot(size_t at) { return find(integer(at)); }
Tensor Call::tensor(size_t at) { return valueOf(slot(at)); }
Tensor Call::tensorOr(size_t at) { return integer(at) < 0 ? Tensor() : tensor(at); }

std::vector<Tensor> Call::tensors(size_t at) {
  std::vector<Tensor> found;
  for (int64_t handle : sizes(at)) found.push_back(valueOf(find(handle)));
  return found;
}

double Call::number(size_t at) {
  double value;
  TORCH_CHECK(at < count_ && napi_get_value_double(env, arguments_[at], &value) == napi_ok, "argument ", at,
              ": number expected");
  return value;
}

int64_t Call::integer(size_t at) { return (int64_t)number(at); }

bool Call::flag(size_t at) {
  bool value;
  TORCH_CHECK(at < count_ && napi_get_value_bool(env, arguments_[at], &value) == napi_ok, "argument ", at,
              ": boolean expected");
  return value;
}

Sizes Call::sizes(size_t at) {
  uint32_t length;
  TORCH_CHECK(at < count_ && napi_get_array_length(env, arguments_[at], &length) == napi_ok, "argument ", at,
              ": array expected");
  Sizes values(length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    double value;
    napi_get_element(env, arguments_[at], i, &element);
    TORCH_CHECK(napi_get_value_double(env, element, &value) == napi_ok, "argument ", at, ": numbers expected");
    values[i] = (int64_t)value;
  }
  return values;
}

Size3 Call::size3(size_t at) {
  Sizes values = sizes(at);
  TORCH_CHECK(values.size() == 3, "argument ", at, ": three numbers expected");
  return {values[0], values[1], values[2]};
}

at::ScalarType Call::dtype(size_t at) {
  static const at::ScalarType types[] = {at::kFloat, at::kInt, at::kBool};
  int64_t code = integer(at);
  TORCH_CHECK(code >= 0 && code < 3, "argument ", at, ": a type's code expected");
  return types[code];
}

void Call::result(Tensor tensor) {
  Slot slot;
  slot.value = std::move(tensor);
  result(std::move(slot));
}

void Call::result(Slot slot) {
  auto& slots = environment.slots;
  auto& free = environment.free;
  Sizes shape;
  at::ScalarType type = at::kFloat;
  if (slot.value.defined()) {
    shape = slot.value.sizes().vec();
    type = slot.value.scalar_type();
  } else {
    shape = slot.gradient.sizes().vec();
    for (int axis = 0; axis < 3; axis++) shape[1 + axis] -= slot.border.before[axis] + slot.border.after[axis];
  }
  TORCH_CHECK(shape.size() <= 8, "tensors of more than 8 axes are not supported");
  int32_t code = codeOf(type);
  uint32_t index = slots.size();
  if (free.empty()) {
    TORCH_CHECK(index < kSlots, "more than ", kSlots, " tensors are alive");
    slots.emplace_back();
  } else {
    index = free.back();
    free.pop_back();
  }
  slot.uses = slots[index].uses;
  slot.taken = true;
  slots[index] = std::move(slot);
  int32_t* record = environment.results + kResult * results_++;
  record[0] = code;
  record[1] = (int32_t)shape.size();
  for (size_t i = 0; i < shape.size(); i++) record[2 + i] = (int32_t)shape[i];
  record[15] = (int32_t)(index + kSlots * (slots[index].uses % kUses));
}

void freeSlot(Call& call) {
  Slot& slot = call.slot(0);
  uint32_t index = (uint32_t)(&slot - call.environment.slots.data());
  uint32_t uses = slot.uses + 1;
  slot = Slot();
  slot.uses = uses;
  call.environment.free.push_back(index);
}

} // namespace patchwise
