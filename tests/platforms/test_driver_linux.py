"""Tests of platforms/driver/linux.py, zynq.py, on_pynq.py and opening.py: on a fake file system."""

import mmap
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from quinnoa.platforms.driver import Accelerator, DriverError, opening
from quinnoa.platforms.driver import registers as at
from quinnoa.platforms.driver.linux import DMABuffers, Registers, load_firmware
from quinnoa.platforms.driver.on_pynq import PynqBuffers, is_pynq
from quinnoa.platforms.driver.opening import open_transport
from quinnoa.platforms.driver.zynq import PS, divisors
from tests.platforms.deployed import NETWORK_ID, deploy, shell_of, small

# Registers of the PS: UG585 and UG1087.
SLCR, AFI0 = 0xF8000000, 0xF8008000
CRL_APB, FPD_SLCR, AFIFM2 = 0xFF5E0000, 0xFD615000, 0xFD380000
PHYSICAL = 0x1E000000                    # of the buffer


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def root(tmp_path):
    """Return a file system as a Zynq-7000 has it: u-dma-buf, FPGA manager, device tree."""
    root = tmp_path / "root"
    buffer = root / "sys" / "class" / "u-dma-buf" / "udmabuf0"
    for name, value in (("phys_addr", f"{PHYSICAL:#x}"), ("size", "65536"), ("sync_offset", "0"),
                        ("sync_size", "65536"), ("sync_direction", "0"), ("sync_for_cpu", "0"),
                        ("sync_for_device", "0")):
        write(buffer / name, value + "\n")
    write(root / "dev" / "udmabuf0", bytes(65536))
    manager = root / "sys" / "class" / "fpga_manager" / "fpga0"
    for name, value in (("flags", "0"), ("firmware", ""), ("state", "operating\n")):
        write(manager / name, value)
    tree = root / "sys" / "firmware" / "devicetree" / "base"
    write(tree / "axi" / "slcr@f8000000" / "clkc@100" / "ps-clk-frequency",
          struct.pack(">I", 50_000_000))
    write(tree / "pss_ref_clk" / "clock-frequency", struct.pack(">I", 33_333_000))
    return root


class Words:
    """Physical memory of registers, sparse."""

    def __init__(self, values):
        self.values, self.log = dict(values), []

    def __call__(self, base, size):
        return SimpleNamespace(
            read32=lambda address: self.values.get(base + address, 0),
            write32=lambda address, value: self.write(base + address, value))

    def write(self, address, value):
        self.values[address] = value
        self.log.append(address)


# Clocks. A PYNQ-Z2: a crystal of 50 MHz, the IO PLL at 20 times that, FCLK0 = 1000 / (5 * 2) MHz.
ZYNQ7 = {SLCR + 0x108: 20 << 12, SLCR + 0x170: 2 << 20 | 5 << 8, SLCR + 0x178: 1}
# A ZCU104: 33.33 MHz, the IOPLL at 90 times that, halved; PL0 = 1500 / (5 * 3) MHz.
ZYNQMP = {CRL_APB + 0x20: 1 << 16 | 90 << 8, CRL_APB + 0xC0: 1 << 24 | 3 << 16 | 5 << 8}


@pytest.mark.parametrize("shell, values, clock_mhz", [
    ("zynq7", ZYNQ7, 100),
    ("zynq7", {**ZYNQ7, SLCR + 0x108: 20 << 12 | 1 << 4}, 5),          # the PLL is bypassed
    ("zynq7", {**ZYNQ7, SLCR + 0x170: 2 << 20 | 5 << 8 | 2 << 4, SLCR + 0x100: 26 << 12}, 130),
    ("zynqmp", ZYNQMP, 99.999),
    ("zynqmp", {**ZYNQMP, CRL_APB + 0xC0: 2 | 1 << 16 | 5 << 8, CRL_APB + 0x30: 45 << 8}, 299.997),
])
def test_reads_the_clock_of_the_pl(root, shell, values, clock_mhz):
    assert PS(shell, Words(values), root).clock_mhz == pytest.approx(clock_mhz)


@pytest.mark.parametrize("asked, reached", [(100, 100), (125, 125), (150, 1000 / 7),
                                            (200, 200), (66.666, 1000 / 15), (1, 1)])
