"""The flow: from a model file to a compiled folder, and from there through simulation."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from quinnoa.arrays import accuracy, read_samples
from quinnoa.errors import QuinnoaError
from quinnoa.folder import check_folder, install, load_folder, settings_of, verilog_in, write
from quinnoa.process import Progress, silent

__all__ = ["budget_of", "check_clock", "compile_network", "fold", "load", "simulate", "solve"]

# Where nothing else is asked: a rate that small boards reach and a camera never asks.
DEFAULT_FPS = 10_000.0
# Faster than anything there is: beyond it figures are no figures any more.
MOST_MHZ = 10_000.0
LEVELS = ("model", "rtl", "gates")


def load(path, *, input=None, top=None):
    """Read a model; return its ``Network`` in integers.

    Parameters
    ----------
    path : path of an ONNX file
    input : InputType, (type, scale, offset) or type, optional
        Type of raw integers that enter the hardware, such as "uint8", and the affine map to what
        the file expects: scale * integer + offset; the integers themselves by default.
    top : int, optional
        End the hardware with the indices of the ``top`` greatest outputs.

    Raises ``ModelError`` for a file that is no sound model, ``UnsupportedModel`` for one that
    cannot be built, with every node that blocks.
    """
    from quinnoa.graph.lower import InputType
    from quinnoa.graph.lower import load as load_model
    if isinstance(input, str):
        input = InputType(input)
    elif isinstance(input, tuple):
        name, scale, offset = input
        input = InputType(name, scale=scale, offset=offset)
    return load_model(path, input=input, top=top)


def solve(network, **options):
    """Return the ``Solution``: the folds, what limits them, and what others would cost.

    Parameters
    ----------
    fps : float, optional
        The cheapest folds that reach it; by default 10,000, or as many as there can be.
    maximum : bool
        The fastest folds that fit the device, instead.
    device : str, optional
        Whose LUTs, block RAMs and UltraRAMs are weighed; a Zynq-7020's by default.
    clock_mhz : float
    family : str
    pin_file : path, optional
        A ``fold.toml`` that says what is given of some layers; the rest is found.
    lut_share, bram_share : float, optional
        The shares of the device that may be taken; 0.7 and 0.9 by default.
    writable : bool
        Reckon with weights and thresholds that can be written at run time.
    """
    return _fold(network, **options)[1]


def fold(network, **options):
    """Return the network folded: from a file, for frames a second, or as fast as a device holds.

    Takes the options of ``solve``; or ``fold_file``, and ``note``, which is told what the file of
    another tool says in vain.
    """
    return _fold(network, steps=False, **options)[0]


def check_clock(clock_mhz: float) -> None:
    """Refuse what is no clock."""
    if not 0 < clock_mhz <= MOST_MHZ:
        raise QuinnoaError(f"clock is {clock_mhz:g} MHz, but must be above 0 and at most "
                           f"{MOST_MHZ:,.0f}")


def _fold(network, *, fps=None, fold_file=None, device=None, maximum=False, clock_mhz=100.0,
          family="generic", pin_file=None, lut_share=None, bram_share=None, writable=False,
          steps=True, note: Callable[[str], None] = silent):
    """Return the folded network, and its solution; of a file of folds there is none."""
    from quinnoa.graph.finn_folding import finn_fold_from_file, is_finn_file
    from quinnoa.graph.fold import (
        fold_from_file,
        least_cycles,
        pins_from_file,
        solve_cycles,
        solve_fit,
        solve_fps,
    )

    if sum((fps is not None, fold_file is not None, bool(maximum))) > 1:
        raise QuinnoaError("--fps, --fold and --max exclude one another: give one of them")
    check_clock(clock_mhz)
    if maximum and device is None:
        raise QuinnoaError("--max needs a device to fill: give --device PART")
    for option, value in (("--pin", pin_file), ("--lut-share", lut_share),
                          ("--bram-share", bram_share)):
        if fold_file is not None and value is not None:
            raise QuinnoaError("--fold says how all layers fold: nothing is left for "
                               f"{option}")
    if fold_file is not None and is_finn_file(Path(fold_file)):
        return finn_fold_from_file(network, Path(fold_file), note=note), None
    if fold_file is not None:
        return fold_from_file(network, Path(fold_file)), None
    budget = budget_of(device, lut_share=lut_share, bram_share=bram_share)
    pins = None if pin_file is None else pins_from_file(network, Path(pin_file))
    options = {"family": family, "pins": pins, "writable": writable, "steps": steps}
    if maximum:
        solution = solve_fit(network, budget, **options)
    elif fps is None:
        target = max(int(clock_mhz * 1e6 / DEFAULT_FPS), least_cycles(network, pins))
        solution = solve_cycles(network, target, budget=budget, **options)
    else:
        solution = solve_fps(network, fps, clock_mhz, budget=budget, **options)
    return solution.network, solution


def budget_of(device, **shares):
    """Return what may be taken of a device, or of a Zynq-7020: the shares given, or the usual."""
    from quinnoa.graph.fold import DEFAULT_BUDGET, Budget
    from quinnoa.platforms.parts import part_named

    budget = DEFAULT_BUDGET
    if device:
        part = part_named(device)
        budget = Budget(lut=part.lut, bram36=part.bram36, uram=part.uram, ff=part.ff)
    for key, share in shares.items():
        if share is not None and not 0 < share <= 1:
            raise QuinnoaError(f"--{key.replace('_', '-')} is {share:g}, but must be above 0 and "
                               "at most 1")
    return replace(budget, **{key: share for key, share in shares.items() if share is not None})


def compile_network(network, folder, *, fps=None, fold_file=None, device=None, maximum=False,
                    clock_mhz=100.0, family=None, pin_file=None, lut_share=None, bram_share=None,
                    writable=False, finn=False, force=False,
                    progress: Progress = silent) -> dict[str, Any]:
    """Compile a network into a folder: Verilog, folds, report; return the report.

    The folder appears whole or not at all. One that was there is replaced only if it is a compiled
    folder, and only the files that were compiled; a ``fold.toml`` in it serves when nothing else
    says how to fold.

    Parameters
    ----------
    network : Network
        As ``load`` returns it.
    folder : path
    fps, fold_file, device, maximum, clock_mhz, pin_file, lut_share, bram_share
        As for ``solve`` and ``fold``.
    family : str, optional
        Device family; that of ``device`` by default, or else "generic".
    writable : bool
        Weights and thresholds can be written at run time: ``weights.npz`` holds this network's,
        and those of any other of the same shape and folds can take their place.
    finn : bool
        Put the figures of FINN's own cost model beside ours in the report.
    force : bool
        Write into a folder that holds other files, too.
    progress : callable
        Called with the name of each stage and the share done.
    """
    from quinnoa.finn import add_finn
    from quinnoa.graph.build import build
    from quinnoa.graph.fold import folds_as_toml
    from quinnoa.graph.writable import shape_id, widened
    from quinnoa.platforms.axistream import AxiStream
    from quinnoa.platforms.bare import BareTop
    from quinnoa.platforms.parts import part_named
    from quinnoa.report import refresh
    from quinnoa.rtl.families import FAMILIES
    from quinnoa.summary import summarise
    from quinnoa.verilog import to_verilog

    started = time.perf_counter()
    folder = Path(folder)
    check_folder(folder, force)
    if family is None:
        family = part_named(device).family if device else "generic"
    if family not in FAMILIES:
        raise QuinnoaError(f"unknown family {family}; known are {', '.join(FAMILIES)}")
    asked = (fps, fold_file, pin_file, lut_share, bram_share)
    if not any(each is not None for each in asked) and not maximum and (
            folder / "fold.toml").is_file():
        fold_file = folder / "fold.toml"

    progress("folding")
    notes: list[str] = []
    network, solution = _fold(
        network, fps=fps, fold_file=fold_file, device=device, maximum=maximum,
        clock_mhz=clock_mhz, family=family, pin_file=pin_file, lut_share=lut_share,
        bram_share=bram_share, writable=writable, note=notes.append)
    progress("building")
    accelerator, plan = build(network, family=FAMILIES[family], writable=writable)
    kind = BareTop if writable else AxiStream
    identities = {"shape_id": shape_id(network, FAMILIES[family])} if writable else {}
    top = kind(accelerator, beats_in=plan.beats_in, beats_out=plan.beats_out, **identities)
    progress("writing Verilog")
    verilog = to_verilog(top, name=network.name)

    progress("writing the report")
    folds = folds_as_toml(network)
    files: dict[str, bytes | dict[str, Any]] = {}
    if writable:
        files["weights.npz"] = _contents(network, plan, FAMILIES[family])
    network = widened(network) if writable else network
    report = summarise(network, plan, family=family, device=device, clock_mhz=clock_mhz)
    report["solution"] = (None if solution is None else
                          solution.planned(plan, family).as_dict())
    if notes:
        report["notes"] = notes
    if finn:
        add_finn(report, network)
    report["seconds"] = round(time.perf_counter() - started, 3)
    settings = settings_of(network, plan, folds, family=family, device=device,
                           clock_mhz=clock_mhz, writable=writable)
    files |= {
        f"{network.name}.v": verilog.encode(),
        "fold.toml": folds.encode(),
        "model.onnx": network.source,
        "build.json": settings,
        "report.json": report,
    }
    files |= _vivado_ip(top, network.name, family, device)
    install(folder, files)
    refresh(folder)
    return report


def _vivado_ip(top, name, family, device) -> dict[str, bytes]:
    """Return what makes the folder an IP of Vivado's catalog, where the family is Vivado's."""
    from quinnoa.platforms.ip import FAMILIES, component_xml, package_tcl
    from quinnoa.platforms.parts import part_named

    if family not in FAMILIES:
        return {}
    known = device is not None and part_named(device).family in FAMILIES
    part = {"part": part_named(device).name} if known else {}
    return {"component.xml": component_xml(top, name=name, family=family).encode(),
            "package_ip.tcl": package_tcl(top, name=name, family=family, **part).encode()}


def _contents(network, plan, family) -> bytes:
    """Return the file of a network's weights and thresholds, for any accelerator of its shape."""
    from quinnoa.graph.host import host_arrays
    from quinnoa.graph.writable import contents, shape_id
    from quinnoa.platforms.deploy import contents_file

    return contents_file(contents(network, plan), shape_id(network, family), host_arrays(network))


