"""Tests of quinnoa/arrays.py."""

import numpy as np
import pytest

from quinnoa.arrays import accuracy, read_samples
from quinnoa.errors import QuinnoaError


def saved(path, array):
    np.save(path, array)
    return path


@pytest.fixture
def frames(tmp_path):
    return saved(tmp_path / "x.npy", np.arange(12, dtype=np.float32).reshape(4, 3))


@pytest.mark.parametrize("limit, count", [(None, 4), (3, 3), (9, 4)])
def test_frames_come_with_their_classes(frames, tmp_path, limit, count):
    labels = saved(tmp_path / "y.npy", np.array([[5], [6], [7], [8]], np.uint8))
    x, y = read_samples(frames, labels, limit=limit)
    assert x.tolist() == np.load(frames)[:count].tolist()
    assert y.tolist() == [5, 6, 7, 8][:count]
    assert read_samples(frames, limit=limit)[1] is None


@pytest.mark.parametrize("array, message", [
    (np.float32(3), "{path} has no frames"),
    (np.zeros((0, 3)), "{path} has no frames"),
    (np.array([{}], object),
     "{path}: not a .npy file of frames: Object arrays cannot be loaded when allow_pickle=False"),
])
def test_refuses_arrays_that_are_no_frames(tmp_path, array, message):
    path = saved(tmp_path / "x.npy", array)
    with pytest.raises(QuinnoaError) as error:
        read_samples(path)
    assert str(error.value) == message.format(path=path)


@pytest.mark.parametrize("labels, message", [
    (np.zeros(3, int), "{path} has 3 labels for 4 frames"),
    (np.int64(1), "{path} has 1 labels for 4 frames"),
    (np.full(4, 0.5), "{path} holds float64: labels are integers, a class for each frame"),
])
def test_refuses_labels_that_are_no_classes(frames, tmp_path, labels, message):
    path = saved(tmp_path / "y.npy", labels)
    with pytest.raises(QuinnoaError) as error:
        read_samples(frames, path)
    assert str(error.value) == message.format(path=path)


def huge():
    """Return a file that says it has 2^40 numbers."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut", b"\x93NUMPY", b"frames", huge()],
                         ids=["empty", "archive", "cut", "text", "huge"])
def test_refuses_files_that_hold_no_array(tmp_path, data):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    with pytest.raises(QuinnoaError, match=f"^{path}: not a .npy file of frames: "):
        read_samples(path)


def test_refuses_an_archive(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(QuinnoaError, match="x.npz: an archive of several arrays; frames must be "
                                           "one .npy array$"):
        read_samples(tmp_path / "x.npz")


def test_refuses_a_file_that_is_not_there_and_a_limit_of_none(frames, tmp_path):
    with pytest.raises(QuinnoaError, match=f"^{tmp_path / 'y.npy'}: there is no such file$"):
        read_samples(frames, tmp_path / "y.npy")
    with pytest.raises(QuinnoaError, match="^limit is 0, but must be at least 1$"):
        read_samples(frames, limit=0)


@pytest.mark.parametrize("outputs, top, share", [
    ([[0, 5, 1], [9, 2, 9], [1, 1, 3], [0, 1, 0]], None, 0.75),      # of equals the first
    ([[1, 0], [0, 2], [2, 1], [0, 2]], 2, 0.75),                     # indices, greatest first
    ([[1], [0], [2], [0]], None, 0.75)])
def test_the_accuracy_is_the_share_of_labels_met(outputs, top, share):
    assert accuracy(np.array(outputs), np.array([1, 0, 2, 2]), top) == share
