"""Trial: what synthesis and simulation say of a folded network, kept by its Verilog."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from quinnoa.native import cached
from quinnoa.synthesis import RECIPES, Cells, synthesise, yosys_version

__all__ = ["simulated", "synthesised", "verilog_of"]

TIMEOUT = 4 * 3600.0             # seconds of one synthesis


def verilog_of(network, planned) -> str:
    """Return the Verilog of a network that was planned, with AXI-Stream ports.

    Of a writable one with AXI4-Lite for its contents, too.
    """
    from quinnoa.graph.build import assemble
    from quinnoa.platforms.axistream import AxiStream
    from quinnoa.platforms.bare import BareTop
    from quinnoa.verilog import to_verilog

    kind = BareTop if planned.words else AxiStream
    top = kind(assemble(planned), beats_in=planned.beats_in, beats_out=planned.beats_out)
    return to_verilog(top, name=network.name)


def synthesised(verilog: str, *, name: str, family: str,
                progress: Callable[..., None] | None = None) -> dict[str, Any]:
    """Return what Yosys makes of some Verilog: ``lut``, ``ff``, ``bram36``, ``uram``, ``dsp``.

    What was synthesised once is kept in ``native.cache_folder()``. ``tool`` names the version,
    ``layers`` has the same figures of every unit.

    Raises
    ------
    QuinnoaError
        As ``synthesis.synthesise``.
    """
    def make(folder: Path) -> None:
        (folder / "source.v").write_text(verilog)
        cells = synthesise("source.v", top=name, family=family, folder=folder, outputs=[],
                           progress=progress, timeout=TIMEOUT)
        for made in list(folder.iterdir()):
            made.unlink()
        total = sum(cells.values(), Cells({}))
        (folder / "figures.json").write_text(json.dumps({
            **total.as_dict(), "tool": f"Yosys {yosys_version()}",
            "layers": {unit: count.as_dict() for unit, count in cells.items() if unit}}))

    key = verilog, family, RECIPES.get(family), yosys_version()
    figures: dict[str, Any] = json.loads(
        (cached("synthesis", key, make) / "figures.json").read_text())
    return figures


def simulated(verilog: str, network, planned, *, frames: int = 3) -> dict[str, Any]:
    """Return what the Verilated RTL does with random frames.

    ``cycles_per_frame`` and ``latency`` in cycles, ``mismatches`` with the integer model among
    ``frames``. Kept like what is synthesised.
    """
    from quinnoa.sim.verilator import version

    def make(folder: Path) -> None:
        (folder / "figures.json").write_text(json.dumps(_run(verilog, network, planned, frames)))

    key = verilog, frames, version()
    figures: dict[str, Any] = json.loads(
        (cached("simulation", key, make) / "figures.json").read_text())
    return figures


def _run(verilog, network, planned, frames) -> dict[str, Any]:
    from quinnoa.platforms.packing import pack, unpack
    from quinnoa.rtl.shapes import is_bipolar, range_of
    from quinnoa.sim.verilator import simulate

    i, o = network.i, network.layers[-1].o
    rng = np.random.default_rng(1)
    low, high = range_of(i.shape)
    dims = (frames * i.vectors, i.channels)
    x = (rng.choice([-1, 1], dims) if is_bipolar(i.shape) else
         rng.integers(low, high + 1, dims))
    run = simulate(verilog, network.name, pack(x, i.shape, lanes=planned.i_lanes), frames=frames,
                   beats_in=planned.beats_in, beats_out=planned.beats_out)
    got = unpack(run.words, o.shape, lanes=planned.o_lanes, elements=o.channels)
    expected = network.run_integers(x.reshape(frames, *i.dims))
    wrong = got.reshape(frames, -1) != expected.reshape(frames, -1)
    return {"frames": frames, "cycles_per_frame": run.cycles_per_frame, "latency": run.latency,
            "mismatches": int(wrong.any(axis=1).sum())}
