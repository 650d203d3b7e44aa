"""Tests of platforms/deploy.py and manual.py."""

import ast
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.graph.host import host_arrays
from quinnoa.graph.lower import load
from quinnoa.graph.units import plan
from quinnoa.platforms import deploy as deploying
from quinnoa.platforms.boards import board_named
from quinnoa.platforms.deploy import write_deploy
from quinnoa.platforms.driver.formats import FrameFormat
from quinnoa.platforms.manual import readme
from quinnoa.rtl.families import GENERIC
from tests.platforms.deployed import NETWORK_ID, bitstream, deploy, frames, small

DRIVER = Path(deploying.__file__).parent / "driver"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Deploy for a PYNQ-Z2."""
    path = tmp_path_factory.mktemp("made")
    return *deploy(path), path / "deploy"


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def test_all_that_a_board_needs_is_there(made):
    _, metadata, folder = made
    names = set(files(folder))
    assert {"small.bit", "small.bin", "accelerator.json", "accelerator.h", "host.npz", "README.md",
            "validate.py", "images.npy", "labels.npy", "expected.npy", "driver/__init__.py",
            "driver/accelerator.py", "driver/c/quinnoa.h"} <= names
    assert names == {*metadata["files"], "accelerator.json"}
    assert json.loads((folder / "accelerator.json").read_text()) == metadata


def test_every_file_is_as_the_metadata_say(made):
    _, metadata, folder = made
    content = files(folder)
    for name, digest in metadata["files"].items():
        assert hashlib.sha256(content[name]).hexdigest() == digest, name
    for part in ("bitstream", "firmware", "host"):
        entry = metadata[part]
        assert hashlib.sha256(content[entry["file"]]).hexdigest() == entry["sha256"]


def test_the_same_input_gives_the_same_folder(made, tmp_path):
    deploy(tmp_path)
    assert files(tmp_path / "deploy") == files(made[2])


def test_the_driver_runs_without_quinnoa(made):
    """What it imports is its own, numpy's, or Python's; and it reads its folder alone."""
    script = ("import sys; sys.modules['quinnoa'] = sys.modules['amaranth'] = None\n"
              "from pathlib import Path; import numpy as np\n"
              "from driver.host import Host; from driver.accelerator import read_metadata\n"
              "m = read_metadata(Path('.'))\n"
              "h = Host.read(Path(m['host']['file']), m['host']['sha256'])\n"
              "x = np.load('images.npy')\n"
              "print(h.encode(h.checked(x)).sum())")
    out = subprocess.run([sys.executable, "-c", script], cwd=made[2], check=True,
                         capture_output=True, text=True, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert int(out.stdout) == made[0].encode(small()[2]).sum()


@pytest.mark.parametrize("path", sorted(DRIVER.rglob("*.py")), ids=lambda path: path.name)
def test_the_driver_is_python_3_8(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    known = {"numpy", "pynq", "onnxruntime", "__future__"} | set(sys.stdlib_module_names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= known
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.split(".")[0] in known
        elif isinstance(node, ast.Call):
            assert not any(k.arg == "strict" for k in node.keywords)


def test_validate_says_what_is_missing(made):
    out = subprocess.run([sys.executable, "validate.py", "--no-load"], cwd=made[2],
                         capture_output=True, text=True, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert out.returncode == 1 and out.stderr.startswith("error: ")


def test_images_may_be_left_out(tmp_path):
    _, metadata = deploy(tmp_path, images=None, labels=None)
    assert not {"images.npy", "labels.npy", "expected.npy"} & set(metadata["files"])
    assert "no images were shipped" in (tmp_path / "deploy" / "README.md").read_text()


def test_a_board_without_a_processor_gets_no_firmware(tmp_path):
    _, metadata = deploy(tmp_path, "ulx3s-85f", baud=3_000_000)
    assert "small.bin" not in metadata["files"]
    assert (metadata["baud"], metadata["input"]["word_bits"]) == (3_000_000, 32)
    assert "python3 validate.py --port /dev/ttyUSB0" in (
        tmp_path / "deploy" / "README.md").read_text()


def test_deploys_what_a_network_of_images_needs(tmp_path):
    examples = Path(__file__).parents[2] / "examples"
    network = load(examples / "images" / "cnv_w1a1.onnx")
    images = np.load(examples / "images" / "images.npy")[:4]
    board = board_named("ultra96-v2")
    write_deploy(tmp_path / "deploy", network=network, plan=plan(network, GENERIC), board=board,
                 bitstream=bitstream(tmp_path, board), host=host_arrays(network), network_id=1,
                 bound_cycles=1, images=images)
    metadata = json.loads((tmp_path / "deploy" / "accelerator.json").read_text())
    form = FrameFormat.from_dict(metadata["input"])
    codes = network.encode(images)
    assert np.array_equal(form.unpack(form.pack(codes)), codes)


# What was there before.

def test_its_own_folder_is_replaced(tmp_path):
    deploy(tmp_path)
    (tmp_path / "deploy" / "driver" / "__pycache__").mkdir()
    (tmp_path / "deploy" / "driver" / "__pycache__" / "host.pyc").write_text("x")
    _, metadata = deploy(tmp_path, seed=1)
    content = files(tmp_path / "deploy")
    assert set(content) == {*metadata["files"], "accelerator.json"}
    assert hashlib.sha256(content["host.npz"]).hexdigest() == metadata["host"]["sha256"]


@pytest.mark.parametrize("name", ["notes.txt", "driver/mine.py", "README.md"])
def test_what_is_not_ours_stops_it(tmp_path, name):
    deploy(tmp_path)
    (tmp_path / "deploy" / name).write_text("mine")
    before = files(tmp_path / "deploy")
    with pytest.raises(QuinnoaError, match=rf"deploy holds what was not written here, or was "
                                           rf"changed since: {name}; move it away, or --force$"):
        deploy(tmp_path, seed=1)
    assert files(tmp_path / "deploy") == before


def test_force_keeps_what_is_not_ours(tmp_path):
    deploy(tmp_path)
    (tmp_path / "deploy" / "notes.txt").write_text("mine")
    deploy(tmp_path, seed=1, force=True)
    assert (tmp_path / "deploy" / "notes.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "deploy", tmp_path / "made.bit"] or (
        {path.name for path in tmp_path.iterdir()} == {"deploy", "made.bit"})


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    deploy(tmp_path)
    before = files(tmp_path / "deploy")
    write, left = Path.write_bytes, [5]

    def failing(path, data):
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")
        return write(path, data)

    # The bitstream itself is the first of the five.
    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(QuinnoaError, match="deploy cannot be written: No space left on device$"):
        deploy(tmp_path, seed=1)
    assert files(tmp_path / "deploy") == before
    assert {path.name for path in tmp_path.iterdir()} == {"deploy", "made.bit"}


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "deploy").write_text("mine")
    with pytest.raises(QuinnoaError, match="deploy is a file, not a folder; give another name$"):
        deploy(tmp_path)


# Wrong input.

@pytest.mark.parametrize("keep, message", [
    (slice(200), r"^made\.bit is not whole: its header says 792 bytes, \d+ are there$"),
    (slice(0), r"^made\.bit is no bitstream: it has 0 bytes and begins with nothing$"),
])
def test_a_bitstream_that_is_not_whole_stops_it(tmp_path, keep, message):
    network, planned, _ = small()
    board = board_named("pynq-z2")
    path = bitstream(tmp_path, board)
    path.write_bytes(path.read_bytes()[keep])
    with pytest.raises(QuinnoaError, match=message):
        write_deploy(tmp_path / "deploy", network=network, plan=planned, board=board,
                     bitstream=path, host=host_arrays(network), network_id=NETWORK_ID,
                     bound_cycles=7)
    assert not (tmp_path / "deploy").exists()


def test_a_bitstream_for_another_part_stops_it(tmp_path):
    network, planned, _ = small()
    path = bitstream(tmp_path, board_named("zedboard"))
    with pytest.raises(QuinnoaError, match="^made.bit is for xc7z020clg484-1, not for "
                                           "xc7z020clg400-1$"):
        write_deploy(tmp_path / "deploy", network=network, plan=planned,
                     board=board_named("pynq-z2"), bitstream=path, host=host_arrays(network),
                     network_id=NETWORK_ID, bound_cycles=7)


def test_labels_must_be_as_many_as_images(tmp_path):
    with pytest.raises(QuinnoaError, match="^49 labels for 50 images$"):
        deploy(tmp_path, labels=np.zeros(49, int))


def test_a_host_part_of_another_network_stops_it(tmp_path):
    with pytest.raises(QuinnoaError, match="^small: the driver's head and tail differ from the "
                                           "network's$"):
        deploy(tmp_path, host=host_arrays(small(seed=1)[0]))


# What it says of the streams.

def test_the_layout_is_told_bit_by_bit(made):
    text = (made[2] / "README.md").read_text()
    assert text.endswith("""## Frames in

