"""API keys: what opens, what does not, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.control.api_keys import BadToken, make_key, rotate, verify

SECRET = b"s" * 32


class Keys(dict):
    def find(self, key_id):
        return self.get(key_id)


def made(**options):
    key, token = make_key(SECRET, name="ci", scopes={"jobs:read"}, now=100.0, **options)
    return Keys({key.id: key}), key, token


def test_a_token_opens_its_own_key_only():
    keys, key, token = made(tenant="team-a")
    found = verify(SECRET, keys, token, 101.0)
    assert (found.principal.tenant, found.principal.scopes) == ("team-a", {"jobs:read"})
    other = make_key(SECRET, name="x", scopes=set(), now=0)[1]
    forged = token[:12] + other[12:]
    for wrong in (other, forged, token[:-1], token + "a", "", "lk_", token.upper(), "lk_é"):
        with pytest.raises(BadToken, match="not valid"):
            verify(SECRET, keys, wrong, 101.0)
    with pytest.raises(BadToken):
        verify(b"t" * 32, keys, token, 101.0)
    assert key.prefix == token[:11]


def test_the_token_is_not_kept():
    _, key, token = made()
    assert token not in repr(key)
    assert token.split("_")[2] not in repr(key)


def test_expired_and_revoked_keys_open_nothing():
    keys, key, token = made(lifetime=10)
    assert verify(SECRET, keys, token, 109.9)
    with pytest.raises(BadToken, match="expired"):
        verify(SECRET, keys, token, 110.0)
    keys[key.id] = replace(key, revoked_at=105.0)
    with pytest.raises(BadToken, match="revoked"):
        verify(SECRET, keys, token, 106.0)


def test_after_a_rotation_both_tokens_count_until_the_overlap_ends():
    keys, key, old = made()
    keys[key.id], new = rotate(SECRET, key, now=200.0, overlap=50.0)
    assert new != old
    for token in (old, new):
        assert verify(SECRET, keys, token, 249.0).id == key.id
    with pytest.raises(BadToken):
        verify(SECRET, keys, old, 250.0)
    assert verify(SECRET, keys, new, 250.0)


def test_admins_may_all_and_see_all():
    key, _ = make_key(SECRET, name="root", scopes={"admin"}, now=0, tenant="ops")
    assert key.principal.may("checkpoints:write")
    assert key.principal.sees("team-a")
    plain = made()[1].principal
    assert plain.may("jobs:read")
    assert not plain.may("jobs:write")
    assert not plain.sees("team-a")