def test_sets_the_fastest_clock_that_is_not_above(root, asked, reached):
    words = Words(ZYNQ7)
    ps = PS("zynq7", words, root)
    assert ps.set_clock(asked) == ps.clock_mhz == pytest.approx(reached)
    # Unlocked first; the gate opened, which Linux keeps shut.
    assert words.values[SLCR + 0x008] == 0xDF0D
    assert words.log.index(SLCR + 0x008) < words.log.index(SLCR + 0x170)
    assert words.values[SLCR + 0x178] == 0


def test_the_clock_of_an_mpsoc_keeps_its_pll_and_runs(root):
    words = Words({**ZYNQMP, CRL_APB + 0xC0: 3 << 16 | 5 << 8})
    assert PS("zynqmp", words, root).set_clock(200) == pytest.approx(1499.985 / 8)
    assert words.values[CRL_APB + 0xC0] == 1 << 24 | 1 << 16 | 8 << 8


@pytest.mark.parametrize("pll", [1000, 1333.333, 1499.985])
def test_no_divisors_are_better(pll):
    for asked in np.random.default_rng(0).uniform(1, 300, 30):
        first, second = divisors(pll, asked)
        clocks = pll / np.outer(np.arange(1, 64), np.arange(1, 64))
        assert pll / (first * second) == clocks[clocks <= asked * 1.001].max()
        assert 1 <= first <= 63 and 1 <= second <= 63


@pytest.mark.parametrize("asked, message", [
    (0, "clock is 0 MHz, but must be above 0"),
    (0.1, "a PLL of 1000 MHz gives no clock as slow as 0.1 MHz: the least is 0.252 MHz"),
])
def test_refuses_clocks_that_cannot_be(asked, message):
    with pytest.raises(DriverError, match=f"^{message}$"):
        divisors(1000, asked)


def test_refuses_a_clock_that_is_too_fast(root):
    with pytest.raises(DriverError, match=r"^the PL's clock is 100\.000 MHz, the accelerator was "
                                          r"built for 80 MHz$"):
        PS("zynq7", Words(ZYNQ7), root).check_clock(80)


def test_a_pll_that_is_not_known_is_said(root):
    with pytest.raises(DriverError, match="^the PL's clock comes from PLL 3, which this driver does"
                                          " not know: 0x01010303$"):
        _ = PS("zynqmp", Words({CRL_APB + 0xC0: 0x01010303}), root).clock_mhz


def test_the_crystal_must_be_known(tmp_path):
    with pytest.raises(DriverError, match="^the device tree does not say how fast the PS's crystal "
                                          "is: give crystal_mhz, "):
        PS("zynq7", Words(ZYNQ7), tmp_path).set_clock(100)
    assert PS("zynq7", Words(ZYNQ7), tmp_path, 33.333).clock_mhz == pytest.approx(66.666)


def test_ports_are_as_wide_as_the_shell(root):
    words = Words({AFI0: 0xF01, AFI0 + 0x14: 0xF01})
    PS("zynq7", words, root).set_widths()
    assert (words.values[AFI0], words.values[AFI0 + 0x14]) == (0xF00, 0xF00)
    words = Words({AFIFM2: 0x3B2, AFIFM2 + 0x14: 0x3B1, FPD_SLCR: 0x500})
    PS("zynqmp", words, root).set_widths()
    assert (words.values[AFIFM2], words.values[AFIFM2 + 0x14]) == (0x3B0, 0x3B0)
    assert words.values[FPD_SLCR] == 0x600


# Registers and buffers.

def test_registers_are_words_of_the_memory_from_their_base_on(root):
    memory = np.arange(4096, dtype="<u4")
    write(root / "dev" / "mem", memory.tobytes())
    registers = Registers(mmap.PAGESIZE, 8, root)
    first = mmap.PAGESIZE // 4
    assert (registers.read32(0), registers.read32(8)) == (first, first + 2)
    registers.write32(4, 0xFFFFFFFF)
    registers.close()
    memory[first + 1] = 0xFFFFFFFF
    assert (root / "dev" / "mem").read_bytes() == memory.tobytes()