def simulate(folder, *, input, labels=None, level="rtl", against=None, limit=None,
             progress: Progress = silent) -> dict[str, Any]:
    """Run inputs through a compiled folder; write and return ``simulation.json``.

    Parameters
    ----------
    folder : path of a compiled folder
    input : path of a .npy file
        Frames along the first axis, as the ONNX file takes them.
    labels : path of a .npy file, optional
        The right class of each frame.
    level : "rtl", "gates" or "model"
        The Verilated RTL, the netlist that Yosys makes of it for the family's cells, or the numpy
        model of the integers.
    against : "onnx", optional
        Compare the outputs with the qonnx executor of the file, too.
    limit : int, optional
        Only so many frames.
    """
    from quinnoa.netlist import kept_netlist
    from quinnoa.report import refresh

    if level not in LEVELS:
        raise QuinnoaError(f"unknown level {level}; the levels are {', '.join(LEVELS)}")
    if against not in (None, "onnx"):
        raise QuinnoaError(f"cannot compare with {against}; --against takes onnx")
    started = time.perf_counter()
    folder = Path(folder)
    network, settings = load_folder(folder)
    x, y = read_samples(input, labels, limit=limit)

    progress("running the model")
    codes = network.encode(x)
    expected = network.run_integers(codes)
    result: dict[str, Any] = {"level": level, "frames": len(x), "mismatches": 0,
                              "cycles_per_frame": None, "latency": None, "accuracy": None}
    got = expected
    if level != "model":
        got = _simulate_verilog(folder, network, settings, level, codes, result, progress)
        frames = got.reshape(len(x), -1) != expected.reshape(len(x), -1)
        result["mismatches"] = int(frames.any(axis=1).sum())
    outputs = network.decode(got)
    if against == "onnx":
        progress("running the ONNX executor")
        from quinnoa.graph.compare import against_executor
        if network.input is None:
            x = x.astype(network.head.port.dtype, copy=False)
        comparison = against_executor(network, x, outputs)
        result["mismatches_onnx"] = comparison["mismatches"] - comparison["rounded"]
        # Frames in which a float32 sum of the executor itself rounds across a tie.
        result["executor_rounds"] = comparison["rounded"]
    if y is not None:
        result["accuracy"] = accuracy(outputs, y, network.top)
    if netlist := kept_netlist(folder, name=settings["name"], family=settings["family"]):
        result["netlist"] = netlist.figures
    result["seconds"] = round(time.perf_counter() - started, 3)
    stream = io.BytesIO()
    np.save(stream, outputs)
    write(folder / "outputs.npy", stream.getvalue())
    write(folder / "simulation.json", result)
    refresh(folder)
    return result


