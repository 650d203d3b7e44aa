"""Tests of graph/fold.py."""

import itertools

import pytest

from benchmarks.topologies import network
from quinnoa.errors import FoldError
from quinnoa.graph import fold as folding
from quinnoa.graph.fold import (
    DEFAULT_BUDGET,
    Budget,
    cycles,
    fold_for_cycles,
    fold_for_fps,
    fold_from_file,
    fold_to_fit,
    folds_as_toml,
    network_resources,
)
from quinnoa.graph.layers import Fold


def small():
    return network((12, 8, 6), [(1, 1), (1, 1)], (2, 2, 2))


def test_the_bound_is_what_the_folds_leave():
    net = network((784, 64, 10), [(16, 49), (10, 8)], (1, 1, 1))
    assert [cycles(layer) for layer in net.layers] == [64, 8]
    assert cycles(net.layers[0], Fold(64, 784)) == 1


@pytest.mark.parametrize("target", [1, 3, 8, 24, 96])
def test_no_folds_within_the_target_are_cheaper(target):
    net = small()

    def cost(candidate):
        return DEFAULT_BUDGET.cost(network_resources(candidate, "xc7"))

    choices = [list(folding._choices(layer, target)) for layer in net.layers]
    best = min(cost(net.with_layers([layer.folded(f) for layer, f in
                                     zip(net.layers, folds, strict=True)]))
               for folds in itertools.product(*choices))
    found = fold_for_cycles(net, target)
    assert max(cycles(layer) for layer in found.layers) <= target
    assert cost(found) == pytest.approx(best)


def test_reaches_the_frames_asked_for():
    found = fold_for_fps(small(), 4e6, 100)
    assert max(cycles(layer) for layer in found.layers) <= 25


@pytest.mark.parametrize("fps, clock, message", [
    (0, 100, "fps is 0, but must be above 0"),
    (-3, 100, "fps is -3, but must be above 0"),
    (1000, 0, "clock is 0 MHz, but must be above 0"),
    (2e8, 100, "2e+08 frames/s at 100 MHz leave less than one cycle a frame; the most is 1e+08 "
               "frames/s"),
])
def test_refuses_rates_that_cannot_be(fps, clock, message):
    with pytest.raises(FoldError) as error:
        fold_for_fps(small(), fps, clock)
    assert str(error.value) == message


def test_fills_a_device_and_no_more():
    roomy, tight = Budget(lut=20_000, bram36=20), Budget(lut=500, bram36=20)
    fast, slow = fold_to_fit(small(), roomy), fold_to_fit(small(), tight)
    assert roomy.holds(network_resources(fast, "xc7"))
    assert tight.holds(network_resources(slow, "xc7"))
    assert max(map(cycles, fast.layers)) < max(map(cycles, slow.layers))


def test_refuses_a_device_that_is_too_small():
    with pytest.raises(FoldError, match=r"^the smallest design needs about \d+ LUT and 0 block "
                                        r"RAMs, but the device has 50 and 1, of which 70% and 90% "
                                        r"may be used; take a larger device or a smaller "
                                        r"network$"):
        fold_to_fit(small(), Budget(lut=50, bram36=1))


def test_folds_are_read_as_they_were_written(tmp_path):
    net = small()
    net = net.with_layers([net.layers[0].folded(Fold(4, 6, "block")),
                           net.layers[1].folded(Fold(4, 3, pad=True))])
    file = tmp_path / "fold.toml"
    file.write_text(folds_as_toml(net))
    again = fold_from_file(small(), file)
    assert [layer.fold for layer in again.layers] == [layer.fold for layer in net.layers]


@pytest.mark.parametrize("text, message", [
    ("[mvtu7]\npe = 1", "there is no layer mvtu7; the layers are mvtu0, mvtu1"),
    ("[mvtu0]\npe = 3", "mvtu0: PE must divide MH: MH is 8, PE is 3; take 2 or 4, or pad = true "
                        "(pads to 9)"),
    ("[mvtu0]\nsimd = 13", "mvtu0: SIMD is 13, but MW is only 12"),
    ("[mvtu0]\npe = 0", "mvtu0: pe is 0, but must be at least 1"),
    ("[mvtu0]\nmemory = 'paper'", "mvtu0: memory is 'paper', but must be one of auto, logic, "
                                  "lutrom, block"),
    ("[mvtu0]\npe = true", "[mvtu0]: pe = True is not of the right type"),
    ("[mvtu0]\nturbo = 1", "[mvtu0]: unknown key turbo; a mvtu folds by pe, simd, memory, pad"),
    ("mvtu0 = 3", "[mvtu0]: must be a table, such as pe = 16"),
    ("pe = = 3", "not a fold file: Invalid value (at line 1, column 6)"),
])
def test_refuses_fold_files_that_cannot_be(tmp_path, text, message):
    file = tmp_path / "fold.toml"
    file.write_text(text)
    with pytest.raises(FoldError) as error:
        fold_from_file(small(), file)
    assert str(error.value).removeprefix(f"{file}: ") == message
