"""The VQ-GAN's training step in PyTorch eager; the peer of `bench step`.

Arguments: one JSON value {state, config, device, precision, channelsLast, bf16, compile, checkpointing, threads}. Its first line is
{version}, or {unable} with the reason. A line with n on stdin runs n steps, one with an array of codes for each step as
many; the answer is one JSON line {ms, losses, codes, peak, ties}, or {unable} where memory is out. `state` is a stem:
.json names the arrays of .bin, in Patchwise's layout.
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
from torch.utils.checkpoint import checkpoint
from vqgan import Generator, ResBlock

ARGUMENTS = json.loads(sys.argv[1])
CONFIG = ARGUMENTS["config"]
DEVICE = ARGUMENTS["device"]
# Two codes tie where a latent's distances to them differ by less than this part of the latents' length.
TIE = 1e-4


class VqGan(Generator):
    def __init__(self):
        super().__init__(CONFIG)
        self.codebook = nn.Module()
        self.codebook.register_buffer("embeddings", torch.zeros(CONFIG["codes"], CONFIG["codeDim"]))
        self.codebook.register_buffer("N", torch.zeros(CONFIG["codes"]))
        self.codebook.register_buffer("z_avg", torch.zeros(CONFIG["codes"], CONFIG["codeDim"]))
        self.suggested, self.ties = None, 0

    def forward(self, x):
        z = self.encode(x).float()
        last = z.permute(0, 2, 3, 4, 1)
        rows = last.reshape(-1, CONFIG["codeDim"])
        e = self.codebook.embeddings
        with torch.no_grad():
            codes = torch.addmm((e * e).sum(1) * -0.5, rows, e.t()).argmax(1)
            if self.suggested is not None:
                codes = self.break_ties(rows, codes, self.suggested)
            q = e[codes].reshape(last.shape).permute(0, 4, 1, 2, 3)
        y = self.decode(z, q)
        commitment = F.mse_loss(z, q)
        self.update(rows.detach(), codes)
        self.codes = codes
        return CONFIG["reconstruction"] * F.l1_loss(y.float(), x) + CONFIG["commitment"] * commitment

    def break_ties(self, rows, codes, suggested):
        """The suggested code for each latent that is as near to it as to its own but for rounding."""
        e = self.codebook.embeddings
        further = (rows - e[suggested]).norm(dim=1) - (rows - e[codes]).norm(dim=1)
        tied = (codes != suggested) & (further < TIE * rows.square().sum(1).mean().sqrt())
        self.ties = int(tied.sum())
        return torch.where(tied, suggested, codes)

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


class CheckpointedBlock(ResBlock):
    def forward(self, x):
        return checkpoint(super().forward, x, use_reentrant=False)


def peak():
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    torch.set_num_threads(ARGUMENTS["threads"])
    if DEVICE == "cuda" and not torch.cuda.is_available():
        print(json.dumps(dict(unable="no CUDA")), flush=True)
        return
    # Without it PyTorch's convolutions would round to TF32 whatever was asked for.
    torch.backends.cudnn.allow_tf32 = ARGUMENTS["precision"] == "tf32"
    values = np.fromfile(ARGUMENTS["state"] + ".bin", "<f4")
    arrays = {}
    for entry in json.load(open(ARGUMENTS["state"] + ".json")):
        size = math.prod(entry["shape"])
        arrays[entry["name"]] = torch.from_numpy(values[entry["offset"]:entry["offset"] + size].copy()).reshape(entry["shape"])
    x = arrays.pop("x").permute(0, 4, 1, 2, 3).contiguous()
    arrays.pop("codebook.initialised")
    model = VqGan()
    model.load_state_dict({name: torch_order(name, a).contiguous() for name, a in arrays.items()})
    if ARGUMENTS["checkpointing"] == "blocks":
        for module in model.modules():
            if type(module) is ResBlock:
                module.__class__ = CheckpointedBlock
    model, x = model.to(DEVICE), x.to(DEVICE)
    if ARGUMENTS["channelsLast"]:
        model = model.to(memory_format=torch.channels_last_3d)
        x = x.to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.Adam(model.parameters(), lr=ARGUMENTS["learningRate"], betas=(0.5, 0.9), fused=True)
    train = model
    if ARGUMENTS["compile"]:
        train = torch.compile(model)
        try:
            with torch.autocast(DEVICE, torch.bfloat16, enabled=ARGUMENTS["bf16"]):
                loss = train(x)
            loss.backward()  # it compiles at its first call
        except Exception as error:
            print(json.dumps(dict(unable=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")), flush=True)
            return
        optimiser.zero_grad(set_to_none=True)
        model.load_state_dict({name: torch_order(name, a).contiguous() for name, a in arrays.items()})
    start = peak()
    print(json.dumps(dict(version=f"PyTorch {torch.__version__}")), flush=True)
    for line in sys.stdin:
        ms, losses, codes, ties = [], [], [], []
        asked = json.loads(line)
        for suggested in [None] * asked if isinstance(asked, int) else asked:
            model.suggested = suggested and torch.tensor(suggested, device=DEVICE)
            begun = time.perf_counter()
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(DEVICE, torch.bfloat16, enabled=ARGUMENTS["bf16"]):
                loss = train(x)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), ARGUMENTS["clip"])
            optimiser.step()
            losses.append(loss.item())
            ms.append((time.perf_counter() - begun) * 1000)
            codes.append(model.codes.tolist())
            ties.append(model.ties)
        print(json.dumps(dict(ms=ms, losses=losses, codes=codes, ties=ties, peak=peak() - start)), flush=True)
        if DEVICE == "cuda":
            torch.cuda.empty_cache()  # all sides share the GPU: what this one keeps the next one needs


try:
    main()
except torch.cuda.OutOfMemoryError:
    print(json.dumps(dict(unable="out of memory")), flush=True)
