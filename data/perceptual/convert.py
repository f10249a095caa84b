"""Writes the weights of the perceptual loss as one safetensors file. See README.md beside it."""

import argparse
import json
import struct

import torch

CONVOLUTIONS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]


def save(tensors, path):
    """Safetensors, float32: the header's length, the header as JSON, the arrays."""
    header, blobs, at = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[at, at + len(blob)])
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    parser.add_argument("--vgg", help="vgg16-397923af.pth; without it torchvision downloads it")
    parser.add_argument("--heads", help="vgg.pth of LPIPS v0.1; without it the lpips package supplies them")
    options = parser.parse_args()
    if options.vgg:
        vgg = torch.load(options.vgg, map_location="cpu", weights_only=True)
    else:
        import torchvision
        vgg = torchvision.models.vgg16(weights="IMAGENET1K_V1").state_dict()
    if options.heads:
        heads = torch.load(options.heads, map_location="cpu", weights_only=True)
    else:
        import lpips
        heads = lpips.LPIPS(net="vgg", version="0.1").state_dict()
    tensors = {f"features.{i}.{part}": vgg[f"features.{i}.{part}"] for i in CONVOLUTIONS for part in ("weight", "bias")}
    tensors.update({f"lin{i}.model.1.weight": heads[f"lin{i}.model.1.weight"] for i in range(5)})
    save(tensors, options.output)
    print(f"{options.output}: {len(tensors)} arrays")


if __name__ == "__main__":
    main()
