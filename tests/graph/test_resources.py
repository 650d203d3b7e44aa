# amaranth: UnusedElaboratable=no
"""Tests of graph/resources.py and graph/cost/: against syntheses by Yosys."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from amaranth import signed, unsigned
from amaranth.lib.data import ArrayLayout

from benchmarks.calibrate import synthesize
from quinnoa.graph import resources
from quinnoa.graph.cost.amounts import Parts
from quinnoa.graph.cost.arithmetic import added
from quinnoa.graph.cost.control import counter, room_of
from quinnoa.graph.cost.dots import tree
from quinnoa.graph.cost.memories import block, distributed, rom_luts
from quinnoa.graph.cost.plain import plain
from quinnoa.graph.cost.units import parts_of
from quinnoa.graph.layers import Fold
from quinnoa.graph.resources import (
    Resources,
    buffer_resources,
    converter_resources,
    estimate,
    layer_resources,
    relay_resources,
    unit_resources,
)
from quinnoa.rtl.accumulator import Accumulator
from quinnoa.rtl.compressor import sum_plan
from quinnoa.rtl.families import ECP5
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.outlet import Outlet
from quinnoa.rtl.shapes import BIPOLAR
from tests.graph.configurations import BETWEEN, layer_of, resources_of, unit_between

SETS = [(which, family) for family in ("xc7", "xcup", "ecp5") for which in ("fit", "held")]
TABLE = Path(resources.__file__).with_name("calibration.csv")


def rows(which, family="xc7"):
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [{**row, "params": json.loads(row["params"]), "lut": int(row["lut"]),
                 "ff": int(row["ff"]), "halves": int(row["halves"])}
                for row in csv.DictReader(file)
                if row["set"] == which and row["family"] == family]


@pytest.mark.parametrize("which, family", SETS)
def test_block_rams_are_those_of_yosys(which, family):
    wrong = [row for row in rows(which, family) if 2 * resources_of(
        row["kind"], row["params"], family).bram36 != row["halves"]]
    assert wrong == []


@pytest.mark.parametrize("which, family", SETS)
def test_most_luts_are_within_a_tenth_and_most_flip_flops_within_a_hundredth(which, family):
    pairs = [(row, resources_of(row["kind"], row["params"], family))
             for row in rows(which, family)]
    luts = np.array([need.lut / row["lut"] - 1 for row, need in pairs])
    ffs = np.array([need.ff / row["ff"] - 1 for row, need in pairs])
    assert (np.abs(luts) <= 0.1).mean() >= 0.9
    assert np.median(np.abs(luts)) <= 0.05
    assert np.median(np.abs(ffs)) <= 0.01


@pytest.mark.parametrize("family", ["xc7", "xcup", "ecp5"])
def test_held_configurations_are_not_those_the_fit_has_seen(family):
    seen, held = ({(row["kind"], json.dumps(row["params"])) for row in rows(which, family)}
                  for which in ("fit", "held"))
    assert len(held) >= 58 and not held & seen


@pytest.mark.parametrize("kind", ["mvtu", "swu", "threshold", "vvtu", "pool", "add"])
def test_estimates_for_a_search_are_close_to_those_for_a_report(kind):
    off = []
    for row in [row for row in rows("fit") if row["kind"] == kind][:6]:
        layer = layer_of(kind, row["params"])
        quick, whole = (make(layer, layer.fold, "xc7") for make in (estimate, layer_resources))
        assert quick.lut == pytest.approx(whole.lut, rel=0.1)
        assert quick.bram36 == whole.bram36
        off.append(abs(quick.lut / whole.lut - 1))
    assert np.median(off) <= 0.04


@pytest.mark.parametrize("kind", ["swu", "pool"])
def test_parts_without_a_unit_are_those_of_the_unit(kind):
    from quinnoa.graph.components import component
    from quinnoa.rtl.families import XC7
    some = [row for row in rows("fit") if row["kind"] == kind][:8]
    assert some
    for row in some:
        layer = layer_of(kind, row["params"])
        made = parts_of(component(layer, XC7), "xc7")
        assert resources.layer_parts(layer, layer.fold, "xc7") == made


@pytest.mark.parametrize("depth, width, written, halves", [
    (1152, 32, False, 3),       # three chunks of 512 words, 96 bits side by side in 36 each
    (4900, 64, False, 18),      # five of 1024 words in RAMs of 36 kbit
    (73728, 2, False, 8),       # chunks of 4096 words, 9 bits a RAM
    (32, 72, True, 2),
    (64, 4, True, 1),
])
def test_block_rams_of_a_memory_as_yosys_lays_them(depth, width, written, halves):
    assert block(depth, width, "xc7", written=written).halves == halves


@pytest.mark.parametrize("depth, width, family, sites", [
    (16, 8, "xc7", 8), (32, 1, "xc7", 2), (64, 3, "xc7", 4), (64, 4, "xc7", 8),
    (32, 14, "xcup", 8), (16, 4, "ecp5", 6), (64, 4, "ecp5", 24),
])
def test_lutram_of_a_memory_as_yosys_lays_it(depth, width, family, sites):
    assert distributed(depth, width, family).sites == sites


def test_a_rom_costs_a_lut_a_column_up_to_64_words_or_16():
    assert [rom_luts(depth, 3, "xc7") for depth in (1, 2, 64, 128, 256)] == [0, 3, 3, 6, 12]
    assert [rom_luts(depth, 3, "ecp5") for depth in (1, 2, 16, 17, 64)] == [0, 3, 3, 6, 12]
    assert 3 * 8 < rom_luts(128, 3, "ecp5") < 3 * 8 * 1.5


@pytest.mark.parametrize("simd, x, w, width", [
    (1, unsigned(2), BIPOLAR, 7), (4, unsigned(8), BIPOLAR, 14), (16, BIPOLAR, signed(4), 11),
    (2, unsigned(2), signed(4), 10), (3, signed(4), signed(3), 9),
])
def test_sums_on_ecp5_take_the_luts_they_look_like(simd, x, w, width):
    unit = Accumulator(simd=simd, x_shape=x, w_shape=w, width=width, family=ECP5, init=True)
    plain(parts := Parts(), 1, simd, x, w, width, "ecp5")
    made, = synthesize([unit], "ecp5")
    assert made.as_dict()["lut"] == parts.exact + width + added(width, "ecp5")


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_a_fifo_of_several_chunks_keeps_which_one_was_read(family):
    fifo = FIFO(ArrayLayout(1, 40), depth=3000, style="block")
    made, = synthesize([fifo], family)
    assert unit_resources(fifo, family).ff == made.as_dict()["ff"]


def test_trees_are_those_that_are_laid():
    for x, w, simd in ((BIPOLAR, BIPOLAR, 24), (unsigned(2), BIPOLAR, 9),
                       (unsigned(4), signed(4), 3)):
        plan = sum_plan(simd, x, w, 12, rows=2)
        made = tree(simd, x, w, 12, 2)
        assert (made.sites, made.latency, made.heights) == (plan.sites, plan.latency, plan.heights)
        quick = tree(simd, x, w, 12, 2, exact=False)
        assert quick.sites == pytest.approx(plan.sites, rel=0.05)


def test_a_counter_has_a_flag_but_for_two_values():
    for length, ff in ((1, 0), (2, 1), (3, 3), (16, 5)):
        counter(parts := Parts(), length, "xc7")
        assert parts.ff == ff


@pytest.mark.parametrize("latency, interval", [(0, 1), (1, 1), (2, 1), (9, 1), (9, 4), (9, 40)])
def test_rooms_are_those_of_outlets(latency, interval):
    made = Outlet(unsigned(8), latency=latency, interval=interval)
    assert room_of(latency, interval) == made.room


def test_nothing_stands_between_lanes_that_are_alike():
    layer = layer_of("threshold", {"c": 8, "pe": 2, "i": "s6", "steps": 3, "each": True,
                                   "falls": 0, "seed": 0})
    assert converter_resources(layer.o, 4, 4) == Resources()
    assert converter_resources(layer.o, 4, 2).lut > 0


def test_a_fifo_of_block_ram_takes_no_lutram():
    small, large = buffer_resources(16, 32), buffer_resources(1000, 32)
    assert small.bram36 == 0 < large.bram36 == 1
    assert large.lut < 60


def test_more_side_by_side_takes_more():
    params = {"mh": 64, "mw": 64, "x": "b", "w": "b", "steps": 1, "each": True, "falls": 0,
              "memory": "auto", "pad": False, "pe": 4, "simd": 8, "seed": 3}
    layer = layer_of("mvtu", params)
    luts = [estimate(layer, Fold(pe, 8), "xc7").lut for pe in (4, 8, 16, 32)]
    assert luts == sorted(luts) and luts[0] < luts[-1]


@pytest.mark.parametrize("family", ["xc7", "xcup", "ecp5", "generic"])
def test_every_kind_is_known_to_every_family(family):
    for kind in sorted({row["kind"] for row in rows("fit")}):
        params = next(row["params"] for row in rows("fit") if row["kind"] == kind)
        need = resources_of(kind, params, family)
        assert need.lut > 0 and need.ff > 0


@pytest.mark.parametrize("kind", ["mvtu", "vvtu", "threshold"])
def test_what_is_written_takes_registers_for_its_addresses(kind):
    some = [row for row in rows("fit") if row["kind"] == kind and row["params"].get("writable")]
    assert some
    for row in some:
        layer = layer_of(kind, row["params"])
        fixed, written = (layer_resources(layer, layer.fold, "xc7", each)
                          for each in (False, True))
        assert written.ff > fixed.ff
        assert written == resources_of(kind, row["params"], "xc7")


def test_writes_are_passed_on_by_a_register_a_unit():
    # Valid, ten bits of an address, and 32 of data.
    assert relay_resources(1000, 2).ff == 2 * (1 + 10 + 32)


def test_a_unit_tells_what_it_takes_written_as_its_layer_does():
    from quinnoa.graph.components import component
    from quinnoa.rtl.families import XC7
    row = next(row for row in rows("fit")
               if row["kind"] == "vvtu" and row["params"].get("writable"))
    layer = layer_of("vvtu", row["params"])
    made = component(layer, XC7, writable=True)
    assert unit_resources(made, "xc7") == layer_resources(layer, layer.fold, "xc7", True)


def test_refuses_a_matrix_unit_without_its_layer():
    layer = layer_of("mvtu", rows("fit")[[r["kind"] for r in rows("fit")].index("mvtu")]["params"])
    from quinnoa.graph.components import component
    from quinnoa.rtl.families import XC7
    with pytest.raises(TypeError, match="^no resources known for a MVTU: its layer is wanted$"):
        unit_resources(component(layer, XC7), "xc7")


def test_the_table_says_what_yosys_makes():
    from benchmarks.calibrate import figures
    some = [row for row in rows("fit") if row["kind"] in BETWEEN][:2]
    assert len(some) == 2 and all(unit_between(row["kind"], row["params"]) for row in some)
    for row, again in zip(some, figures(some), strict=True):
        # A LUT more or less goes by the names that Yosys gives.
        assert again["lut"] == pytest.approx(row["lut"], rel=0.02)
        assert (again["ff"], again["halves"]) == (row["ff"], row["halves"])
