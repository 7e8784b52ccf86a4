"""Token buckets against what they promise, at any rhythm of requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.control.token_bucket import RateLimiter, TokenBucket


@given(
    st.floats(0.5, 100),
    st.integers(1, 50),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_window_lets_more_through_than_burst_and_rate(rate, burst, pauses):
    bucket = TokenBucket(rate, burst, burst, 0.0)
    now, passed = 0.0, []
    for pause in pauses:
        now += pause
        if bucket.take(now) == 0:
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            window = passed[last] - start
            assert last - first + 1 <= burst + rate * window + 1e-6


def test_the_wait_it_names_is_the_wait_it_takes():
    bucket = TokenBucket(2.0, 1, 1, 0.0)
    assert bucket.take(0.0) == 0
    wait = bucket.take(0.1)
    assert abs(wait - 0.4) < 1e-9
    assert bucket.take(0.1 + wait - 0.01) > 0
    assert bucket.take(0.1 + wait + 0.001) == 0


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(1.0, 1, 1, 100.0)
    assert bucket.take(100.0) == 0
    assert bucket.take(50.0) > 0


def test_callers_do_not_share_and_the_oldest_is_forgotten():
    limiter = RateLimiter(0.001, 1, callers=2)
    assert limiter.take("a", 0) == 0
    assert limiter.take("a", 0) > 0
    assert limiter.take("b", 0) == 0
    assert limiter.take("c", 0) == 0
    assert limiter.take("c", 0) > 0
    assert limiter.take("a", 0) == 0
