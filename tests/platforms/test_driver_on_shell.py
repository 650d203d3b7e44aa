# amaranth: UnusedElaboratable=no
"""The driver, unchanged, against the Verilated memory shell: registers and memory on AXI."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from quinnoa.graph.build import build
from quinnoa.graph.fold import fold_for_cycles
from quinnoa.graph.host import host_arrays
from quinnoa.graph.lower import load
from quinnoa.graph.writable import contents, shape_id
from quinnoa.platforms import memory_shell
from quinnoa.platforms.boards import board_named
from quinnoa.platforms.deploy import contents_file, frame_formats, write_deploy
from quinnoa.platforms.driver import registers
from quinnoa.platforms.memory_shell import MemoryShell
from quinnoa.platforms.top import bus_of
from quinnoa.sim import cocotb
from quinnoa.sim.axi_top import AXITop
from quinnoa.verilog import to_verilog
from tests.models import inputs, mlp
from tests.platforms.deployed import bitstream

WIDTHS = (48, 16, 10)
CYCLES = 24                              # a frame, at most
# Shells: board, network's identity, whether its weights can be written, and its buses.
SHELLS = {"zynq7": ("pynq-z2", 0x0123456789ABCDEF, False, "axi3"),
          "zynqmp": ("zcu104", 0x5555666677778888, False, "axi4"),
          "writable": ("pynq-z2", 0x1111222233334444, True, "axi3")}


def network_of(seed):
    """Return an MLP of 8-bit inputs, folded."""
    model = mlp(WIDTHS, w_bits=2, a_bits=2, i_bits=8, seed=seed, relu=True)
    return fold_for_cycles(load(model).renamed("mlp"), CYCLES)


def made(folder, name, network, images):
    """Make an accelerator in its shell, and its deploy folder; return shell, plan and folder."""
    board, identity, writable, _ = SHELLS[name]
    board = board_named(board)
    core, plan = build(network, writable=writable)
    control, memory = bus_of(board)
    ids = {"network_id": identity, "shape_id": shape_id(network) if writable else 0}
    shell = MemoryShell(core, *frame_formats(plan, board.word_bits), **ids, control=control,
                        memory=memory)
    folder.mkdir()
    write_deploy(folder / "deploy", network=network, plan=plan, board=board,
                 bitstream=bitstream(folder, board), host=host_arrays(network), **ids,
                 bound_cycles=plan.timing.cycles, images=images,
                 contents=contents(network, plan) if writable else None)
    return shell, plan, folder / "deploy"


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Build the accelerators, each in its shell and with its folder."""
    folder = tmp_path_factory.mktemp("bench")
    network, other = network_of(0), network_of(1)
    images = inputs(WIDTHS, 1000, i_bits=8)
    shells, folders = {}, {}
    for name in SHELLS:
        given = images[:60] if name == "writable" else images
        shells[name], plan, folders[name] = made(folder / name, name, network, given)
    shape = shape_id(network)
    weights = folder / "other.npz"
    weights.write_bytes(contents_file(contents(other, plan), shape, host_arrays(other)))
    np.save(folder / "others.npy", images[60:120])
    np.save(folder / "others_expected.npy", other.run(images[60:120]))
    (folder / "build").mkdir()
    built = cocotb.build(to_verilog(AXITop(shells), name="boards"), "boards", folder / "build")

    def run(name, test, *, batch=16, density=0.0, longest=1, seed=0, **task):
        report = folder / "report"
        report.write_text("{}")
        built.run("tests.platforms.driver_bench", test, {
            "shell": name, "control": SHELLS[name][-1], "memory": SHELLS[name][-1],
            "folder": str(folders[name]), "batch": batch, "density": density,
            "longest": longest, "seed": seed, "report": str(report), "weights": str(weights),
            "others": str(folder / "others.npy"),
            "others_expected": str(folder / "others_expected.npy"), **task})
        return json.loads(report.read_text())
    return SimpleNamespace(run=run, folders=folders)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zynq7", "zynqmp"])
def test_a_thousand_frames_are_exact_at_the_bound(bench, shell):
    report = bench.run(shell, "thousand", batch=250)
    assert 0.99 <= report["share"] <= 1, report["text"]


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zynq7", "zynqmp"])
def test_batches_under_way_are_exact_under_stalls(bench, shell):
    bench.run(shell, "batches", batch=40, density=0.3, longest=30, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("shell, density", [("zynq7", 0.4), ("zynqmp", 0)])
def test_an_abort_in_the_middle_of_a_frame_recovers(bench, shell, density):
    bench.run(shell, "aborts", batch=8, density=density, longest=20, seed=2, rounds=4,
              cycles=1000)


@pytest.mark.slow
def test_another_network_and_a_late_result_are_told(bench):
    other = str(bench.folders["writable"])
    bench.run("zynq7", "refusals", refused=[(other, (
        "the bitstream on the device is of network 0123456789abcdef, this folder is of network "
        "1111222233334444 (mlp): load mlp.bit"))])


@pytest.mark.slow
def test_weights_are_loaded_at_run_time(bench):
    bench.run("writable", "loads")


def test_the_map_is_that_of_the_gateware():
    names = {"BYTES": "BYTES_IN", "WRITES": "CONTENTS"}
    for name, address in memory_shell.REGISTERS.items():
        assert getattr(registers, names.get(name, name)) == address, name
    assert registers.BYTES_OUT == registers.BYTES_IN + 4
    assert (registers.MAGIC_VALUE, registers.VERSION_VALUE) == (
        memory_shell.MAGIC, memory_shell.VERSION)
    assert registers.MAGIC_VALUE.to_bytes(4, "big") == b"QNNA"
