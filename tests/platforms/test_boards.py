"""Tests of platforms/boards: parts and pins are those that the boards' makers publish."""

import tomllib
from pathlib import Path

import pytest
from amaranth.vendor import LatticeECP5Platform

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.boards import BOARDS, board_named

FACTS = tomllib.loads((Path(__file__).parent / "board_facts.toml").read_text())
WITH_PINS = [name for name, facts in FACTS.items() if "clock" in facts]


def pins_of(board, resource, number=0, part=None):
    """Return the pins of a resource of the board's Amaranth platform."""
    found = board.platform().lookup(resource, number)
    ios = found.ios[0] if part is None else next(io for io in found.ios if io.name == part).ios[0]
    return ios.names


def test_every_board_has_a_row_of_facts_with_its_source():
    assert list(BOARDS) == list(FACTS)
    assert len(BOARDS) == 14
    assert all(facts["source"] for facts in FACTS.values())


@pytest.mark.parametrize("name", FACTS)
def test_part_is_as_published(name):
    board = BOARDS[name]
    assert board.part == FACTS[name]["part"]
    platform = board.platform()
    if isinstance(platform, LatticeECP5Platform):
        built = f"{platform.device}-{platform.speed}{platform.package}"
        assert board.part.rstrip("CI") == built
    else:
        assert platform._part == board.part


@pytest.mark.parametrize("name", WITH_PINS)
def test_pins_are_as_published(name):
    board, facts = BOARDS[name], FACTS[name]
    assert pins_of(board, board.oscillator) == [facts["clock"]["pin"]]
    assert pins_of(board, board.uart, part="rx") == [facts["rx"]]
    assert pins_of(board, board.uart, part="tx") == [facts["tx"]]
    assert [pin for k in range(len(facts["leds"])) for pin in pins_of(board, "led", k)] \
        == facts["leds"]


@pytest.mark.parametrize("name", WITH_PINS)
def test_oscillator_is_as_published_and_as_the_platform_has_it(name):
    board = BOARDS[name]
    assert board.oscillator_mhz == FACTS[name]["clock"]["mhz"]
    clock = board.platform().lookup(board.oscillator).clock
    assert clock.frequency == board.oscillator_mhz * 1e6


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_has_a_ps_or_an_oscillator_and_a_uart(board):
    assert board.shell in ("zynq7", "zynqmp", "uart")
    has_ps = board.shell != "uart"
    assert (board.oscillator is None) == (board.uart is None) == has_ps
    assert board.word_bits == {"zynq7": 64, "zynqmp": 128, "uart": 32}[board.shell]
    assert board.family == {"zynq7": "xc7", "zynqmp": "xcup"}.get(board.shell, board.family)


def test_parts_of_boards_are_those_of_their_product_tables():
    # DS190, DS891, DS987, DS926, DS180, FPGA-DS-02012: LUT, FF, BRAM36, URAM, DSP.
    for name, counts in {
        "pynq-z1": (53_200, 106_400, 140, 0, 220), "zc706": (218_600, 437_200, 545, 0, 900),
        "ultra96-v2": (70_560, 141_120, 216, 0, 360), "zcu102": (274_080, 548_160, 912, 0, 2_520),
        "zcu104": (230_400, 460_800, 312, 96, 1_728), "kv260": (117_120, 234_240, 144, 64, 1_248),
        "rfsoc4x2": (425_280, 850_560, 1_080, 80, 4_272),
        "arty-a7-100t": (63_400, 126_800, 135, 0, 240), "ulx3s-85f": (83_640, 83_640, 104, 0, 156),
        "ecpix5-85f": (83_640, 83_640, 104, 0, 156),
    }.items():
        device = BOARDS[name].device
        assert (device.lut, device.ff, device.bram36, device.uram, device.dsp) == counts, name


@pytest.mark.parametrize("name", ["PYNQ-Z1", "pynq_z1", "PynqZ1", "pynq z1"])
def test_a_board_is_found_however_its_name_is_written(name):
    assert board_named(name) is BOARDS["pynq-z1"]


def test_an_unknown_board_is_told_with_the_nearest_and_all_there_are():
    with pytest.raises(QuinnoaError) as error:
        board_named("zcu105")
    assert str(error.value) == (
        "unknown board zcu105 (did you mean zcu104?); the boards are pynq-z1, pynq-z2, "
        "arty-z7-20, zedboard, zc706, ultra96-v2, zcu102, zcu104, kv260, rfsoc4x2, ulx3s-85f, "
        "ecpix5-85f, arty-a7-100t, nexys4-ddr")
    with pytest.raises(QuinnoaError, match="^unknown board toaster; the boards are pynq-z1, "):
        board_named("toaster")


def test_a_part_that_is_too_small_is_told_with_the_numbers():
    board = BOARDS["pynq-z1"]
    board.check_room(lut=53_200, ff=106_400, bram36=140, uram=0, dsp=220)
    with pytest.raises(QuinnoaError) as error:
        board.check_room(lut=53_201, ff=5, bram36=140.5, uram=1)
    assert str(error.value) == (
        "pynq-z1 (xc7z020) is too small: the design takes 53201 LUT of 53200, 140.5 BRAM36 of 140, "
        "1 URAM of 0; fold further, or take a larger board")
