"""Groups of responses made by hand, for tests of what is computed from them."""

import numpy as np

from algorithms.policy_loss_settings import PpoLoss
from algorithms.scoring import score_groups
from algorithms.trajectory import Judgement, TrajectoryGroup
from services.learning.samples import ScoredResponse


def make_group(lengths, finished=None, group_id="compression/1/q", think=None):
    """A group with responses of the given lengths; tokens and log-probabilities are zero."""
    total = sum(lengths)
    finished = [True] * len(lengths) if finished is None else finished
    return TrajectoryGroup(
        group_id=group_id,
        question_id="q",
        gold=("1",),
        prompt_ids=np.zeros(3, dtype=np.int32),
        response_ids=np.zeros(total, dtype=np.int32),
        behaviour_logprobs=np.zeros(total, dtype=np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        think_lengths=np.array(lengths if think is None else think, dtype=np.int64),
        finish_reasons=tuple("stop" if f else "length" for f in finished),
        texts=("",) * len(lengths),
        policy_version=0,
        temperature=1.0,
    )


def judge(*verdicts, well_formed=True):
    """One judgement for each verdict."""
    return tuple(Judgement(v, "test", well_formed) for v in verdicts)


def score_group(objective, group, judgements):
    """Score a batch of this one group."""
    return score_groups(objective, [group], [judgements])[0]


def scored_response(response, **fields):
    """A response as the learner sees it, trained on; ``fields`` replace what does not matter."""
    response = np.asarray(response, dtype=np.int32)
    defaults = {
        "prompt": np.zeros(3, np.int32),
        "behaviour_logprobs": np.zeros(len(response), np.float32),
        "advantage": 1.0,
        "weight": 1.0,
        "has_gradient": True,
        "loss": PpoLoss(),
        "think_length": len(response),
        "correct": 1,
        "slot": 0,
    }
    return ScoredResponse(response=response, **{**defaults, **fields})
