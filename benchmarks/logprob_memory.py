"""Memory and time of log-probability and entropy: naive against chunked, forward and backward.

Each variant runs in a process of its own, so that its peak resident memory is its own; the growth
beyond the inputs is what counts. A run prints a table with ratios, and fails if the chunked variant
ever makes a tensor of tokens x vocabulary.

    python -m benchmarks.logprob_memory --markdown benchmarks/results/logprob_memory.md
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from algorithms.logprob import token_logprob_entropy
from benchmarks.largest_tensor import LargestTensor

MIB = 1024 * 1024
TIMEOUT_SECONDS = 600
"""Longest wait for one variant; at the default size each takes well under a minute."""


@dataclass(frozen=True)
class Size:
    """What is measured: T tokens, V vocabulary entries, H hidden units."""

    tokens: int
    vocab: int
    width: int
    chunk: int
    temperature: float
    threads: int


@dataclass(frozen=True)
class Result:
    """Figures of one variant."""

    peak_mib: float
    """Growth of resident memory over the inputs, at its highest."""
    seconds: float
    """CPU time, for wall time depends on what else the machine does."""
    largest_elements: int
    """Elements of the largest tensor any operation made."""
    logprob_sum: float
    entropy_sum: float
    grad_norm: float


def naive(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All logits at once, as a model's own head and ``log_softmax`` have it."""
    logits = hidden @ weight.t()
    with torch.no_grad():
        plain = torch.log_softmax(logits, dim=-1)
        untempered = -(plain.exp() * plain).sum(dim=-1)
        del plain
    logp = torch.log_softmax(logits / temperature, dim=-1)
    with torch.no_grad():
        entropy = -(logp.exp() * logp).sum(dim=-1)
    return logp.gather(1, targets[:, None])[:, 0], entropy, untempered


def reset_peak() -> None:
    """Let the kernel's high-water mark of this process start over at its present memory."""
    Path("/proc/self/clear_refs").write_text("5")


def resident_mib(field: str) -> float:
    """``VmRSS``: resident memory now. ``VmHWM``: its highest since :func:`reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"/proc/self/status has no {field}; this benchmark needs Linux")


def measure(variant: str, size: Size) -> Result:
    """Run one variant in this process: memory and time first, the largest tensor afterwards."""
    torch.set_num_threads(size.threads)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(size.tokens, size.width, generator=generator).requires_grad_()
    weight = (torch.randn(size.vocab, size.width, generator=generator) / 16).requires_grad_()
    targets = torch.randint(0, size.vocab, (size.tokens,), generator=generator)

    def run(tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        part, chosen = hidden[:tokens], targets[:tokens]
        if variant == "naive":
            logprob, entropy, _ = naive(part, weight, chosen, size.temperature)
        else:
            logprob, entropy, _ = token_logprob_entropy(
                part, weight, chosen, size.temperature, size.chunk
            )
        logprob.sum().backward()
        return logprob.detach(), entropy

    run(16)  # Starts the thread pool and the kernels, so that neither is measured.
    hidden.grad = weight.grad = None
    reset_peak()
    before = resident_mib("VmRSS")
    start = time.process_time()
    logprob, entropy = run(size.tokens)
    seconds = time.process_time() - start
    peak = resident_mib("VmHWM") - before
    assert weight.grad is not None
    grad_norm = weight.grad.norm().item()
    with LargestTensor() as seen:
        run(size.tokens)
    return Result(
        peak_mib=peak,
        seconds=seconds,
        largest_elements=seen.elements,
        logprob_sum=logprob.double().sum().item(),
        entropy_sum=entropy.double().sum().item(),
        grad_norm=grad_norm,
    )


def measure_apart(variant: str, size: Size) -> Result:
    """Run :func:`measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.logprob_memory", "--child", variant]
    command += ["--size", json.dumps(asdict(size))]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"variant {variant!r} ended with {done.returncode}:\n{done.stderr}")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def machine() -> str:
    """Name the machine, for a figure means nothing without it."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown CPU",
    )
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    load = os.getloadavg()[0]
    return f"{cpu}, {os.cpu_count()} cores, {versions}; load average {load:.1f}"


def table(size: Size, results: dict[str, Result]) -> str:
    """The figures as Markdown; ratios are against the naive variant."""
    base = results["naive"]
    full = size.tokens * size.vocab
    lines = [
        f"T = {size.tokens} tokens, V = {size.vocab}, H = {size.width}, float32, "
        f"temperature {size.temperature}, {size.threads} thread(s), forward and backward. "
        f"One [T, V] float32 tensor is {full * 4 / MIB:.0f} MiB.",
        "",
        f"Machine: {machine()}",
        "",
        "| variant | peak memory beyond the inputs, MiB | ratio | CPU seconds | ratio | "
        "largest tensor, elements | share of T x V |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {r.peak_mib:.0f} | {r.peak_mib / base.peak_mib:.3f} | {r.seconds:.2f} | "
        f"{r.seconds / base.seconds:.2f} | {r.largest_elements} | {r.largest_elements / full:.4f} |"
        for name, r in results.items()
    ]
    return "\n".join(lines)


def check(size: Size, results: dict[str, Result]) -> None:
    """Hold the memory claim, and that all variants computed the same.

    Raises:
        SystemExit: either does not hold; the message says which.
    """
    base = results["naive"]
    bound = max(size.vocab * size.width, size.tokens * size.width)
    for name, result in results.items():
        if name != "naive":
            chunk = int(name.split()[-1])
            if result.largest_elements > max(chunk * size.vocab, bound):
                raise SystemExit(f"{name}: made a tensor of {result.largest_elements} elements")
        for figure in ("logprob_sum", "entropy_sum", "grad_norm"):
            mine, reference = getattr(result, figure), getattr(base, figure)
            if abs(mine - reference) > 1e-4 * abs(reference):
                raise SystemExit(f"{name}: {figure} is {mine}, the naive variant has {reference}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--chunks", type=int, nargs="+", default=[128, 512, 1024])
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(asdict(measure(options.child, Size(**json.loads(options.size))))))
        return
    sizes = {
        chunk: Size(
            options.tokens,
            options.vocab,
            options.width,
            chunk,
            options.temperature,
            options.threads,
        )
        for chunk in options.chunks
    }
    size = sizes[options.chunks[0]]
    results = {"naive": measure_apart("naive", size)}
    for chunk, chunked in sizes.items():
        results[f"chunk {chunk}"] = measure_apart("chunked", chunked)
    text = table(size, results)
    print(text)
    check(size, results)
    print("\nNo chunked variant made a tensor of T x V elements; all computed the same sums.")
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(
            "# Log-probability and entropy: naive against chunked\n\n"
            "Made by `python -m benchmarks.logprob_memory`. The gradient of the weight, V x H, is "
            f"part of every variant.\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
