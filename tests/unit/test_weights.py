"""The weight bundle: exact, covered byte for byte by its checksum."""

from __future__ import annotations

import torch

from services.weights import checksum, pack, unpack

TENSORS = [
    ("a", torch.randn(3, 5)),
    ("b", torch.randn(7).to(torch.bfloat16)),
    ("c", torch.arange(6).reshape(2, 3)),
    ("scalar", torch.tensor(2.5)),
]


def test_what_is_packed_comes_out_in_order_and_type() -> None:
    found = list(unpack(pack(TENSORS)))
    assert [n for n, _ in found] == [n for n, _ in TENSORS]
    for (_, sent), (_, got) in zip(TENSORS, found, strict=True):
        assert got.dtype == sent.dtype
        assert torch.equal(got, sent)


def test_a_transposed_view_is_packed_by_value() -> None:
    tensor = torch.randn(4, 6).T
    ((_, got),) = unpack(pack([("t", tensor)]))
    assert torch.equal(got, tensor)


def test_any_flipped_byte_changes_the_checksum() -> None:
    bundle = pack(TENSORS)
    digest = checksum(bundle)
    assert checksum(pack(TENSORS)) == digest
    for at in range(0, len(bundle["buffer"]), 17):
        bundle["buffer"][at] ^= 1
        assert checksum(bundle) != digest
        bundle["buffer"][at] ^= 1


def test_names_and_shapes_are_covered_too() -> None:
    digests = {
        checksum(pack([("x", torch.zeros(2, 3))])),
        checksum(pack([("y", torch.zeros(2, 3))])),
        checksum(pack([("x", torch.zeros(3, 2))])),
    }
    assert len(digests) == 3
