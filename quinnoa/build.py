# amaranth: UnusedElaboratable=no
"""Build: a compiled folder becomes a board's bitstream, and a folder that runs it there."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinnoa.arrays import read_samples
from quinnoa.errors import QuinnoaError
from quinnoa.folder import load_folder, verilog_in, write
from quinnoa.process import Progress, silent

if TYPE_CHECKING:
    from quinnoa.graph.network import Network
    from quinnoa.platforms.boards import Board
    from quinnoa.platforms.toolchains import plan as plans
    from quinnoa.platforms.toolchains.tool import Result

__all__ = ["BAUD", "build_bitstream", "place_part"]

# Bits a second of a UART: what the USB bridges of all boards here can do.
BAUD = 1_000_000
# Frames that `validate.py` is given, at most: a deploy folder stays small.
SAMPLES = 1000
# Of a compiled folder: what runs it on a board.
DEPLOY = "deploy"


def build_bitstream(folder: Path | str, *, board: str, clock_mhz: float | None = None,
                    toolchain: str | None = None, host: str | None = None, baud: int = BAUD,
                    images: Path | str | None = None, labels: Path | str | None = None,
                    prepare: bool = False, force: bool = False,
                    progress: Progress = silent) -> dict[str, Any]:
    """Build a compiled folder for a board; return its report, with ``build`` in it.

    The tool's files go to a folder named after the board; ``deploy/`` appears when there is a
    bitstream that meets its clock, and not before.

    Parameters
    ----------
    folder : path of a compiled folder
        Compiled for the family of the board's device.
    board : str
    clock_mhz : float, optional
        The folder's by default.
    toolchain : str, optional
        One of the board's; the first by default.
    host : str, optional
        ``[USER@]NAME[:PORT]`` with Vivado, reached over SSH; here by default.
    baud : int
        Of the UART of a board without a processor.
    images, labels : paths of .npy files, optional
        Frames as the ONNX file takes them, and their classes, for ``validate.py``.
    prepare : bool
        Write the tool's files, and run nothing.
    force : bool
        Keep what another put into ``deploy/``, and write it all the same.
    """
    from quinnoa.platforms.boards import board_named
    from quinnoa.platforms.deploy import check_folder
    from quinnoa.report import read

    folder, chosen = Path(folder), board_named(board)
    network, settings = load_folder(folder)
    if settings["family"] != chosen.family:
        raise QuinnoaError(f"{folder} was compiled for {settings['family']}, but {chosen.name}'s "
                           f"{chosen.device.name} is {chosen.family}; build the model itself, or "
                           f"compile with --device {chosen.device.name}")
    report = read(folder)[0]
    chosen.check_room(**report["totals"])
    x, y = _samples(network, images, labels)
    # Now, and not when the tool has run for an hour.
    check_folder(folder / DEPLOY, force)

    progress(f"preparing the project for {chosen.title}")
    plan, deploy = _prepare(folder, network, settings, chosen, toolchain=toolchain, baud=baud,
                            clock_mhz=settings["clock_mhz"] if clock_mhz is None else clock_mhz)
    report["build"] = {"board": chosen.name}
    result = _run(plan, folder, chosen.name, report, host=host, prepare=prepare, progress=progress)
    if result is None:
        return report
    if not result.met:
        raise QuinnoaError(f"{result.explain()}\nThe bitstream stays in {folder / chosen.name}; "
                           f"{folder / DEPLOY} is not written")
    progress("writing the deploy folder")
    deploy(result.bitstream, report, images=x, labels=y, force=force)
    return report


def place_part(folder: Path | str, *, part: str, clock_mhz: float | None = None,
               host: str | None = None, prepare: bool = False,
               progress: Progress = silent) -> dict[str, Any]:
    """Place and time a compiled folder's Verilog alone, out of context, by Vivado.

    There are no pins, so there is no bitstream: the report gets the area and the clock reached.

    Parameters
    ----------
    folder : path of a compiled folder
    part : str
        With package and speed grade: xc7z020clg400-1.
    clock_mhz, host, prepare
        As for ``build_bitstream``.
    """
    from quinnoa.flow import check_clock
    from quinnoa.platforms.parts import part_named
    from quinnoa.platforms.toolchains.vivado import out_of_context
    from quinnoa.report import read

    folder, device = Path(folder), part_named(part)
    network, settings = load_folder(folder)
    if part.lower() == device.name:
        raise QuinnoaError(f"{part} is no whole part: package and speed grade are missing, such as "
                           "in xc7z020clg400-1")
    if settings["family"] != device.family:
        raise QuinnoaError(f"{folder} was compiled for {settings['family']}, but {device.name} is "
                           f"{device.family}; compile with --device {device.name}")
    report = read(folder)[0]
    clock_mhz = settings["clock_mhz"] if clock_mhz is None else clock_mhz
    check_clock(clock_mhz)
    plan = out_of_context(verilog_in(folder, network.name), name=network.name, part=part,
                          clock_mhz=clock_mhz,
                          layers=tuple(layer["name"] for layer in report["layers"]))
    report["build"] = {"board": None}
    result = _run(plan, folder, part, report, host=host, prepare=prepare, progress=progress)
    if result is not None and not result.met:
        raise QuinnoaError(result.explain())
    return report


def _run(plan: "plans.Plan", folder: Path, into: str, report: dict[str, Any], *, host: str | None,
         prepare: bool, progress: Progress) -> "Result | None":
    """Write a tool's project and run it there; add what came of it to the report."""
    from quinnoa.platforms.toolchains.plan import execute
    from quinnoa.report import refresh

    project = folder / into
    try:
        plan.files.extract(project)
    except OSError as error:
        raise QuinnoaError(f"{project} cannot be written: {error.strerror}") from None
    report["build"] |= {"part": plan.part, "toolchain": plan.toolchain,
                        "clock_mhz": plan.clock_mhz, "project": str(project)}
    if prepare:
        return None
    try:
        result = execute(plan, project, host=host, progress=progress)
    except QuinnoaError as error:
        raise QuinnoaError(f"{error}\nThe project is in {project}, whole: {plan.files.script}.sh "
                           "in it runs the tool") from None
    report["build"] |= _outcome(result)
    write(folder / "report.json", report)
    refresh(folder)
    return result


