"""The VQ-GAN's generator in PyTorch, as a PyTorch user would write it from the specification.

The peer of `bench step`, and the reference that fixtures of test/ are made with. `config` is a ModelConfig of
src/model/config.ts as a dict; tensors are [n, c, d, h, w].
"""

import math
from collections import OrderedDict

import torch.nn.functional as F
from torch import nn


def same_pad(kernel, stride):
    """Total kernel - stride, the larger half in front; F.pad wants the last axis first."""
    return [p for s in stride[::-1] for p in (math.ceil((kernel - s) / 2), (kernel - s) // 2)]


class SameConv(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=(1, 1, 1)):
        super().__init__()
        self.pad = same_pad(kernel, stride)
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride)

    def forward(self, x):
        return self.conv(F.pad(x, self.pad, mode="replicate") if any(self.pad) else x)


class SameConvTranspose(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.pad = same_pad(kernel, stride)
        self.convt = nn.ConvTranspose3d(inputs, outputs, kernel, stride, padding=kernel - 1)

    def forward(self, x):
        return self.convt(F.pad(x, self.pad, mode="replicate"))


def norm(config, channels):
    return nn.GroupNorm(min(config["groups"], channels), channels, eps=1e-6)


class ResBlock(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        self.norm1, self.conv1 = norm(config, channels), SameConv(channels, channels, 3)
        self.norm2, self.conv2 = norm(config, channels), SameConv(channels, channels, 3)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


def strides(config):
    """Per step of the encoder, and likewise of the decoder: stride 2 on the axes [d, h, w] with halvings left."""
    left = [int(math.log2(f)) for f in config["downsample"][::-1]]
    return [tuple(2 if n > i else 1 for n in left) for i in range(max(left))]


def level(config, move, layer, channels, blocks):
    """One resolution step: the convolution that changes it, named `move`, then residual blocks."""
    return nn.Sequential(OrderedDict({move: layer, **{name: ResBlock(config, channels) for name in blocks}}))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        channels, count = config["hidden"], config["encoderBlocks"]
        names = ["res"] if count == 1 else [f"res{i + 1}" for i in range(count)]
        self.conv_first = SameConv(1, channels, 3)
        self.conv_blocks = nn.ModuleList()
        for stride in strides(config):
            down = SameConv(channels, 2 * channels, 4, stride)
            channels *= 2
            self.conv_blocks.append(level(config, "down", down, channels, names))
        self.final_block = nn.Sequential(norm(config, channels), nn.SiLU())
        self.out = channels

    def forward(self, x):
        h = self.conv_first(x)
        for block in self.conv_blocks:
            h = block(h)
        return self.final_block(h)


class Decoder(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        names = [f"res{i + 1}" for i in range(config["decoderBlocks"])]
        self.final_block = nn.Sequential(norm(config, channels), nn.SiLU())
        self.conv_blocks = nn.ModuleList()
        inputs, outputs = channels, channels
        for stride in strides(config):
            up = SameConvTranspose(inputs, outputs, 4, stride)
            self.conv_blocks.append(level(config, "up", up, outputs, names))
            inputs, outputs = outputs, outputs // 2
        self.conv_last = SameConv(inputs, 1, 3)

    def forward(self, q):
        h = self.final_block(q)
        for block in self.conv_blocks:
            h = block(h)
        return self.conv_last(h)


class Generator(nn.Module):
    """All but the codebook."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.pre_vq_conv = SameConv(self.encoder.out, config["codeDim"], 1)
        self.post_vq_conv = SameConv(config["codeDim"], self.encoder.out, 1)
        self.decoder = Decoder(config, self.encoder.out)

    def encode(self, x):
        return self.pre_vq_conv(self.encoder(x))

    def decode(self, z, q):
        """The quantised latents q go on with the gradient of z."""
        return self.decoder(self.post_vq_conv(z + (q - z).detach()))
