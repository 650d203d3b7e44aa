"""The command line: each command parses, calls the flow, and prints. Nothing is decided here."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from quinnoa.errors import QuinnoaError
from quinnoa.options import (
    BramShare,
    Compiled,
    Family,
    Finn,
    FoldFile,
    Input,
    InputOffset,
    InputScale,
    Level,
    LutShare,
    Model,
    Pin,
    Reference,
    Top,
)

__all__ = ["main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Quantized ONNX networks to streaming FPGA accelerators.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; what a user can cause ends as one message and exit status 1."""
    try:
        app(args=arguments)
    except QuinnoaError as error:
        from rich.console import Console
        from rich.text import Text
        message = Text.assemble(("error: ", "bold red"), printable(str(error)))
        Console(stderr=True).print(message, soft_wrap=True)
        raise SystemExit(1) from None


def printable(text: str) -> str:
    """Return ``text`` with control characters, which a file's names may hold, spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _version(asked: bool) -> None:
    if asked:
        from quinnoa import __version__
        print(f"quinnoa {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


@app.command()
def check(
    model: Model,
    input: Input = None,
    input_scale: InputScale = 1.0,
    input_offset: InputOffset = 0.0,
    top: Top = None,
) -> None:
    """Show what each node of MODEL becomes, or every node that stops it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    with _progress() as progress:
        progress("reading the model")
        network = _load(model, input, input_scale, input_offset, top)
    table = Table()
    for heading in ("node", "operator", "becomes", "note"):
        table.add_column(heading, overflow="fold")
    for f in network.findings:
        table.add_row(*(Text(printable(word)) for word in (f.node, f.op, f.becomes, f.note)))
    console = Console()
    console.print(table)
    console.print(Text(printable(f"{network.name} can be compiled: {len(network.layers)} layers")))


@app.command("compile")
def compile_(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to "
                                                                               "make.")],
    fps: Annotated[float | None, typer.Option(
        metavar="N", min=0, help="The cheapest folds that reach N frames a second.")] = None,
    fold: FoldFile = None,
    device: Annotated[str | None, typer.Option(
        metavar="PART", help="The part to fit, such as xc7z020.")] = None,
    max: Annotated[bool, typer.Option(
        "--max", help="The fastest folds that fit --device.")] = False,
    pin: Pin = None,
    lut_share: LutShare = None,
    bram_share: BramShare = None,
    clock: Annotated[float, typer.Option(metavar="MHZ", min=0.001, help="The clock.")] = 100.0,
    input: Input = None,
    input_scale: InputScale = 1.0,
    input_offset: InputOffset = 0.0,
    top: Top = None,
    family: Annotated[Family | None, typer.Option(
        help="The device family to build for; that of --device by default, or else generic.")] =
        None,
    writable: Annotated[bool, typer.Option(
        "--writable", help="Weights and thresholds can be written at run time.")] = False,
    finn: Finn = False,
    force: Annotated[bool, typer.Option(
        "--force", help="Replace what DIR holds.")] = False,
) -> None:
    """Compile MODEL to Verilog and a report, in DIR."""
    if max and device is None:
        raise typer.BadParameter("needs --device PART", param_hint="--max")
    _check_folds(fps, fold, max)
    from quinnoa.flow import compile_network
    from quinnoa.report import show
    with _progress() as progress:
        progress("reading the model")
        network = _load(model, input, input_scale, input_offset, top)
        report = compile_network(
            network, output, fps=fps, fold_file=fold, device=device, maximum=max,
            clock_mhz=clock, family=family and family.value, pin_file=pin, lut_share=lut_share,
            bram_share=bram_share, writable=writable, finn=finn, force=force, progress=progress)
    show(report)
    print(f"{output / 'report.html'} shows it whole")


@app.command()
def simulate(
    folder: Compiled,
    input: Annotated[Path, typer.Option(metavar="X.npy", help="Frames, as the model takes them.")],
    labels: Annotated[Path | None, typer.Option(
        metavar="Y.npy", help="A class for each frame, for the accuracy.")] = None,
    level: Annotated[Level, typer.Option(
        help="The Verilog, the netlist that Yosys makes of it, or the integer model.")] = Level.rtl,
    against: Annotated[Reference | None, typer.Option(
        help="Compare with the ONNX file's own execution too.")] = None,
    limit: Annotated[int | None, typer.Option(
        metavar="N", min=1, help="Only the first N frames.")] = None,
) -> None:
    """Run frames through a compiled folder and compare them with the integer model."""
    from quinnoa.flow import simulate
    from quinnoa.report import measured
    with _progress() as progress:
        result = simulate(folder, input=input, labels=labels, level=level.value,
                          against=against and against.value, limit=limit, progress=progress)
    print(measured(result))
    wrong = {"integer model": result["mismatches"],
             "ONNX executor, its own rounding apart": result.get("mismatches_onnx")}
    for reference, count in wrong.items():
        if count:
            raise QuinnoaError(f"{count} of {result['frames']} frames differ from the {reference}")


