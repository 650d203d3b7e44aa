"""Deploy folders of small networks, with bitstreams that no tool made."""

from functools import lru_cache

import numpy as np

from quinnoa.graph.host import host_arrays
from quinnoa.graph.lower import load
from quinnoa.graph.units import plan
from quinnoa.platforms.boards import board_named
from quinnoa.platforms.deploy import frame_formats, write_deploy
from quinnoa.platforms.driver.formats import FrameFormat
from quinnoa.rtl.families import GENERIC
from tests.models import inputs, mlp
from tests.platforms.shell_model import ShellModel
from tests.platforms.test_bitfile import LATTICE, xilinx

__all__ = ["NETWORK_ID", "SHAPE_ID", "bitstream", "deploy", "shell_of", "small"]

NETWORK_ID, SHAPE_ID = 0x0123456789ABCDEF, 0xFEDCBA9876543210
WIDTHS = (12, 8, 5)


@lru_cache
def small(seed=0, bits=2):
    """Return a small MLP as a network, the plan of it, and images."""
    network = load(mlp(WIDTHS, w_bits=2, a_bits=bits, i_bits=bits, seed=seed)).renamed("small")
    return network, plan(network, GENERIC), inputs(WIDTHS, 50, i_bits=bits, seed=seed)


def bitstream(folder, board):
    """Write a bitstream for a board; return its path."""
    path = folder / "made.bit"
    path.write_bytes(LATTICE if board.family == "ecp5" else xilinx(board.part))
    return path


def deploy(folder, board="pynq-z2", *, seed=0, bits=2, **options):
    """Deploy the small network; return what it is and its metadata."""
    network, planned, images = small(seed, bits)
    board = board_named(board)
    path = bitstream(folder, board)
    outputs = network.run(images)
    given = {"host": host_arrays(network), "network_id": NETWORK_ID, "bound_cycles": 7,
             "images": images, "labels": outputs.argmax(axis=1), **options}
    return network, write_deploy(folder / "deploy", network=network, plan=planned, board=board,
                                 bitstream=path, **given)


def shell_of(network, planned, word_bits=64, **options):
    """Return a model of the shell that computes what a network does."""
    formats = [FrameFormat.from_dict({**form.as_dict(), "dims": stream.dims}) for form, stream in
               zip(frame_formats(planned, word_bits), (network.i, network.layers[-1].o),
                   strict=True)]

    def compute(data):
        return formats[1].pack(network.run_integers(formats[0].unpack(data)))

    return ShellModel(compute, formats[0].bytes, formats[1].bytes,
                      **{"network_id": NETWORK_ID, **options})


def frames(network, count, seed=0):
    """Return random integers for the first layer."""
    low, high = network.head.encoding.low, network.head.encoding.high
    return np.random.default_rng(seed).integers(low, high + 1, (count, *network.i.dims))
