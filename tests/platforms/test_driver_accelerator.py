"""Tests of platforms/driver/accelerator.py and validate.py, against a model of the shell."""

import json
import re

import numpy as np
import pytest

from quinnoa.graph.host import host_arrays
from quinnoa.platforms.deploy import contents_file
from quinnoa.platforms.driver import Accelerator, DriverError, DriverTimeout, registers
from quinnoa.platforms.driver.memory import MemoryTransport
from quinnoa.platforms.driver.validate import validate
from tests.platforms.deployed import NETWORK_ID, SHAPE_ID, deploy, frames, shell_of, small
from tests.platforms.shell_model import Clock


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Deploy the small network."""
    path = tmp_path_factory.mktemp("small")
    deploy(path)
    return path / "deploy"


def opened(folder, *, batch=8, seed=0, **options):
    """Open the accelerator on a model of its shell; return both."""
    network, plan, _ = small(seed)
    shell, clock = shell_of(network, plan, **options), Clock()
    transport = MemoryTransport(shell, shell, batch=batch, sleep=clock.sleep, clock=clock)
    return Accelerator(folder, transport), shell


def test_runs_as_the_simulator_does(folder):
    network, _, images = small()
    accelerator, _ = opened(folder)
    outputs, expected = accelerator.run(images), network.run(images)
    assert outputs.dtype == expected.dtype
    assert np.array_equal(outputs, expected)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 50])
def test_batches_of_any_size_are_cut_to_what_fits(folder, count):
    network, _, images = small()
    accelerator, shell = opened(folder)
    assert np.array_equal(accelerator.run(images[:count]), network.run(images[:count]))
    sizes = [value for address, value in shell.log if address == registers.FRAMES]
    assert sum(sizes) == count and max(sizes, default=0) <= 8


def test_integers_go_through_as_they_are(folder):
    network, _, _ = small()
    accelerator, _ = opened(folder)
    codes = frames(network, 20)
    assert np.array_equal(accelerator.run_integers(codes), network.run_integers(codes))
    with pytest.raises(DriverError, match=r"^input takes integers in \[-2, 1\]: 2 is among "):
        accelerator.run_integers(np.full((1, 12), 2))


def test_batches_under_way_are_waited_for_in_any_order(folder):
    network, _, images = small()
    accelerator, _ = opened(folder)
    parts = [images[:3], images[3:30], images[30:31], images[31:]]
    batches = [accelerator.submit(part) for part in parts]
    for batch, part in reversed(list(zip(batches, parts, strict=True))):
        assert np.array_equal(batch.wait(), network.run(part))
        assert batch.done == len(part)
    assert np.array_equal(batches[1].wait(), network.run(parts[1]))


def test_work_is_queued_while_results_are_read(folder):
    """As long as a large batch is under way, the accelerator never waits for the host."""
    accelerator, shell = opened(folder, cycles=400)
    queued = []
    write = shell.write32

    def watched(address, value):
        write(address, value)
        if address == registers.FRAMES:
            queued.append(len(shell.queue))

    shell.write32 = watched
    accelerator.run(small()[2])
    assert queued[0] == 1 and min(queued[2:]) >= 2


def test_a_timeout_says_how_many_frames_were_done(folder):
    network, _, images = small()
    accelerator, shell = opened(folder)
    batch = accelerator.submit(images[:5])
    while batch.done < 2:
        pass
    shell.stuck = True
    with pytest.raises(DriverTimeout, match=r"^after 1 s 2 of 5 frames of batch 1 are done: STATUS "
                                            r"is 0x4 \(room in the queue\)$"):
        batch.wait(1)
    shell.stuck = False
    assert np.array_equal(batch.wait(1), network.run(images[:5]))


def test_an_abort_drops_batches_and_their_parts_to_come(folder):
    network, _, images = small()
    accelerator, shell = opened(folder, cycles=50)
    batches = [accelerator.submit(images), accelerator.submit(images[:2])]
    accelerator.abort()
    for batch in batches:
        with pytest.raises(DriverError, match=r"^batch \d was dropped by an abort$"):
            batch.wait()
    assert not shell.queue
    assert np.array_equal(accelerator.run(images[:9]), network.run(images[:9]))


@pytest.mark.parametrize("change, message", [
    ({"network_id": 0x42}, "the bitstream on the device is of network 0000000000000042, this "
                           "folder is of network 0123456789abcdef (small): load small.bit"),
    ({"shape_id": 0x42}, "the accelerator has shape 0000000000000042, this folder is of shape "
                         "0000000000000000"),
])
def test_refuses_the_bitstream_of_another_network(folder, change, message):
    with pytest.raises(DriverError, match=f"^{re.escape(message)}$"):
        opened(folder, **change)


def test_refuses_frames_of_other_sizes(folder):
    network, plan, _ = small()
    shell = shell_of(network, plan, word_bits=128)
    with pytest.raises(DriverError, match="^the accelerator has frames of 16 bytes in and 16 out, "
                                          "this folder says 8 and 8$"):
        Accelerator(folder, MemoryTransport(shell, shell))
    assert shell.memory.freed


def test_throughput_is_measured_against_the_bound(folder):
    accelerator, _ = opened(folder, batch=20, cycles=8)
    result = accelerator.throughput(110)
    assert result.frames == 110 and result.bound_cycles == 7
    assert result.cycles_per_frame == 8 and result.share == 7 / 8
    assert str(result).startswith("110 frames in ")
    with pytest.raises(DriverError, match="^a throughput test needs at least 1 frame: 0 are "):
        accelerator.throughput(0)


def test_closing_gives_the_memory_back(folder):
    accelerator, shell = opened(folder)
    with accelerator:
        accelerator.run(small()[2][:1])
    assert shell.memory.freed


def contents(seed):
    return np.random.default_rng(seed).integers(0, 2 ** 32, 9, dtype=np.uint32)


@pytest.fixture(scope="module")
def writable(tmp_path_factory):
    """Deploy it as a writable one."""
    path = tmp_path_factory.mktemp("writable")
    deploy(path, contents=contents(0), shape_id=SHAPE_ID)
    return path / "deploy"


def test_its_own_weights_are_written_first(writable):
    _, shell = opened(writable, shape_id=SHAPE_ID)
    assert shell.contents == dict(enumerate(contents(0).tolist()))


def test_another_network_of_the_shape_is_loaded_with_its_host_part(writable, tmp_path):
    other, plan, images = small(seed=1)
    accelerator, shell = opened(writable, shape_id=SHAPE_ID)
    (tmp_path / "other.npz").write_bytes(contents_file(contents(1), SHAPE_ID, host_arrays(other)))
    accelerator.load(tmp_path / "other.npz")
    assert shell.contents == dict(enumerate(contents(1).tolist()))
    # What the gateware would compute from now on.
    shell.compute = shell_of(other, plan).compute
    assert np.array_equal(accelerator.run(images), other.run(images))


@pytest.mark.parametrize("words, shape, message", [
    (contents(1), NETWORK_ID, "{} is for accelerators of shape 0123456789abcdef, this one has "
                              "shape fedcba9876543210: compile both networks with the same folds"),
    (contents(1)[1:], SHAPE_ID, "{} has 8 words, this accelerator takes 9"),
])
def test_refuses_weights_of_another_shape(writable, tmp_path, words, shape, message):
    accelerator, _ = opened(writable, shape_id=SHAPE_ID)
    path = tmp_path / "other.npz"
    path.write_bytes(contents_file(words, shape, host_arrays(small()[0])))
    with pytest.raises(DriverError, match=f"^{re.escape(message.format(path))}$"):
        accelerator.load(path)


def test_refuses_damaged_weights(writable, tmp_path):
    accelerator, _ = opened(writable, shape_id=SHAPE_ID)
    path = tmp_path / "other.npz"
    host = host_arrays(small()[0])
    path.write_bytes(contents_file(contents(1), SHAPE_ID, host))
    with np.load(path) as file:
        arrays = dict(file)
    arrays["words"][3] ^= 1
    np.savez(path, **arrays)
    with pytest.raises(DriverError, match="other.npz is damaged: the SHA-256 of its words is not"):
        accelerator.load(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DriverError, match="other.npz is no file of weights: "):
        accelerator.load(path)


def test_only_a_writable_one_loads_weights(folder, writable):
    accelerator, _ = opened(folder)
    with pytest.raises(DriverError, match="^small was not compiled as writable: its weights are in "
                                          "the bitstream$"):
        accelerator.load(writable / "weights.npz")


@pytest.mark.parametrize("change, message", [
    (lambda folder: (folder / "host.npz").write_bytes(b"PK"),
     "is not the file that accelerator.json speaks of: its SHA-256 is another"),
    (lambda folder: (folder / "accelerator.json").unlink(), "accelerator.json cannot be read: "),
    (lambda folder: (folder / "accelerator.json").write_text("{"),
     "accelerator.json cannot be read: "),
    (lambda folder: (folder / "accelerator.json").write_text('{"format": 2}'),
     "accelerator.json has format 2, this driver knows 1: use the driver beside it"),
])
def test_refuses_a_folder_that_is_not_whole(tmp_path, change, message):
    deploy(tmp_path)
    change(tmp_path / "deploy")
    with pytest.raises(DriverError, match=message):
        opened(tmp_path / "deploy")


def test_validation_says_accuracy_mismatches_and_rate(folder, capsys):
    accelerator, _ = opened(folder, cycles=8)
    assert validate(accelerator, folder, 100)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["accuracy: 100.00 % of 50 images", "mismatches: 0 of 50 images"]
    assert re.fullmatch(r"throughput: 100 frames in .* s: .* frames/s; 8\.0 cycles a frame where "
                        r"the bound is 7: 87\.5 % of it, at .* MHz; the bound is 14285714 frames/s",
                        lines[2])


def test_validation_fails_where_a_result_is_wrong(folder, capsys):
    accelerator, shell = opened(folder)
    right = shell.compute

    def wrong(data):
        y = right(data)
        if not np.array_equal(data, wrong.first):
            y[0, 0] ^= 1
        return y

    wrong.first = accelerator.input.pack(accelerator.host.encode(small()[2][:1]).reshape(1, -1))
    shell.compute = wrong
    assert not validate(accelerator, folder, 10)
    assert re.search(r"mismatches: \d+ of 50 images, the first is image 1\n",
                     capsys.readouterr().out)


@pytest.fixture(scope="module")
def in_nodes(tmp_path_factory):
    """Deploy the small network as if the driver could not compute what is behind it."""
    path = tmp_path_factory.mktemp("nodes")
    arrays = dict(host_arrays(small()[0]))
    settings = json.loads(str(arrays["host"]))
    settings["tail"] = {"kind": None, "nodes": False, "reason": "it is odd"}
    deploy(path, host=arrays | {"host": np.array(json.dumps(settings))})
    return path / "deploy"


def test_validation_compares_integers_where_the_host_is_not_numpy_alone(in_nodes, capsys):
    assert np.load(in_nodes / "codes.npy").dtype == np.load(in_nodes / "integers.npy").dtype == "i1"
    accelerator, shell = opened(in_nodes)
    assert validate(accelerator, in_nodes, 100)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mismatches: 0 of 50 images as integers"
    assert lines[1].startswith("images: not run; what the file has behind the accelerator cannot "
                               "be computed here: it is odd; use run_integers")
    assert lines[2].startswith("throughput: 100 frames")
    right = shell.compute
    shell.compute = lambda data: right(data) ^ 1
    assert not validate(accelerator, in_nodes, 10)
    assert "mismatches: 50 of 50 images as integers, the first is image 0" in (
        capsys.readouterr().out)


def test_metadata_say_what_the_contract_says(folder):
    metadata = json.loads((folder / "accelerator.json").read_text())
    assert metadata["network_id"] == f"{NETWORK_ID:016x}"
    assert metadata["input"] == {"bits": 2, "signed": True, "bipolar": False, "lanes": 1,
                                 "beats": 12, "word_bits": 64, "dims": [12]}
    assert (metadata["shell"], metadata["clock_mhz"], metadata["writable"]) == ("zynq7", 100, None)
