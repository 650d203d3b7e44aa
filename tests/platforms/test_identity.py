"""Tests of platforms/identity.py."""

from amaranth import signed, unsigned

from quinnoa.platforms.frames import FrameFormat
from quinnoa.platforms.identity import identity_text, network_id

FRAMES = FrameFormat.of(unsigned(8), lanes=4, beats=3, word_bits=64)
OTHERS = FrameFormat.of(signed(8), lanes=4, beats=3, word_bits=64)


def test_an_identity_tells_every_difference():
    asked = [(text, i, o) for text in ("module a", "module b") for i in (FRAMES, OTHERS)
             for o in (FRAMES, OTHERS)]
    identities = {network_id(*each) for each in asked}
    assert len(identities) == 8
    assert all(0 < identity < 1 << 64 for identity in identities)


def test_an_identity_stays():
    assert network_id("module a", FRAMES, OTHERS) == network_id("module a", FRAMES, OTHERS)
    assert identity_text(network_id("module a", FRAMES, OTHERS)) == "0490870639db83a6"


def test_an_identity_has_16_digits():
    assert identity_text(0x1F) == "000000000000001f"
