"""Manual: what a deploy folder says of its accelerator, for people (README.md) and C (a header)."""

from collections.abc import Mapping
from typing import Any

from .driver.zynq import BASES
from .frames import FrameFormat

__all__ = ["c_header", "readme"]

Metadata = Mapping[str, Any]

_START = {
    "zynq7": "On a PYNQ image, or on any Linux with `/dev/mem`, an FPGA manager and "
             "[u-dma-buf](https://github.com/ikwzm/udmabuf), as root:",
    "uart": "Load `{bit}` as usual for the board (for example `openFPGALoader {bit}`), then on the "
            "machine that its serial port is plugged into:",
}
_START["zynqmp"] = _START["zynq7"]


def readme(metadata: Metadata, host: Metadata, *, samples: bool) -> str:
    """Return ``README.md``: how to run it, and every bit of its streams.

    Parameters
    ----------
    metadata : mapping
        ``accelerator.json``.
    host : mapping
        What ``host.npz`` says of head and tail.
    samples : bool
        Images are in the folder.
    """
    name, board, bit = metadata["name"], metadata["board"], metadata["bitstream"]["file"]
    uart = metadata["shell"] == "uart"
    option = " --port /dev/ttyUSB0" if uart else ""
    python = ', port="/dev/ttyUSB0"' if uart else ""
    sections = [
        f"# {name} on {board}\n\nMade by Quinnoa. Network {metadata['network_id']}, "
        f"{metadata['bound_cycles']} cycles a frame at {metadata['clock_mhz']:g} MHz: "
        f"{metadata['clock_mhz'] * 1e6 / metadata['bound_cycles']:.0f} frames/s.",
        "## Run it\n\n" + _START[metadata["shell"]].format(bit=bit) + "\n\n```sh\n"
        + f"python3 validate.py{option}\n```\n\n"
        + ("It runs `images.npy`, compares with `expected.npy`, and measures the rate.\n\n"
           if samples else "It measures the rate; no images were shipped.\n\n")
        + "```python\nfrom driver import Accelerator\n\n"
        + f'with Accelerator("."{python}) as accelerator:\n'
        + "    y = accelerator.run(x)              # as the ONNX file takes and gives\n"
        + "    batch = accelerator.submit(x)       # returns at once; several may be under way\n"
        + "    y = batch.wait()\n    print(accelerator.throughput(10000))\n```\n\n"
        + _needs(host) + ("" if uart else " Bare metal: `driver/c/quinnoa.h` and `accelerator.h`."),
    ]
    if not uart:
        sections.append(
            "Bare Linux: load u-dma-buf with at least 1 MiB (`insmod u-dma-buf.ko "
            "udmabuf0=16777216`). The driver loads the bitstream through "
            "`/sys/class/fpga_manager/fpga0`, and sets the clock and the width of the PS's ports "
            "through `/dev/mem`; with `load=False` (`--no-load`) it leaves all that as it is.")
    if metadata["writable"]:
        sections.append(
            "## Other weights\n\n`accelerator.load(\"weights.npz\")` loads the weights of any "
            f"network of shape {metadata['shape_id']}: one compiled with `--writable` and the same "
            "folds. The driver loads this folder's own when it opens.")
    sections += [f"## Frames in\n\n{_layout(metadata['input'])}",
                 f"## Frames out\n\n{_layout(metadata['output'])}"]
    return "\n\n".join(sections) + "\n"


def _needs(host: Metadata) -> str:
    """Say what the host's part of the network needs."""
    parts = host["head"], host["tail"]
    for part in parts:
        if part["kind"] is None:
            return (f"`driver/` needs Python 3.8 and numpy. It has `run_integers` alone, which "
                    f"takes and gives the accelerator's integers: {part['reason']}.")
    if nodes := [name for part in parts if part["nodes"] for name in part["operators"]]:
        return (f"`driver/` needs Python 3.8 and numpy; `run` needs onnxruntime, too, for what the "
                f"host computes of the file ({', '.join(dict.fromkeys(nodes))}). Without it "
                "`validate.py` compares integers.")
    return "`driver/` needs Python 3.8 and numpy alone."


def _format(values: Metadata) -> FrameFormat:
    return FrameFormat(**{key: value for key, value in values.items() if key != "dims"})


def _layout(values: Metadata) -> str:
    """Say where every element of a frame is."""
    form, dims = _format(values), values["dims"]
    channels = dims[-1]
    vectors = form.beats // -(-channels // form.lanes)
    stride = form.beats * form.lanes // vectors
    kind = ("bipolar: bit 0 is -1, bit 1 is +1" if form.bipolar else
            f"{'signed' if form.signed else 'unsigned'}, {form.bits} bits")
    if form.signed and form.bits < form.slot:
        kind += ", extended to its slot"
    index = "[v, c]" if vectors > 1 else "[c]"
    place = f"(v * {stride} + c)" if vectors > 1 else "c"
    lines = [
        f"- {form.bytes} bytes a frame, an array of dims {tuple(dims)}"
        + (f": {vectors} vectors of {channels} elements." if vectors > 1 else "."),
        f"- An element is {kind}, in a slot of {form.slot} bit{'s' * (form.slot > 1)}.",
        f"- Element {index} has its slot from bit {place} * {form.slot} on; bit b is bit b % 8 of "
        "byte b // 8.",
    ]
    if stride > channels:
        lines.append(f"- {stride - channels} slots of padding follow every vector: 0 on the way "
                     "in, any on the way out.")
    used = form.beats * form.lanes * form.slot
    if used < form.bytes * 8:
        lines.append(f"- The last {form.bytes * 8 - used} bits are 0: frames are whole words of "
                     f"{form.word_bits} bits.")
    lines.append(f"- In the accelerator: {form.beats} beats of {form.lanes} lanes.")
    return "\n".join(lines)


def c_header(metadata: Metadata) -> str:
    """Return ``accelerator.h``: ids, sizes and formats for ``quinnoa.h``."""
    base = BASES.get(metadata["shell"], 0)
    words = metadata["writable"]["words"] if metadata["writable"] else 0
    lines = ["/* The accelerator that this folder is for. Made by Quinnoa; see README.md. */",
             "#ifndef ACCELERATOR_H", "#define ACCELERATOR_H", ""]
    values: list[tuple[str, str]] = [
        ("BASE", f"0x{base:08X}UL"),
        ("NETWORK_ID", f"0x{metadata['network_id']}ULL"),
        ("SHAPE_ID", f"0x{metadata['shape_id']}ULL"),
        ("BOUND_CYCLES", f"{metadata['bound_cycles']}u"),
        ("CLOCK_HZ", f"{round(metadata['clock_mhz'] * 1e6)}UL"),
        ("CONTENTS_WORDS", f"{words}u")]
    for side, key in (("IN", "input"), ("OUT", "output")):
        form, dims = _format(metadata[key]), metadata[key]["dims"]
        vectors = form.beats // -(-dims[-1] // form.lanes)
        values += [(f"{side}_BYTES", f"{form.bytes}u"), (f"{side}_SLOT", f"{form.slot}u"),
                   (f"{side}_SIGNED", str(int(form.signed))),
                   (f"{side}_BIPOLAR", str(int(form.bipolar))),
                   (f"{side}_VECTORS", f"{vectors}u"), (f"{side}_CHANNELS", f"{dims[-1]}u"),
                   # Slots from one vector to the next, padding included.
                   (f"{side}_STRIDE", f"{form.beats * form.lanes // vectors}u")]
    lines += [f"#define QUINNOA_{name} {value}" for name, value in values]
    return "\n".join([*lines, "", "#endif", ""])
