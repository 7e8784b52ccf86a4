"""vLLM behind three verbs: start, generate groups, take new weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from algorithms.trajectory import FinishReason, TrajectoryGroup, think_length
from services import weights
from services.evaluation.answer_text import opens_thinking
from services.evaluation.thinkless_tokens import thinkless_tokens
from services.numerics import make_reproducible
from services.rollout.request import Decoding, RolloutRequest
from services.spec.job import GeneratorSpec


class WeightMismatch(RuntimeError):
    """Received weights differ from the ones that were published."""


def _prepare_cpu(spec: GeneratorSpec) -> None:
    """Settings vLLM reads from the environment; must precede its import."""
    make_reproducible()
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    # The size of the cache is given in bytes below; the variable only has to be consistent.
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, round(spec.kv_cache_gib)))
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


class RolloutEngine:
    """One vLLM engine. Not thread-safe: the actor around it serves one call at a time."""

    def __init__(self, model_path: str, spec: GeneratorSpec, *, seed: int) -> None:
        if spec.gpus == 0:
            _prepare_cpu(spec)
        from vllm import LLM

        self.version = 0
        self._llm = LLM(
            model=model_path,
            dtype=spec.dtype,
            seed=seed,
            max_model_len=spec.max_model_len,
            max_num_seqs=spec.max_sequences,
            max_num_batched_tokens=max(8192, spec.max_sequences, spec.max_model_len or 0),
            enforce_eager=spec.gpus == 0,
            enable_prefix_caching=True,
            # A prompt cut into chunks makes vLLM rewind the request's generator, which only
            # CUDA generators can do; whole prompts keep per-request seeds usable on the CPU.
            enable_chunked_prefill=spec.gpus > 0,
            logprobs_mode="processed_logprobs",
            kv_cache_memory_bytes=int(spec.kv_cache_gib * 2**30) if spec.gpus == 0 else None,
            disable_log_stats=True,
        )
        self._tokenizer = self._llm.get_tokenizer()
        self._think_end = np.asarray(
            self._tokenizer.encode("</think>", add_special_tokens=False), dtype=np.int32
        )
        self._context: int = self._llm.model_config.max_model_len

    def generate(
        self, requests: Sequence[RolloutRequest], decoding: Decoding
    ) -> list[TrajectoryGroup]:
        """Answer each request ``decoding.group_size`` times.

        Raises:
            ValueError: a prompt leaves no room for a single token.
        """
        # A cache filled by earlier calls would change which kernels run, and with them the last
        # bits of the logits: emptied, the same call gives the same tokens after a resume.
        self._llm.reset_prefix_cache()
        prompts = [self._prompt_ids(r) for r in requests]
        outputs = self._llm.generate(
            [{"prompt_token_ids": ids} for ids in prompts],
            [self._params(r, ids, decoding) for r, ids in zip(requests, prompts, strict=True)],
            use_tqdm=False,
        )
        return [
            self._group(r, ids, out.outputs, decoding)
            for r, ids, out in zip(requests, prompts, outputs, strict=True)
        ]

    def opens_thinking(self) -> bool:
        """Whether the chat template opens the model's thought when it asks for a response."""
        return opens_thinking(self._tokenizer)

    def thinkless_tokens(self, conversations: Sequence[tuple[str, str]]) -> list[int]:
        """Return the tokens of each ``(prompt, response)`` as Thinkless counts them.

        Raises:
            TemplateError: the chat template does not show an assistant's message exactly once.
        """
        return thinkless_tokens(self._tokenizer, conversations)

    def load_weights(self, version: int, bundle: weights.Bundle, expected: str) -> str:
        """Take a published policy; return the checksum of the bytes received.

        Raises:
            WeightMismatch: the bytes are not the ones published; the old policy stays.
        """
        received = weights.checksum(bundle)
        if received != expected:
            raise WeightMismatch(
                f"policy version {version}: received checksum {received}, published {expected}"
            )
        self._llm.collective_rpc(
            "reload_weights",
            kwargs={"weights_iterator": weights.unpack(bundle), "is_checkpoint_format": True},
        )
        self._llm.apply_model(_refresh_tied_head)
        self._llm.reset_prefix_cache()
        self.version = version
        return received

    def _prompt_ids(self, request: RolloutRequest) -> list[int]:
        encoded = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": request.prompt}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=False,
        )
        ids = list(encoded)
        if len(ids) >= self._context:
            raise ValueError(
                f"question {request.question_id!r}: its prompt has {len(ids)} tokens, the context "
                f"has {self._context}; remove the question or raise generator.max_model_len"
            )
        return ids

    def _params(self, request: RolloutRequest, prompt: list[int], decoding: Decoding) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            n=decoding.group_size,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=min(decoding.max_tokens, self._context - len(prompt)),
            seed=request.seed,
            logprobs=0 if decoding.logprobs else None,
            flat_logprobs=decoding.logprobs,
            skip_special_tokens=True,
        )

    def _group(
        self, request: RolloutRequest, prompt: list[int], outputs: Any, decoding: Decoding
    ) -> TrajectoryGroup:
        ids = [np.asarray(o.token_ids, dtype=np.int32) for o in outputs]
        logprobs = (
            np.concatenate([np.asarray(o.logprobs.logprobs, dtype=np.float32) for o in outputs])
            if decoding.logprobs
            else np.zeros(0, dtype=np.float32)
        )
        lengths, bounds = [len(i) for i in ids], request.tolerance
        return TrajectoryGroup(
            group_id=request.group_id,
            question_id=request.question_id,
            gold=request.gold,
            tolerance=None if bounds is None else (bounds.absolute, bounds.relative),
            prompt_ids=np.asarray(prompt, dtype=np.int32),
            response_ids=np.concatenate(ids),
            behaviour_logprobs=logprobs,
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            think_lengths=np.array([think_length(i, self._think_end) for i in ids], np.int64),
            finish_reasons=tuple(_finish(o.finish_reason) for o in outputs),
            texts=tuple(o.text for o in outputs),
            policy_version=self.version,
            temperature=decoding.temperature,
        )


def _refresh_tied_head(model: Any) -> None:
    """Give an output layer that shares the embedding's weights the new ones.

    vLLM's reload skips a tied head, whose weights come with the embedding. On the CPU the head
    multiplies with a packed copy of its own, which would silently stay at the first policy.
    """
    head = getattr(model, "lm_head", None)
    embedding = getattr(model.model, "embed_tokens", None)
    if head is None or head is embedding or not model.config.tie_word_embeddings:
        return
    head.tie_weights(embedding)
    head.quant_method.process_weights_after_loading(head)


def _finish(reason: str | None) -> FinishReason:
    known: dict[str | None, Literal["stop", "length"]] = {"stop": "stop", "length": "length"}
    if reason not in known:
        raise RuntimeError(f"the engine ended a response with {reason!r}, not by itself")
    return known[reason]
