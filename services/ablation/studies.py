"""The paper's ablations (section 4.3, table 2, figures 3a to 3c) over any two-stage preset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from algorithms.objectives import Compress
from services.ablation.arms import Arm, dump, rows, separated, two_stages, varied
from services.ablation.guided import guided
from services.spec.job import JobSpec


def order(spec: JobSpec) -> list[Arm]:
    """Table 2a: compression first, or exploration first; the latter after each of its stages."""
    compress, explore = two_stages(spec)
    swapped = [dump(explore), dump(compress)]
    return [
        separated(spec),
        Arm(
            "order-ec",
            varied(spec, {"stages": swapped}),
            {
                explore.name: "exploration, then compression: after exploration",
                compress.name: "exploration, then compression: after compression",
            },
        ),
    ]


def clip(spec: JobSpec) -> list[Arm]:
    """Table 2b: half and twice the length clip. The threshold and the cap of the exploration stage
    follow it, as far as the model's context allows."""
    compress, explore = two_stages(spec)
    assert isinstance(compress.objective, Compress)
    usual = compress.objective.length_clip
    arms = [separated(spec, f"L = {usual}")]
    for limit in (usual // 2, usual * 2):
        longest = spec.generator.max_model_len
        cap = explore.sampling.max_tokens * limit // usual
        cap = cap if longest is None else min(cap, longest - 1)
        first, second = dump(compress), dump(explore)
        first["objective"]["length_clip"] = limit
        first["sampling"]["max_tokens"] = limit
        second["objective"]["length_threshold"] = limit
        second["sampling"]["max_tokens"] = cap
        arms.append(
            Arm(
                f"clip-{limit}",
                varied(spec, {"stages": [first, second]}),
                rows(spec, f"L = {limit}"),
            )
        )
    return arms


def shaping(spec: JobSpec) -> list[Arm]:
    """Table 2c: exponential, linear and cosine shaping with the same f(0) and f(L)."""
    compress, explore = two_stages(spec)
    arms = [separated(spec, "exponential")]
    for form in ("linear", "cosine"):
        first = dump(compress)
        first["objective"]["shaping"] = form
        changed = varied(spec, {"stages": [first, dump(explore)]})
        arms.append(Arm(f"shaping-{form}", changed, rows(spec, form)))
    return arms


def entanglement(spec: JobSpec) -> list[Arm]:
    """Figures 3a to 3c: separated (EG), entangled over the same number of steps (EE), and entangled
    for one more exploration stage's worth of steps (EE*). EE* is EE gone on with."""
    compress, explore = two_stages(spec)
    both = dump(compress) | {
        "name": "entangled",
        "objective": {
            "type": "entangled",
            "compress": compress.objective.model_dump(mode="json"),
            "explore": explore.objective.model_dump(mode="json"),
        },
        "sampling": explore.sampling.model_dump(mode="json"),
        "steps": compress.steps + explore.steps,
    }
    more = both | {"name": "entangled-more", "steps": explore.steps, "optimizer": "keep"}
    return [
        separated(spec, "EG"),
        Arm(
            "entangled",
            varied(spec, {"stages": [both, more]}),
            {"entangled": "EE", "entangled-more": "EE*"},
        ),
    ]


STUDIES: Final[dict[str, Callable[[JobSpec], list[Arm]]]] = {
    "order": order,
    "clip": clip,
    "shaping": shaping,
    "entanglement": entanglement,
    "guided": guided,
}
"""By the name that ``laconic ablate`` takes."""
