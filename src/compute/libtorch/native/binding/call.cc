#include "binding/call.h"

namespace patchwise {
namespace {

template <typename T>
std::vector<T> numbers(Call& call) {
  napi_value array = call.next();
  uint32_t length;
  call.expect(napi_get_array_length(call.env, array, &length) == napi_ok, "array");
  std::vector<T> values(length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    double value;
    napi_get_element(call.env, array, i, &element);
    call.expect(napi_get_value_double(call.env, element, &value) == napi_ok, "array of numbers");
    values[i] = (T)value;
  }
  return values;
}

} // namespace

template <> double read(Call& call) {
  double value;
  napi_value number = call.next();
  call.expect(napi_get_value_double(call.env, number, &value) == napi_ok, "number");
  return value;
}

template <> int64_t read(Call& call) { return (int64_t)read<double>(call); }

template <> bool read(Call& call) {
  bool value;
  napi_value flag = call.next();
  call.expect(napi_get_value_bool(call.env, flag, &value) == napi_ok, "boolean");
  return value;
}

template <> std::vector<double> read(Call& call) { return numbers<double>(call); }
template <> Sizes read(Call& call) { return numbers<int64_t>(call); }

template <> Size3 read(Call& call) {
  Sizes values = read<Sizes>(call);
  call.expect(values.size() == 3, "three numbers");
  return {values[0], values[1], values[2]};
}

template <> Border read(Call& call) { return {read<Size3>(call), read<Size3>(call)}; }

template <> at::ScalarType read(Call& call) {
  constexpr at::ScalarType types[] = {at::kFloat, at::kInt, at::kBool};
  int64_t code = read<int64_t>(call);
  call.expect(code >= 0 && code < 3, "code of a type");
  return types[code];
}

template <> Slot& read(Call& call) { return call.environment.find(read<int64_t>(call)); }

template <> Tensor read(Call& call) { return valueOf(read<Slot&>(call)); }

template <> std::optional<Tensor> read(Call& call) {
  int64_t handle = read<int64_t>(call);
  if (handle == -1) return std::nullopt;
  return valueOf(call.environment.find(handle));
}

template <> std::vector<Tensor> read(Call& call) {
  std::vector<Tensor> found;
  for (int64_t handle : read<Sizes>(call)) found.push_back(valueOf(call.environment.find(handle)));
  return found;
}

template <> Array read(Call& call) {
  napi_typedarray_type type;
  Array array;
  napi_value value = call.next();
  call.expect(napi_get_typedarray_info(call.env, value, &type, &array.length, &array.data, nullptr, nullptr) == napi_ok,
              "typed array");
  switch (type) {
    case napi_float32_array: array.type = at::kFloat; break;
    case napi_float64_array: array.type = at::kDouble; break;
    case napi_int32_array: array.type = at::kInt; break;
    case napi_uint8_array:
    case napi_uint8_clamped_array: array.type = at::kByte; break;
    default: call.expect(false, "array of float32, float64, int32 or uint8");
  }
  return array;
}

} // namespace patchwise