@app.command()
def build(
    source: Annotated[Path, typer.Argument(
        metavar="MODEL|DIR", help="The network, an ONNX file; or a compiled folder.")],
    board: Annotated[str | None, typer.Option(
        metavar="NAME", help="One that `quinnoa boards` lists.")] = None,
    part: Annotated[str | None, typer.Option(
        metavar="PART", help="Instead of a board: place and time a DIR alone on a part such as "
                             "xc7z020clg400-1, by Vivado.")] = None,
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", metavar="DIR",
        help="The folder to make of a MODEL; build/MODEL-BOARD by default.")] = None,
    fps: Annotated[float | None, typer.Option(
        metavar="N", min=0, help="The cheapest folds that reach N frames a second.")] = None,
    fold: FoldFile = None,
    max: Annotated[bool, typer.Option(
        "--max", help="The fastest folds that fit the board.")] = False,
    pin: Pin = None,
    lut_share: LutShare = None,
    bram_share: BramShare = None,
    clock: Annotated[float | None, typer.Option(
        metavar="MHZ", min=0.001, help="The clock; the board's usual one by default.")] = None,
    input: Input = None,
    input_scale: InputScale = 1.0,
    input_offset: InputOffset = 0.0,
    top: Top = None,
    writable: Annotated[bool, typer.Option(
        "--writable", help="Weights and thresholds can be written at run time.")] = False,
    images: Annotated[Path | None, typer.Option(
        metavar="X.npy", help="Frames for deploy/validate.py.")] = None,
    labels: Annotated[Path | None, typer.Option(
        metavar="Y.npy", help="Their classes.")] = None,
    tool: Annotated[str | None, typer.Option(
        metavar="NAME", help="vivado, xc7open or ecp5; the board's usual one by default.")] = None,
    host: Annotated[str | None, typer.Option(
        metavar="[USER@]HOST[:PORT]", help="Where Vivado runs, over SSH; here by default.")] = None,
    baud: Annotated[int | None, typer.Option(
        metavar="N", min=1, help="Bits a second of a UART; 1,000,000 by default.")] = None,
    prepare: Annotated[bool, typer.Option(
        "--prepare", help="Write the tool's project and run nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what DIR holds.")] = False,
) -> None:
    """Build MODEL, or a compiled DIR, for a board: bitstream, driver and report."""
    from quinnoa.build import BAUD, build_bitstream, place_part
    from quinnoa.flow import compile_network
    from quinnoa.platforms.boards import board_named
    from quinnoa.platforms.top import clock_of
    from quinnoa.report import built
    compiled = source.is_dir()
    if (board is None) == (part is None) or (part and not compiled):
        raise typer.BadParameter("give a board, or the part that a compiled folder goes to alone",
                                 param_hint="--board, --part")
    if compiled:
        _refuse("a compiled folder is built as it is; these say how to compile", {
            "-o": output, "--fps": fps, "--fold": fold, "--max": max, "--pin": pin,
            "--lut-share": lut_share, "--bram-share": bram_share, "--input": input,
            "--input-scale": input_scale != 1, "--input-offset": input_offset != 0, "--top": top,
            "--writable": writable})
    _check_folds(fps, fold, max)
    if part is not None:
        _refuse("of no use without a board", {"--images": images, "--labels": labels,
                                              "--tool": tool, "--baud": baud, "--force": force})
        with _progress() as progress:
            report = place_part(source, part=part, clock_mhz=clock, host=host, prepare=prepare,
                                progress=progress)
        print(built(report, source))
        return
    assert board is not None
    chosen = board_named(board)
    folder = source if compiled else output or Path("build", f"{source.stem}-{chosen.name}")
    with _progress() as progress:
        if not compiled:
            progress("reading the model")
            network = _load(source, input, input_scale, input_offset, top)
            compile_network(
                network, folder, fps=fps, fold_file=fold, device=chosen.device.name, maximum=max,
                pin_file=pin, lut_share=lut_share, bram_share=bram_share,
                clock_mhz=clock_of(chosen, clock), writable=writable, force=force,
                progress=progress)
        report = build_bitstream(
            folder, board=chosen.name, clock_mhz=clock, toolchain=tool, host=host,
            baud=baud or BAUD, images=images, labels=labels, prepare=prepare, force=force,
            progress=progress)
    print(built(report, folder))
    for note in report.get("notes", []):
        print(note)


