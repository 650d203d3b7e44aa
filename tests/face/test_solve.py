"""Tests of what quinnoa/flow.py asks of the solver: pins, shares of a device, the report."""

import json

import pytest

import quinnoa
from quinnoa.errors import QuinnoaError
from quinnoa.flow import solve
from quinnoa.graph.solver import Budget
from tests.models import mlp


@pytest.fixture(scope="module")
def network():
    return quinnoa.load(mlp((16, 8, 8, 4), w_bits=2, a_bits=2, seed=3))


@pytest.mark.parametrize("writable", [False, True])
def test_what_is_pinned_is_compiled_and_the_solution_reported(network, tmp_path, writable):
    pins = tmp_path / "pins.toml"
    pins.write_text("[mvtu0]\npe = 2\nmemory = 'block'\n")
    report = quinnoa.compile_network(network, tmp_path / "out", fps=5e6, device="xc7z020",
                                     pin_file=pins, writable=writable)
    assert (report["layers"][0]["pe"], report["layers"][0]["memory"]) == (2, "block")
    solution = json.loads((tmp_path / "out" / "report.json").read_text())["solution"]
    assert solution["cycles"] == report["bound_cycles"] <= 20
    assert solution["fits"] and solution["exact"] and solution["fifos_measured"]
    assert (solution["lut"], solution["bram36"]) == (report["totals"]["lut"],
                                                     report["totals"]["bram36"])
    assert solution["budget"] == pytest.approx({"lut": 37_240, "bram36": 126, "uram": 0})


def test_what_is_written_at_run_time_is_paid_for(network):
    asked = {"device": "xc7z010", "maximum": True, "family": "xc7", "lut_share": 0.05,
             "steps": False}
    assert solve(network, **asked, writable=True).cycles > solve(network, **asked).cycles


def test_folds_of_a_file_are_no_solution(network, tmp_path):
    folds = tmp_path / "fold.toml"
    folds.write_text("[mvtu0]\npe = 2\n")
    assert quinnoa.compile_network(network, tmp_path / "out", fold_file=folds)["solution"] is None


def test_a_smaller_share_of_a_device_is_slower(network):
    some = solve(network, device="xc7z010", maximum=True, family="xc7", lut_share=0.02,
                 bram_share=0.5)
    assert some.budget == Budget(lut=17_600, bram36=60, lut_share=0.02, bram_share=0.5,
                                 ff=35_200)
    assert 0 < some.total.lut <= 352
    assert some.cycles > solve(network, device="xc7z010", maximum=True, family="xc7",
                               steps=False).cycles


@pytest.mark.parametrize("options, message", [
    ({"lut_share": 0.0}, "--lut-share is 0, but must be above 0 and at most 1"),
    ({"bram_share": 1.5}, "--bram-share is 1.5, but must be above 0 and at most 1"),
    ({"fold_file": "fold.toml", "pin_file": "pins.toml"},
     "--fold says how all layers fold: nothing is left for --pin"),
    ({"fold_file": "fold.toml", "lut_share": 0.5},
     "--fold says how all layers fold: nothing is left for --lut-share"),
    ({"clock_mhz": float("inf")}, "clock is inf MHz, but must be above 0 and at most 10,000"),
    ({"pin_file": "nowhere.toml"}, "nowhere.toml: there is no such file")])
def test_refuses_what_cannot_be(network, options, message):
    with pytest.raises(QuinnoaError) as error:
        solve(network, **options)
    assert str(error.value) == message
