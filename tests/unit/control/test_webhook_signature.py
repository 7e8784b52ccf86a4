"""Signatures of webhooks, against the published example and against change."""

from __future__ import annotations

import pytest

from services.control.webhook_signature import BadSignature, headers, new_secret, verify

# The example of the Standard Webhooks specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example():
    made = headers(ID, TIME, BODY, [SECRET])
    assert made == {
        "webhook-id": ID,
        "webhook-timestamp": str(TIME),
        "webhook-signature": SIGNATURE,
    }
    verify(made, BODY, SECRET, TIME + 299)


def test_any_change_and_any_delay_is_noticed():
    made = headers(ID, TIME, BODY, [SECRET])
    for wrong, body, secret, now in (
        ({**made, "webhook-id": "msg_other"}, BODY, SECRET, TIME),
        ({**made, "webhook-timestamp": str(TIME + 1)}, BODY, SECRET, TIME),
        ({**made, "webhook-signature": "v1,AAAA"}, BODY, SECRET, TIME),
        ({**made, "webhook-signature": "v1,é"}, BODY, SECRET, TIME),
        ({k: v for k, v in made.items() if k != "webhook-id"}, BODY, SECRET, TIME),
        (made, BODY + " ", SECRET, TIME),
        (made, BODY, new_secret(), TIME),
        (made, BODY, SECRET, TIME + 301),
        (made, BODY, SECRET, TIME - 301),
    ):
        with pytest.raises(BadSignature):
            verify(wrong, body, secret, now)


def test_while_a_secret_is_rotated_either_one_verifies():
    other = new_secret()
    made = headers(ID, TIME, BODY, [SECRET, other])
    for secret in (SECRET, other):
        verify(made, BODY, secret, TIME)
