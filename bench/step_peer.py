"""The VQ-GAN's training step in PyTorch eager, written as a PyTorch user would; the peer of `bench step`.

Arguments: one JSON value {state, config, channelsLast, bf16, compile, threads}. Its first line is {version}, or {unable}
with the reason. A line with n on stdin runs n steps and answers with one JSON line {ms, losses, codes, peak}. `state` is a stem: .json names the arrays of .bin, in Patchwise's layout.
"""

import json
import math
import resource
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ARGUMENTS = json.loads(sys.argv[1])
CONFIG = ARGUMENTS["config"]


class SameConv(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=(1, 1, 1)):
        super().__init__()
        self.pad = [p for s in stride[::-1] for p in (math.ceil((kernel - s) / 2), (kernel - s) // 2)]
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride)

    def forward(self, x):
        return self.conv(F.pad(x, self.pad, mode="replicate") if any(self.pad) else x)


class SameConvTranspose(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.pad = [p for s in stride[::-1] for p in (math.ceil((kernel - s) / 2), (kernel - s) // 2)]
        self.convt = nn.ConvTranspose3d(inputs, outputs, kernel, stride, padding=kernel - 1)

    def forward(self, x):
        return self.convt(F.pad(x, self.pad, mode="replicate"))


def norm(channels):
    return nn.GroupNorm(min(CONFIG["groups"], channels), channels, eps=1e-6)


class ResBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm1, self.conv1 = norm(channels), SameConv(channels, channels, 3)
        self.norm2, self.conv2 = norm(channels), SameConv(channels, channels, 3)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


def strides():
    left = [int(math.log2(f)) for f in CONFIG["downsample"][::-1]]
    return [tuple(2 if n > i else 1 for n in left) for i in range(max(left))]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        channels = CONFIG["hidden"]
        self.conv_first = SameConv(1, channels, 3)
        self.conv_blocks = nn.ModuleList()
        for stride in strides():
            block = nn.Module()
            block.down = SameConv(channels, 2 * channels, 4, stride)
            channels *= 2
            block.names = ["res"] if CONFIG["encoderBlocks"] == 1 else [f"res{i + 1}" for i in range(CONFIG["encoderBlocks"])]
            for name in block.names:
                setattr(block, name, ResBlock(channels))
            self.conv_blocks.append(block)
        self.final_block = nn.Sequential(norm(channels), nn.SiLU())
        self.out = channels

    def forward(self, x):
        h = self.conv_first(x)
        for block in self.conv_blocks:
            h = block.down(h)
            for name in block.names:
                h = getattr(block, name)(h)
        return self.final_block(h)


class Decoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.final_block = nn.Sequential(norm(channels), nn.SiLU())
        self.conv_blocks = nn.ModuleList()
        inputs, outputs = channels, channels
        for stride in strides()[::-1]:
            block = nn.Module()
            block.up = SameConvTranspose(inputs, outputs, 4, stride)
            block.names = [f"res{i + 1}" for i in range(CONFIG["decoderBlocks"])]
            for name in block.names:
                setattr(block, name, ResBlock(outputs))
            self.conv_blocks.append(block)
            inputs, outputs = outputs, outputs // 2
        self.conv_last = SameConv(inputs, 1, 3)

    def forward(self, q):
        h = self.final_block(q)
        for block in self.conv_blocks:
            h = block.up(h)
            for name in block.names:
                h = getattr(block, name)(h)
        return self.conv_last(h)


class VqGan(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.pre_vq_conv = SameConv(self.encoder.out, CONFIG["codeDim"], 1)
        self.post_vq_conv = SameConv(CONFIG["codeDim"], self.encoder.out, 1)
        self.decoder = Decoder(self.encoder.out)
        self.codebook = nn.Module()
        self.codebook.register_buffer("embeddings", torch.zeros(CONFIG["codes"], CONFIG["codeDim"]))
        self.codebook.register_buffer("N", torch.zeros(CONFIG["codes"]))
        self.codebook.register_buffer("z_avg", torch.zeros(CONFIG["codes"], CONFIG["codeDim"]))

    def forward(self, x):
        z = self.pre_vq_conv(self.encoder(x)).float()
        last = z.permute(0, 2, 3, 4, 1)
        rows = last.reshape(-1, CONFIG["codeDim"])
        e = self.codebook.embeddings
        with torch.no_grad():
            codes = torch.addmm((e * e).sum(1) * -0.5, rows, e.t()).argmax(1)
            q = e[codes].reshape(last.shape).permute(0, 4, 1, 2, 3)
        y = self.decoder(self.post_vq_conv(z + (q - z).detach()))
        commitment = F.mse_loss(z, q)
        self.update(rows.detach(), codes)
        self.codes = codes
        return CONFIG["reconstruction"] * F.l1_loss(y.float(), x) + CONFIG["commitment"] * commitment

    @torch.no_grad()
    def update(self, rows, codes):
        book, k, decay = self.codebook, CONFIG["codes"], CONFIG["decay"]
        book.N.mul_(decay).add_(torch.bincount(codes, minlength=k).float(), alpha=1 - decay)
        book.z_avg.mul_(decay).add_(torch.zeros_like(book.z_avg).index_add_(0, codes, rows), alpha=1 - decay)
        n = book.N.sum()
        book.embeddings = book.z_avg / ((book.N + 1e-7) / (n + k * 1e-7) * n)[:, None]


def torch_order(name, a):
    if a.dim() != 5:
        return a
    return a.permute(3, 4, 0, 1, 2) if name.endswith("convt.weight") else a.permute(4, 3, 0, 1, 2)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    torch.set_num_threads(ARGUMENTS["threads"])
    values = np.fromfile(ARGUMENTS["state"] + ".bin", "<f4")
    arrays = {}
    for entry in json.load(open(ARGUMENTS["state"] + ".json")):
        size = math.prod(entry["shape"])
        arrays[entry["name"]] = torch.from_numpy(values[entry["offset"]:entry["offset"] + size].copy()).reshape(entry["shape"])
    x = arrays.pop("x").permute(0, 4, 1, 2, 3).contiguous()
    arrays.pop("codebook.initialised")
    model = VqGan()
    model.load_state_dict({name: torch_order(name, a).contiguous() for name, a in arrays.items()})
    if ARGUMENTS["channelsLast"]:
        model = model.to(memory_format=torch.channels_last_3d)
        x = x.to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.Adam(model.parameters(), lr=ARGUMENTS["learningRate"], betas=(0.5, 0.9), fused=True)
    train = model
    if ARGUMENTS["compile"]:
        train = torch.compile(model)
        try:
            train(x).backward()  # it compiles at its first call
        except Exception as error:
            print(json.dumps(dict(unable=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")), flush=True)
            return
        optimiser.zero_grad(set_to_none=True)
        model.load_state_dict({name: torch_order(name, a).contiguous() for name, a in arrays.items()})
    start = peak()
    print(json.dumps(dict(version=f"PyTorch {torch.__version__}")), flush=True)
    for line in sys.stdin:
        ms, losses, codes = [], [], []
        for _ in range(int(line)):
            begun = time.perf_counter()
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=ARGUMENTS["bf16"]):
                loss = train(x)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), ARGUMENTS["clip"])
            optimiser.step()
            losses.append(loss.item())
            ms.append((time.perf_counter() - begun) * 1000)
            codes.append(model.codes.tolist())
        print(json.dumps(dict(ms=ms, losses=losses, codes=codes, peak=peak() - start)), flush=True)


main()
