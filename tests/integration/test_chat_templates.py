"""What chat templates decide, with a real tokenizer: length as Thinkless counts it, and whether a
model thinks."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoTokenizer

from services.builtin import resolve_path
from services.evaluation.answer_text import opens_thinking
from services.evaluation.thinkless_tokens import TemplateError, thinkless_tokens

DELETES_THINKING = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ 'user: ' + m.content }}"
    "{% else %}{% set answer = m.content %}{% if '</think>' in answer %}"
    "{% set answer = answer.split('</think>')[-1] %}{% endif %}"
    "{{ 'assistant: ' + answer + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: <think>\n' }}{% endif %}"
)
"""What templates of reasoning models do: finished thinking goes, and a response is opened."""

KEEPS_THINKING = DELETES_THINKING.replace(
    "{% if '</think>' in answer %}{% set answer = answer.split('</think>')[-1] %}{% endif %}", ""
)
"""The same as Thinkless changed it."""

PROMPT = "What is 2 + 5 - 3?"
RESPONSES = [
    "2 + 5 = 7. 7 - 3 = 4.\nWait, 2 + 5 = 7.\n</think>\n\\boxed{4}",
    "\\boxed{4}",
    "",
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(resolve_path("builtin:tiny-reasoner"))


def counted_as_thinkless_does(tokenizer: Any, template: str, response: str) -> int:
    messages = [
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": response},
    ]
    return len(tokenizer.apply_chat_template(messages, chat_template=template, return_dict=False))


@pytest.mark.parametrize("response", RESPONSES)
def test_the_count_is_that_of_the_changed_template(tokenizer: Any, response: str) -> None:
    tokenizer.chat_template = DELETES_THINKING
    (found,) = thinkless_tokens(tokenizer, [(PROMPT, response)])
    assert found == counted_as_thinkless_does(tokenizer, KEEPS_THINKING, response)


def test_thinking_counts_although_the_template_deletes_it(tokenizer: Any) -> None:
    tokenizer.chat_template = DELETES_THINKING
    long, short = RESPONSES[0], RESPONSES[0].split("</think>")[-1]
    found = thinkless_tokens(tokenizer, [(PROMPT, long), (PROMPT, short)])
    thinking = tokenizer(long, add_special_tokens=False)["input_ids"]
    answer = tokenizer(short, add_special_tokens=False)["input_ids"]
    assert found[0] - found[1] == len(thinking) - len(answer) > 20
    stock = counted_as_thinkless_does(tokenizer, DELETES_THINKING, long)
    assert stock < found[0] - 20


def test_the_prompt_and_the_template_count(tokenizer: Any) -> None:
    tokenizer.chat_template = DELETES_THINKING
    short, long = thinkless_tokens(tokenizer, [(PROMPT, "4"), (PROMPT * 3, "4")])
    prompt = len(tokenizer(PROMPT, add_special_tokens=False)["input_ids"])
    assert long - short == 2 * prompt
    assert short > prompt + 1


def test_the_shipped_template_is_counted(tokenizer: Any) -> None:
    shipped = AutoTokenizer.from_pretrained(resolve_path("builtin:tiny-reasoner"))
    (found,) = thinkless_tokens(shipped, [(PROMPT, RESPONSES[0])])
    assert found == counted_as_thinkless_does(shipped, shipped.chat_template, RESPONSES[0])


@pytest.mark.parametrize("template", ["{{ messages[0].content }}", "{{ messages[1].content * 2 }}"])
def test_a_template_that_shows_no_response_is_refused(tokenizer: Any, template: str) -> None:
    tokenizer.chat_template = template
    with pytest.raises(TemplateError, match="exactly once"):
        thinkless_tokens(tokenizer, [(PROMPT, "4")])


def test_a_template_tells_whether_a_thought_is_opened(tokenizer: Any) -> None:
    tokenizer.chat_template = DELETES_THINKING
    assert opens_thinking(tokenizer)
    tokenizer.chat_template = DELETES_THINKING.replace("<think>\n", "")
    assert not opens_thinking(tokenizer)
