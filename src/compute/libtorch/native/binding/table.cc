#include "binding/table.h"
#include <atomic>
#include <cstdlib>
#include "convolution/border.h"

namespace patchwise {
namespace {

constexpr int64_t kSlots = 1 << 20; // the slot is the handle's lower 20 bits
constexpr uint32_t kUses = 1 << 11; // the count of uses is the 11 above, so that a handle is a positive int32
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

const bool likeCuda = std::getenv("PATCHWISE_LIKE_CUDA") != nullptr;
std::atomic<bool> ownLoops{!likeCuda};

} // namespace

bool takesOwnLoops(const Tensor& x) { return ownLoops && x.device().is_cpu() && x.numel() > 0; }
void allowOwnLoops(bool allow) { ownLoops = allow && !likeCuda; }

Tensor valueOf(Slot& slot) {
  if (!slot.value.defined()) {
    slot.value = foldBorder(slot.gradient, slot.border);
    slot.gradient = Tensor();
  }
  return slot.value;
}

Slot& Environment::find(int64_t handle) {
  int64_t index = handle % kSlots;
  TORCH_CHECK(handle >= 0 && index < (int64_t)slots.size(), "no such tensor handle: ", handle);
  Slot& slot = slots[index];
  TORCH_CHECK(slot.taken && slot.uses % kUses == handle / kSlots, "tensor handle of a freed tensor: ", handle);
  return slot;
}

void Environment::add(Slot slot, int at) {
  const Tensor& stored = slot.value.defined() ? slot.value : slot.gradient;
  Sizes shape = slot.value.defined() ? stored.sizes().vec() : slot.border.around(stored.sizes(), -1);
  TORCH_CHECK(shape.size() <= 8, "tensors of more than 8 axes are not supported");
  int32_t code = codeOf(stored.scalar_type());
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
  int32_t* record = results + kResult * at;
  record[0] = code;
  record[1] = (int32_t)shape.size();
  std::copy(shape.begin(), shape.end(), record + 2);
  record[kResult - 1] = (int32_t)(index + kSlots * (slots[index].uses % kUses));
}

void Environment::release(Slot& slot) {
  uint32_t uses = slot.uses + 1;
  slot = Slot();
  slot.uses = uses;
  free.push_back((uint32_t)(&slot - slots.data()));
}

} // namespace patchwise