def _simulate_verilog(folder, network, settings, level, codes, result, progress) -> np.ndarray:
    """Stream the codes through the Verilated RTL or netlist; return the integers that come out."""
    from quinnoa.netlist import netlist_of
    from quinnoa.platforms.packing import pack, unpack
    from quinnoa.sim.gates import library
    from quinnoa.sim.verilator import simulate as verilate

    first, last = network.i, network.layers[-1].o
    name, family, frames = settings["name"], settings["family"], len(codes)
    words = pack(codes.reshape(-1, first.channels), first.shape, lanes=settings["i_lanes"])
    options: dict[str, Any] = {}
    verilog = verilog_in(folder, name)
    if level == "gates":
        netlist = netlist_of(folder, name=name, family=family, progress=progress)
        # A netlist is long, and run for few frames: nothing pays that takes the compiler longer.
        options = {"cells": library(family, netlist.figures["cells"]), "optimize": 0}
        verilog = netlist.verilog.read_text()
    what = "netlist" if level == "gates" else "RTL"
    progress(f"building the {what}")
    run = verilate(verilog, name, words, frames=frames, beats_in=settings["beats_in"],
                   beats_out=settings["beats_out"],
                   progress=lambda done, of: progress(f"running the {what}", done, of), **options)
    result["cycles_per_frame"] = run.cycles_per_frame
    result["latency"] = run.latency
    return unpack(run.words, last.shape, lanes=settings["o_lanes"],
                  elements=last.channels).reshape(frames, -1)