def _samples(network: "Network", images: Path | str | None, labels: Path | str | None,
             ) -> tuple[Any, Any]:
    """Return the frames and classes for ``validate.py``, checked before any tool runs."""
    if images is None:
        if labels is not None:
            raise QuinnoaError("labels are of no use without images: give --images too")
        return None, None
    x, y = read_samples(images, labels, limit=SAMPLES)
    network.encode(x)
    return x, y


def _prepare(folder: Path, network: "Network", settings: dict[str, Any], board: "Board", *,
             toolchain: str | None, baud: int, clock_mhz: float,
             ) -> tuple["plans.Plan", Callable[..., None]]:
    """Return the tool's plan for a network on a board, and what writes its deploy folder."""
    from quinnoa.graph.build import build
    from quinnoa.graph.host import host_arrays
    from quinnoa.graph.writable import contents, shape_id
    from quinnoa.platforms.deploy import frame_formats, write_deploy
    from quinnoa.platforms.identity import network_id
    from quinnoa.platforms.toolchains.plan import plan_for
    from quinnoa.platforms.top import clock_of
    from quinnoa.rtl.families import FAMILIES

    family, writable = FAMILIES[board.family], settings["writable"]
    core, planned = build(network, family=family, writable=writable)
    formats = frame_formats(planned, board.word_bits)
    verilog = verilog_in(folder, network.name)
    ids = {"network_id": network_id(verilog, *formats),
           "shape_id": shape_id(network, family) if writable else 0}
    clock_mhz = clock_of(board, clock_mhz)
    shell = _shell(core, formats, board, ids, clock_mhz=clock_mhz, baud=baud)
    plan = plan_for(board, shell, name=network.name, clock_mhz=clock_mhz, toolchain=toolchain,
                    layers=tuple(unit.name for unit in planned.units))

    def deploy(bitstream: Path, report: dict[str, Any], **options: Any) -> None:
        write_deploy(folder / DEPLOY, network=network, plan=planned, board=board,
                     bitstream=bitstream, host=host_arrays(network), **ids,
                     bound_cycles=report["bound_cycles"], clock_mhz=plan.clock_mhz,
                     contents=contents(network, planned) if writable else None,
                     baud=baud if board.shell == "uart" else None, **options)

    return plan, deploy


def _shell(core: Any, formats: tuple[Any, Any], board: "Board", ids: dict[str, int], *,
           clock_mhz: float, baud: int) -> Any:
    """Return the shell of a board around a core."""
    from quinnoa.platforms.memory_shell import MemoryShell
    from quinnoa.platforms.top import bus_of
    from quinnoa.platforms.uart import UARTShell

    i_format, o_format = formats
    if board.shell == "uart":
        return UARTShell(core, i_format=i_format, o_format=o_format, **ids,
                         clock_hz=round(clock_mhz * 1e6), baud=baud)
    control, memory = bus_of(board)
    return MemoryShell(core, i_format, o_format, **ids, control=control, memory=memory)


def _outcome(result: "Result") -> dict[str, Any]:
    """Return what a report says of a build."""
    def area(of: Any) -> dict[str, float]:
        return {key: getattr(of, key) for key in ("lut", "ff", "bram36", "uram", "dsp")}

    return {"tool": f"{result.tool.name} {result.tool.version}",
            "reached_mhz": round(result.reached_mhz, 2), "met": result.met, "worst": result.worst,
            **area(result.area),
            "layers": {name: area(need) for name, need in result.layers.items()}}
