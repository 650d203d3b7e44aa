"""Tests of sim/axi_checker.py: it lets good traffic pass and catches every kind of bad one."""

import re

import pytest

from quinnoa.sim.axi_checker import AXIChecker, AXIFault

QUIET = dict.fromkeys(
    ("awid", "awaddr", "awlen", "awlock", "awcache", "awprot", "awqos", "awvalid", "awready",
     "wid", "wdata", "wstrb", "wlast", "wvalid", "wready", "bid", "bresp", "bvalid", "bready",
     "arid", "araddr", "arlen", "arlock", "arcache", "arprot", "arqos", "arvalid", "arready",
     "rid", "rdata", "rresp", "rlast", "rvalid", "rready"), 0) | {
    "awsize": 3, "arsize": 3, "awburst": 1, "arburst": 1}


def ask(channel, address=0, beats=1, **signals):
    """Return the signals of an address, taken at once."""
    return {f"{channel}valid": 1, f"{channel}ready": 1, f"{channel}addr": address,
            f"{channel}len": beats - 1} | signals


def move(channel, **signals):
    """Return the signals of a transfer."""
    return {f"{channel}valid": 1, f"{channel}ready": 1} | signals


W, W_LAST, R, R_LAST, B = (move("w"), move("w", wlast=1), move("r"), move("r", rlast=1), move("b"))


def watch(cycles, version="axi3", beats=None):
    """Show a checker so many cycles; return it."""
    checker = AXIChecker("port", version=version, data_bits=64, beats=beats)
    for signals in cycles:
        checker.cycle((QUIET | signals).__getitem__)
    return checker


