"""The recipe that makes the tiny reasoner: tokenizer, model, data files and a record of the run."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from services.tiny_reasoner.questions import INSTRUCTION, Question, Split, sample_question
from services.tiny_reasoner.tokenizer import VOCAB_SIZE, train_tokenizer
from services.tiny_reasoner.traces import OverthinkingStyle, sample_trace

IGNORE = -100


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights; the defaults made the ones that ship."""

    seed: int = 20260101
    steps: int = 600
    traces_per_step: int = 64
    micro_batches: int = 4
    learning_rate: float = 2e-3
    warmup_steps: int = 60
    weight_decay: float = 0.05
    max_tokens: int = 600
    """Prompt and trace together; longer traces are drawn again."""
    hidden: int = 128
    layers: int = 5
    heads: int = 4
    intermediate: int = 384
    context: int = 640


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Return a fresh Qwen2 model of about a million parameters."""
    torch.manual_seed(recipe.seed)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=VOCAB_SIZE,
            hidden_size=recipe.hidden,
            intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.context,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=True,
        )
    )


def prompt_text(tokenizer: PreTrainedTokenizerFast, question: str) -> str:
    """Render a question exactly as the training service does."""
    messages = [{"role": "user", "content": f"{question}\n{INSTRUCTION}"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert isinstance(text, str)
    return text


def _corpus(recipe: Recipe, rng: random.Random) -> Iterator[str]:
    for _ in range(4000):
        q = sample_question(rng, "train")
        trace = sample_trace(q.chain, rng, OverthinkingStyle())
        yield f"user\n{q.text}\n{INSTRUCTION}\nassistant\n{trace}"


def _encode(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> tuple[list[int], int]:
    """Draw one trace; return its token ids and the length of its prompt."""
    while True:
        q = sample_question(rng, "train")
        prompt = tokenizer.encode(prompt_text(tokenizer, q.text), add_special_tokens=False)
        trace = sample_trace(q.chain, rng, OverthinkingStyle())
        response = tokenizer.encode(trace, add_special_tokens=False)
        assert tokenizer.eos_token_id is not None
        ids = [*prompt, *response, tokenizer.eos_token_id]
        if len(ids) <= recipe.max_tokens:
            return ids, len(prompt)


def _collate(rows: list[tuple[list[int], int]], pad: int) -> tuple[Tensor, Tensor]:
    width = max(len(ids) for ids, _ in rows)
    inputs = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), IGNORE)
    for i, (ids, prompt_len) in enumerate(rows):
        inputs[i, : len(ids)] = torch.tensor(ids)
        labels[i, prompt_len : len(ids)] = torch.tensor(ids[prompt_len:])
    return inputs, labels


def _learning_rate(recipe: Recipe, step: int) -> float:
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def _train_step(
    forward: Callable[..., Any], rows: list[tuple[list[int], int]], recipe: Recipe, pad: int
) -> tuple[float, int]:
    """Accumulate one step's gradient; the loss is a mean over all its tokens together.

    A mean per micro-batch would weigh a short trace's tokens more than a long one's, because
    micro-batches are sorted by length, and would teach the model to stop early.
    """
    rows = sorted(rows, key=lambda r: len(r[0]))
    total = sum(len(ids) - n for ids, n in rows)
    size = math.ceil(len(rows) / recipe.micro_batches)
    loss_sum = 0.0
    for i in range(0, len(rows), size):
        inputs, labels = _collate(rows[i : i + size], pad)
        logits = forward(input_ids=inputs).logits[:, :-1]
        loss = F.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE, reduction="sum"
        )
        (loss / total).backward()
        loss_sum += loss.item()
    return loss_sum / total, total


def train(recipe: Recipe, out: Path) -> None:
    """Run the recipe and write model, tokenizer and ``recipe.json`` under ``out``."""
    # Sharp attention makes subnormal numbers, on which some processors are ten times slower.
    torch.set_flush_denormal(True)
    rng = random.Random(recipe.seed)
    tokenizer = train_tokenizer(_corpus(recipe, rng))
    model = build_model(recipe, tokenizer)
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decay, "weight_decay": recipe.weight_decay},
            {"params": plain, "weight_decay": 0},
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )
    pad = tokenizer.pad_token_id
    assert isinstance(pad, int)
    forward = torch.compile(model.forward, dynamic=True)
    started, tokens, loss = time.monotonic(), 0, float("nan")
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(recipe, step)
        rows = [_encode(recipe, tokenizer, rng) for _ in range(recipe.traces_per_step)]
        loss, n = _train_step(forward, rows, recipe, pad)
        tokens += n
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0 or step == recipe.steps - 1:
            rate = tokens / (time.monotonic() - started)
            print(f"step {step:5d}  loss {loss:.4f}  {tokens:,} tokens  {rate:,.0f}/s", flush=True)
        if step % 200 == 199:
            _save(model, tokenizer, out)
    _save(model, tokenizer, out)
    record = {
        "recipe": asdict(recipe),
        "style": asdict(OverthinkingStyle()),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained_tokens": tokens,
        "final_loss": loss,
        "seconds": round(time.monotonic() - started, 1),
        "torch": torch.__version__,
    }
    (out / "recipe.json").write_text(json.dumps(record, indent=2) + "\n")


def _save(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def write_questions(path: Path, split: Split, count: int, seed: int) -> None:
    """Write ``count`` distinct questions of a split as JSONL: ``id``, ``question``, ``answer``."""
    rng, seen, rows = random.Random(f"{seed}-{split}"), set[str](), list[Question]()
    while len(rows) < count:
        q = sample_question(rng, split)
        if q.text not in seen:
            seen.add(q.text)
            rows.append(q)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as f:
        for i, q in enumerate(rows):
            f.write(
                json.dumps({"id": f"{split}-{i}", "question": q.text, "answer": q.answer}) + "\n"
            )