@app.command()
def explore(
    models: Annotated[list[Path], typer.Argument(
        metavar="MODEL…", help="Networks, ONNX files: such as precisions of one topology.")],
    device: Annotated[list[str], typer.Option(
        metavar="PART", help="A part, such as xc7z020; may be given again.")],
    output: Annotated[Path, typer.Option(
        "-o", "--output", metavar="DIR", help="The folder for results.")] = Path("explore"),
    points: Annotated[int, typer.Option(
        metavar="N", min=1, help="Folds of each model on each device, from the slowest to the "
                                 "fastest that fit.")] = 10,
    clock: Annotated[float, typer.Option(metavar="MHZ", min=0.001, help="The clock.")] = 100.0,
    input: Input = None,
    input_scale: InputScale = 1.0,
    input_offset: InputOffset = 0.0,
    top: Top = None,
    images: Annotated[Path | None, typer.Option(
        metavar="X.npy", help="Frames, for the accuracy.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="Y.npy", help="Their classes.")] = None,
    writable: Annotated[bool, typer.Option(
        "--writable", help="Weights and thresholds can be written at run time.")] = False,
    synthesis: Annotated[bool, typer.Option(
        "--synthesis", help="Synthesise each point by Yosys.")] = False,
    simulation: Annotated[bool, typer.Option(
        "--simulation", help="Run each point on Verilator.")] = False,
    scheduler: Annotated[str | None, typer.Option(
        metavar="ADDRESS", help="A Dask scheduler, such as tcp://host:8786; by default processes "
                                "of this machine.")] = None,
    workers: Annotated[int | None, typer.Option(
        metavar="N", min=1, help="How many of those.")] = None,
) -> None:
    """Compare MODELs, devices and folds: throughput, area, accuracy."""
    _check_input(input, input_scale, input_offset)
    if (images is None) != (labels is None):
        raise typer.BadParameter("go together", param_hint="--images, --labels")
    if scheduler is not None and workers is not None:
        raise typer.BadParameter("a cluster has its own", param_hint="--workers")
    from quinnoa.explore import explore, show
    with _progress() as progress:
        result = explore(
            models, output, devices=device, clock_mhz=clock, points=points,
            input=input and (input, input_scale, input_offset), top=top, images=images,
            labels=labels, writable=writable, synthesis=synthesis, simulation=simulation,
            scheduler=scheduler, workers=workers, progress=progress)
    show(result, output)
    if failed := result["failed"]:
        raise QuinnoaError(f"{len(failed)} could not be computed, the first because: "
                           f"{failed[0]['why']}; the same command tries them again")


@app.command()
def boards() -> None:
    """List the boards that can be built for."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from quinnoa.platforms.boards import BOARDS
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("board", "part", "shell", "built by"):
        table.add_column(heading, no_wrap=heading != "built by")
    for heading in ("MHz", "LUT", "BRAM36"):
        table.add_column(heading, justify="right")
    for board in BOARDS.values():
        table.add_row(board.name, board.part, board.shell, ", ".join(board.toolchains),
                      f"{board.clock_mhz:g}", f"{board.device.lut:,}", f"{board.device.bram36:,g}")
    Console().print(table)


@app.command()
def report(folder: Compiled, finn: Finn = False) -> None:
    """Draw DIR's report.html again and print its tables."""
    from quinnoa.report import read, refresh, show
    if finn:
        from quinnoa.finn import add_finn_to_folder
        add_finn_to_folder(folder)
    refresh(folder)
    show(*read(folder))
    print(f"{folder / 'report.html'} shows it whole")


def _refuse(why: str, options: dict[str, Any]) -> None:
    """Refuse options that are given where they do nothing."""
    if given := [name for name, value in options.items() if value not in (None, False)]:
        raise typer.BadParameter(why, param_hint=", ".join(given))


def _check_folds(fps: float | None, fold: Path | None, max: bool) -> None:
    """Refuse two ways to fold."""
    if sum((fps is not None, fold is not None, max)) > 1:
        raise typer.BadParameter("only one of --fps, --fold and --max sets the folds",
                                 param_hint="--fps, --fold, --max")


def _check_input(input: str | None, scale: float, offset: float) -> None:
    """Refuse a scale or an offset of raw integers where none enter."""
    if input is None and (scale, offset) != (1.0, 0.0):
        raise typer.BadParameter("needs --input TYPE", param_hint="--input-scale, --input-offset")


def _load(model: Path, input: str | None, scale: float, offset: float, top: int | None) -> Any:
    """Load a model whose input, where ``input`` names a type, are integers scaled so."""
    _check_input(input, scale, offset)
    from quinnoa.flow import load
    return load(model, input=input and (input, scale, offset), top=top)


@contextmanager
def _progress() -> Iterator[Callable[..., None]]:
    """Yield ``progress(stage, done=0, total=0)``, which shows on a terminal where a command is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    console = Console(stderr=True)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(),
                  TimeElapsedColumn(), console=console, transient=True,
                  disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def progress(stage: str, done: int = 0, total: int = 0) -> None:
            bar.update(task, description=stage, completed=done, total=total or None)

        yield progress


if __name__ == "__main__":
    main()