GOOD = {
    "a read": [ask("ar", 0x1000, 3), R, {}, R, R_LAST],
    "reads of two IDs, interleaved": [ask("ar", 0, 2, arid=1), ask("ar", 64, 2, arid=2),
                                      R | {"rid": 2}, R | {"rid": 1}, R_LAST | {"rid": 1},
                                      R_LAST | {"rid": 2}],
    "an answer that waits": [ask("ar"), R_LAST | {"rready": 0, "rdata": 5},
                             R_LAST | {"rdata": 5}],
    "a write": [ask("aw", 0, 2), W, W_LAST, B],
    "data before its address": [W, W_LAST, {}, ask("aw", 0, 2), B],
    "data beside its address": [ask("aw") | W_LAST, B],
    "two writes, data behind": [ask("aw", 0, 2), ask("aw", 64, 1), W, W_LAST, W_LAST, B, B],
    "an address that waits": [ask("aw", 8, awready=0)] * 3 + [ask("aw", 8), W_LAST, B],
    "up to 4 KiB": [ask("ar", 4096 - 128, 16), *[R] * 15, R_LAST],
    "a wrap": [ask("ar", 0x38, 4, arburst=2), R, R, R, R_LAST],
    "another write of the same ID": [ask("aw"), W_LAST, B, ask("aw"), W_LAST, B],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_traffic_passes(name):
    checker = watch(GOOD[name])
    checker.finish()
    moved = {channel: sum(bool(cycle.get(f"{channel}valid") and cycle.get(f"{channel}ready"))
                          for cycle in GOOD[name]) for channel in checker.counts}
    assert checker.counts == moved and checker.cycles == len(GOOD[name])


@pytest.mark.parametrize("cycles, message", [
    ([ask("aw", awready=0), {}], "cycle 1: awvalid went low before awready was high"),
    ([move("w", wready=0), {}], "cycle 1: wvalid went low before wready was high"),
    ([ask("ar", arready=0), {}], "cycle 1: arvalid went low before arready was high"),
    ([ask("ar"), R_LAST | {"rready": 0}, {}], "cycle 2: rvalid went low before rready was high"),
    ([ask("aw"), W_LAST, B | {"bready": 0}, {}],
     "cycle 3: bvalid went low before bready was high"),
    ([ask("aw", awready=0), ask("aw", 8)], "cycle 1: awaddr changed before awready was high"),
    ([ask("ar", arready=0), ask("ar", 0, 2, arid=3)],
     "cycle 1: arid, arlen changed before arready was high"),
    ([move("w", wready=0), move("w", wdata=1)], "cycle 1: wdata changed before wready was high"),
    ([move("w", wready=0), W_LAST], "cycle 1: wlast changed before wready was high"),
    ([ask("ar"), R_LAST | {"rready": 0}, R_LAST | {"rdata": 1}],
     "cycle 2: rdata changed before rready was high"),
    ([ask("aw"), W_LAST, B | {"bready": 0}, B | {"bresp": 2}],
     "cycle 3: bresp changed before bready was high"),
    ([ask("ar", 4096 - 120, 16)],
     "cycle 0: ar crosses 4 KiB: 16 beats of 8 bytes from 0xf88"),
    ([ask("aw", 0x1FFC, 2)], "cycle 0: aw crosses 4 KiB: 2 beats of 8 bytes from 0x1ffc"),
    ([ask("aw", 0, 17)], "cycle 0: awlen says 17 beats, at most 16 are allowed"),
    ([ask("ar", 0, 1, arsize=4)], "cycle 0: arsize says 16 bytes on a bus of 8"),
    ([ask("ar", 0, 1, arburst=3)], "cycle 0: arburst is 3"),
    ([ask("ar", 0, 3, arburst=2)], "cycle 0: ar wraps after 3 beats of 8 bytes from 0x0"),
    ([ask("aw", 0, 2), W_LAST], "cycle 1: wlast is at beat 1 of 2"),
    ([ask("aw", 0, 2), W, W], "cycle 2: wlast is not at beat 2 of 2"),
    ([W, W, W, ask("aw", 0, 2), W_LAST], "cycle 4: wlast is at beat 4 of 2"),
    ([ask("aw", 0, 1, awid=2), W_LAST], "cycle 1: wid is 0 where awid is 2"),
    ([ask("aw", 0, 2), W, W_LAST | {"wid": 1}], "cycle 2: wid changes within a burst"),
    ([B], "cycle 0: B without a write of ID 0 that is all there"),
    ([ask("aw"), B], "cycle 1: B without a write of ID 0 that is all there"),
    ([W_LAST, B], "cycle 1: B without a write of ID 0 that is all there"),
    ([ask("aw") | W_LAST | B], "cycle 0: B without a write of ID 0 that is all there"),
    ([ask("aw"), W_LAST, B, B], "cycle 3: B without a write of ID 0 that is all there"),
    ([ask("aw"), W_LAST, B | {"bid": 1}], "cycle 2: B without a write of ID 1 that is all there"),
    ([R_LAST], "cycle 0: R without a read of ID 0"),
    ([ask("ar") | R_LAST], "cycle 0: R without a read of ID 0"),
    ([ask("ar"), R_LAST, R_LAST], "cycle 2: R without a read of ID 0"),
    ([ask("ar"), R_LAST | {"rid": 4}], "cycle 1: R without a read of ID 4"),
    ([ask("ar", 0, 2), R_LAST], "cycle 1: rlast is 1 with 2 beats to come"),
    ([ask("ar", 0, 2), R, R], "cycle 2: rlast is 0 with 1 beats to come"),
])
def test_every_fault_is_caught(cycles, message):
    with pytest.raises(AXIFault, match=f"^port, {re.escape(message)}$"):
        watch(cycles)


@pytest.mark.parametrize("version, beats, length, allowed", [
    ("axi3", None, 16, True), ("axi4", None, 256, True), ("axi4", None, 257, False),
    ("axi4", 32, 32, True), ("axi4", 32, 33, False)])
def test_the_longest_burst_is_that_of_the_version(version, beats, length, allowed):
    cycle = ask("ar", 0, length)
    if allowed:
        assert watch([cycle], version, beats).bursts == {"ar": [length], "aw": []}
    else:
        with pytest.raises(AXIFault, match=f"arlen says {length} beats"):
            watch([cycle], version, beats)


def test_lite_has_one_beat_and_no_id():
    watch([ask("aw"), move("w"), B, ask("ar"), R], "lite").finish()
    with pytest.raises(AXIFault, match="R without a read"):
        watch([ask("ar"), R, R], "lite")


@pytest.mark.parametrize("cycles, owed", [
    ([ask("aw", awready=0)], "1 offers"), ([ask("aw")], "1 write addresses"),
    ([W_LAST], "1 bursts of write data"), ([ask("aw", 0, 2), W],
                                           "1 write addresses, 1 bursts of write data"),
    ([ask("aw"), W_LAST], "1 B"), ([ask("ar", 0, 2), ask("ar"), R], "2 reads")])
def test_what_is_under_way_is_told(cycles, owed):
    checker = watch(cycles)
    with pytest.raises(AXIFault, match=f"^port, cycle {len(cycles)}: not at its end: {owed}$"):
        checker.finish()