def test_says_that_registers_need_root(root):
    with pytest.raises(DriverError, match="mem cannot be opened: No such file or directory; run as "
                                          "root$"):
        Registers(0, 4, root)


def test_buffers_are_handed_to_and_fro(root):
    buffers = DMABuffers(root=root)
    assert buffers.limit == 65536
    buffer = buffers.allocate(1000)
    assert buffer.address == PHYSICAL and len(buffer.array) == 1000
    settings = root / "sys" / "class" / "u-dma-buf" / "udmabuf0"

    def shown(action):
        return [int((settings / name).read_text(), 0)
                for name in ("sync_offset", "sync_size", "sync_direction", action)]

    buffer.array[64:68] = 1, 2, 3, 4
    buffer.to_device(64, 4)
    assert shown("sync_for_device") == [64, 4, 1, 1]
    buffer.from_device(128, 7)
    assert shown("sync_for_cpu") == [128, 7, 2, 1]
    buffer.free()
    assert (root / "dev" / "udmabuf0").read_bytes()[64:68] == bytes([1, 2, 3, 4])


def test_the_old_name_of_the_module_is_found_too(root):
    (root / "sys" / "class" / "u-dma-buf").rename(root / "sys" / "class" / "udmabuf")
    assert DMABuffers(root=root).name == "udmabuf0"


@pytest.mark.parametrize("make, message", [
    (lambda root: DMABuffers("udmabuf1", root),
     "^there is no udmabuf1: load the module, for example with `insmod u-dma-buf.ko "
     "udmabuf0=16777216`$"),
    (lambda root: DMABuffers(root=root).allocate(65537),
     "^udmabuf0 has 65536 bytes: 65537 are needed$"),
])
def test_says_which_buffer_is_missing_or_too_small(root, make, message):
    with pytest.raises(DriverError, match=message):
        make(root)


def test_buffers_of_pynq_are_flushed_and_forgotten(monkeypatch):
    log = []

    class Whole(np.ndarray):
        device_address = 0x1234_0000

        def flush(self):
            log.append(("flush", len(self)))

        def invalidate(self):
            log.append(("invalidate", len(self)))

        def freebuffer(self):
            log.append(("free", len(self)))

    fake = SimpleNamespace(Device=SimpleNamespace(active_device=1),
                           allocate=lambda shape, dtype: np.zeros(shape, dtype).view(Whole))
    monkeypatch.setitem(sys.modules, "pynq", fake)
    assert is_pynq()
    buffer = PynqBuffers().allocate(100)
    assert buffer.address == 0x1234_0000
    buffer.to_device(10, 20)
    buffer.from_device(0, 30)
    buffer.free()
    assert log == [("flush", 20), ("invalidate", 30), ("free", 100)]
    monkeypatch.setitem(sys.modules, "pynq", None)
    assert not is_pynq()


# Loading.

