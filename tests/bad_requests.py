"""Bad requests for a sound model: options, fold files, folders, frames and labels.

Kinds as in ``tests.bad_models``.
"""

import sys
from pathlib import Path

import numpy as np

from tests.bad_models import Bad, Kind, compiling, good, kinds

__all__ = ["KINDS"]

KINDS: list[Kind] = []
kind = kinds(KINDS)


# Options of compile.

@kind
def integers_of_no_type(folder):
    return compiling(folder, good(), "uint7x", "uint16", options=["--input", "uint7x"])


@kind
def more_winners_than_outputs(folder):
    return compiling(folder, good(), "5", "4", options=["--top", "5"])


@kind
def impossible_rate(folder):
    # At 1 MHz no fold gives more than 1,000,000 frames a second.
    return compiling(folder, good(), "2e+06", "1 MHz", "1e+06",
                     options=["--fps", "2000000", "--clock", "1"])


@kind
def rate_of_zero(folder):
    return compiling(folder, good(), "0", options=["--fps", "0"])


@kind
def rate_that_is_no_number(folder):
    return compiling(folder, good(), "--fps", options=["--fps", "nan"], status=2)


@kind
def negative_rate(folder):
    return compiling(folder, good(), "--fps", options=["--fps", "-5"], status=2)


@kind
def clock_zero(folder):
    return compiling(folder, good(), "--clock", options=["--clock", "0"], status=2)


@kind
def unknown_device(folder):
    return compiling(folder, good(), "xc9000", options=["--device", "xc9000"])


@kind
def max_for_no_device(folder):
    return compiling(folder, good(), "--device", options=["--max"], status=2)


def folding(folder, text, *words):
    """Compile with a fold file of this text."""
    (folder / "folds.toml").write_text(text)
    return compiling(folder, good(), *words, options=["--fold", str(folder / "folds.toml")])


@kind
def fold_file_missing(folder):
    return compiling(folder, good(), "absent.toml",
                     options=["--fold", str(folder / "absent.toml")])


@kind
def fold_file_not_toml(folder):
    return folding(folder, "[mvtu0\npe == 1", "folds.toml", "TOML")


@kind
def fold_of_unknown_layer(folder):
    return folding(folder, "[mvtu7]\npe = 1\nsimd = 1\n", "folds.toml", "mvtu7", "mvtu1")


@kind
def fold_that_does_not_divide(folder):
    return folding(folder, "[mvtu0]\npe = 4\nsimd = 2\n", "mvtu0", "MH is 6", "PE is 4")


@kind
def simd_that_does_not_divide(folder):
    return folding(folder, "[mvtu0]\npe = 2\nsimd = 3\n", "mvtu0", "MW is 8", "SIMD is 3")


@kind
def fold_of_zero(folder):
    return folding(folder, "[mvtu0]\npe = 0\nsimd = 2\n", "mvtu0", "pe", "0")


@kind
def fold_of_text(folder):
    return folding(folder, '[mvtu0]\npe = "two"\n', "mvtu0", "pe", "two")


@kind
def fold_with_unknown_key(folder):
    return folding(folder, "[mvtu0]\npe = 2\nsmid = 2\n", "mvtu0", "smid", "simd")


@kind
def fold_with_unknown_memory(folder):
    return folding(folder, '[mvtu0]\nmemory = "gold"\n', "mvtu0", "gold", "block")


@kind
def fold_that_is_no_table(folder):
    return folding(folder, "mvtu0 = 3\n", "mvtu0")


# Folders.

@kind
def output_is_a_file(folder):
    (folder / "out").write_text("mine")
    return compiling(folder, good(), "out", "file")


@kind
def output_below_a_file(folder):
    (folder / "diary").write_text("mine")
    bad = compiling(folder, good(), "diary")
    return Bad([*bad.argv[:-1], str(folder / "diary" / "out")], bad.words)


@kind
def output_with_the_users_files(folder):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("years of work")
    return compiling(folder, good(), "out", "thesis.tex")


if sys.platform == "linux":
    @kind
    def output_that_cannot_be_written(folder):
        # Nobody, root included, makes folders here.
        bad = compiling(folder, good(), "/proc/self")
        return Bad([*bad.argv[:-1], "/proc/self/out"], bad.words)


# Frames and labels of a simulation.

def compiled(folder, *options):
    """Compile the sound network into ``folder / "build"`` and return that."""
    from quinnoa.cli import main
    bad = compiling(folder, good())
    try:
        main([*bad.argv[:-1], str(folder / "build"), *options])
    except SystemExit as end:
        assert not end.code, "the sound network must compile"
    return folder / "build"


def simulating(folder, x, *words, labels=None, options=()):
    """Simulate frames ``x``: an array, or the bytes of the file."""
    argv = ["simulate", str(compiled(folder, *options)), "--level", "model",
            "--input", str(folder / "x.npy")]
    if isinstance(x, bytes):
        (folder / "x.npy").write_bytes(x)
    elif x is not None:
        np.save(folder / "x.npy", x, allow_pickle=True)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
        argv += ["--labels", str(folder / "labels.npy")]
    return Bad(argv, words)


FRAMES = np.zeros((3, 8), np.float32)


@kind
def frames_missing(folder):
    return simulating(folder, None, "x.npy", "no such file")


@kind
def frames_of_the_wrong_shape(folder):
    return simulating(folder, np.zeros((3, 28, 28), np.float32), "28", "8")


@kind
def frames_that_are_no_array(folder):
    return simulating(folder, b"1 2 3 4 5 6 7 8\n", "x.npy")


@kind
def frames_truncated(folder):
    np.save(folder / "whole.npy", FRAMES)
    return simulating(folder, (folder / "whole.npy").read_bytes()[:-20], "x.npy")


@kind
def frames_pickled(folder):
    return simulating(folder, np.array([{"a": 1}, Path("x")], object), "x.npy")


@kind
def frames_of_text(folder):
    return simulating(folder, np.full((3, 8), "one"), "float32", "<U3")


@kind
def frames_of_complex_numbers(folder):
    return simulating(folder, np.full((3, 8), 1j), "float32", "complex128")


@kind
def frames_with_nan(folder):
    return simulating(folder, np.full((3, 8), np.nan, np.float32), "NaN")


@kind
def no_frames(folder):
    return simulating(folder, FRAMES[:0], "x.npy", "no frames")


@kind
def pixels_that_do_not_fit(folder):
    return simulating(folder, np.full((3, 8), 300), "300", "255", options=["--input", "uint8"])


@kind
def labels_of_the_wrong_length(folder):
    return simulating(folder, FRAMES, "labels.npy", "2", "3", labels=np.zeros(2, np.int64))


@kind
def labels_of_text(folder):
    return simulating(folder, FRAMES, "labels.npy", labels=np.array(["cat", "dog", "cow"]))


@kind
def folder_that_was_not_compiled(folder):
    np.save(folder / "x.npy", FRAMES)
    return Bad(["simulate", str(folder), "--input", str(folder / "x.npy")],
               (str(folder), "quinnoa compile"))


@kind
def folder_whose_model_was_changed(folder):
    bad = simulating(folder, FRAMES, "model.onnx", "compile")
    (folder / "build" / "model.onnx").write_bytes(good(bias=True).SerializeToString())
    return bad