- 8 bytes a frame, an array of dims (12,).
- An element is signed, 2 bits, in a slot of 2 bits.
- Element [c] has its slot from bit c * 2 on; bit b is bit b % 8 of byte b // 8.
- The last 40 bits are 0: frames are whole words of 64 bits.
- In the accelerator: 12 beats of 1 lanes.

## Frames out

- 8 bytes a frame, an array of dims (5,).
- An element is signed, 4 bits, in a slot of 4 bits.
- Element [c] has its slot from bit c * 4 on; bit b is bit b % 8 of byte b // 8.
- The last 44 bits are 0: frames are whole words of 64 bits.
- In the accelerator: 5 beats of 1 lanes.
""")


@pytest.mark.parametrize("change, message", [
    ({}, "`driver/` needs Python 3.8 and numpy alone."),
    ({"nodes": True, "operators": ["Softmax", "Mul"]},
     "`run` needs onnxruntime, too, for what the host computes of the file (Softmax, Mul). Without "
     "it `validate.py` compares integers."),
    ({"kind": None, "reason": "why"}, "It has `run_integers` alone, which takes and gives the "
                                      "accelerator's integers: why."),
])
def test_says_what_the_host_needs(made, change, message):
    tail = {"kind": "table", "nodes": False}
    text = readme(made[1], {"head": {**tail, **change}, "tail": tail}, samples=True)
    assert message in text


def test_the_layout_told_is_that_of_the_driver(made):
    network, metadata, _ = made
    form = FrameFormat.from_dict(metadata["input"])
    values = frames(network, 3)
    data = form.pack(values)
    for frame, element in ((0, 0), (1, 7), (2, 11)):
        bits = [data[frame, b // 8] >> b % 8 & 1 for b in (element * 2, element * 2 + 1)]
        assert bits[0] + 2 * bits[1] == values[frame, element] % 4