@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Deploy the small network for a PYNQ-Z2."""
    path = tmp_path_factory.mktemp("made")
    _, metadata = deploy(path)
    return metadata, path / "deploy"


def test_firmware_is_loaded_by_a_name_of_its_own(root, made):
    metadata, folder = made
    load_firmware(metadata, folder, root)
    name = f"quinnoa-{NETWORK_ID:016x}.bin"
    assert (root / "lib" / "firmware" / name).read_bytes() == (folder / "small.bin").read_bytes()
    assert (root / "sys" / "class" / "fpga_manager" / "fpga0" / "firmware").read_text() == name


def test_firmware_that_is_not_taken_is_said(root, made):
    write(root / "sys" / "class" / "fpga_manager" / "fpga0" / "state", "write error\n")
    with pytest.raises(DriverError, match="^small.bin was not loaded: the state of the FPGA manager"
                                          " is write error$"):
        load_firmware(*made, root)


def test_damaged_firmware_is_never_loaded(root, tmp_path):
    _, metadata = deploy(tmp_path)
    path = tmp_path / "deploy" / "small.bin"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DriverError, match="small.bin is damaged, or not of this folder: its "
                                          "SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}$"):
        load_firmware(metadata, tmp_path / "deploy", root)
    assert not (root / "lib").exists()


def test_a_linux_without_a_manager_is_said(made, tmp_path):
    with pytest.raises(DriverError, match="fpga0: this Linux has no FPGA manager; load small.bit in"
                                          " the boot loader, and use load=False$"):
        load_firmware(*made, tmp_path)


# The whole way, from the folder to the results, through files that are mapped.

class Board:
    """A Zynq-7000 as a file of registers and a file of memory: a thread plays the shell."""

    def __init__(self, root, monkeypatch):
        self.root, network, plan = root, *small()[:2]
        self.model = shell_of(network, plan)
        self.ps = Words(ZYNQ7)
        board = self

        class Window(Registers):
            """The PS's registers are played, those of the shell mapped."""

            def __new__(cls, base, size, root):
                if base != 0x4000_0000:
                    return board.ps(base, size)
                return super().__new__(cls)

            def __init__(self, base, size, root):
                super().__init__(0, size, root)

            def read32(self, address):
                board.step()
                return super().read32(address)

            def write32(self, address, value):
                super().write32(address, value)
                board.model.write32(address, value)

        monkeypatch.setattr(opening, "Registers", Window)
        write(root / "dev" / "mem", bytes(2 * at.CONTENTS))
        self.words = np.memmap(root / "dev" / "mem", "<u4", "r+")
        memory = np.memmap(root / "dev" / "udmabuf0", np.uint8, "r+")
        self.model.memory = SimpleNamespace(address=PHYSICAL, device=memory)
        self.step()

    def step(self):
        """Show in the registers what the shell has come to."""
        for address in range(0, 0x80, 4):
            self.words[address // 4] = self.model.read32(address)


def test_runs_from_the_folder_to_the_results(root, made, monkeypatch):
    metadata, folder = made
    network, _, images = small()
    board = Board(root, monkeypatch)
    monkeypatch.setitem(sys.modules, "pynq", None)
    with Accelerator(folder, root=root, batch=9) as accelerator:
        assert np.array_equal(accelerator.run(images), network.run(images))
    assert board.ps.values[SLCR + 0x170] >> 20 & 0x3F  # the clock was set
    assert (root / "lib" / "firmware").is_dir()
    sources = [value for address, value in board.model.log if address == at.SOURCE]
    assert sources and all(PHYSICAL <= value < PHYSICAL + 65536 for value in sources)


def test_what_is_loaded_already_is_left_alone(root, made, monkeypatch):
    network, _, images = small()
    board = Board(root, monkeypatch)
    monkeypatch.setitem(sys.modules, "pynq", None)
    with Accelerator(made[1], load=False, root=root) as accelerator:
        assert np.array_equal(accelerator.run(images[:3]), network.run(images[:3]))
    assert not board.ps.log and not (root / "lib").exists()


def test_a_clock_that_is_too_fast_for_what_is_loaded_is_refused(root, made, monkeypatch):
    board = Board(root, monkeypatch)
    monkeypatch.setitem(sys.modules, "pynq", None)
    board.ps.values[SLCR + 0x170] = 2 << 20 | 4 << 8
    with pytest.raises(DriverError, match=r"^the PL's clock is 125\.000 MHz, the accelerator was "
                                          r"built for 100 MHz$"):
        open_transport(*made, load=False, root=root)


def test_batches_of_a_slow_network_are_small(root, made, monkeypatch):
    """Each takes a quarter of a second, so that waiting for it says soon how far it came."""
    monkeypatch.setitem(sys.modules, "pynq", None)
    Board(root, monkeypatch)
    slow = {**made[0], "bound_cycles": 10 ** 7}
    for metadata, options, frames in ((slow, {}, 2), (slow, {"batch": 20}, 20), (made[0], {}, 128)):
        transport = open_transport(metadata, made[1], load=False, root=root, **options)
        assert transport.capacity == frames
        transport.close()


@pytest.mark.parametrize("change, message", [
    ({"shell": "uart"}, "^pynq-z2 is reached over a serial line: give port, for example "
                        "/dev/ttyUSB0$"),
    ({"shell": "pcie"}, "^this driver knows no shell 'pcie'$"),
])
def test_says_what_a_shell_needs(made, change, message):
    with pytest.raises(DriverError, match=message):
        open_transport({**made[0], **change}, made[1])
