"""Tests of platforms/driver/c: compiled without a warning, and run against a model of the shell."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from quinnoa.platforms import deploy as deploying
from quinnoa.platforms.driver import registers
from quinnoa.platforms.driver.formats import FrameFormat
from tests.platforms.deployed import deploy

C = Path(deploying.__file__).parent / "driver" / "c"
HERE = Path(__file__).parent
COMPILERS = [("gcc", "-std=c99"), ("gcc", "-std=c17"), ("g++", "-std=c++11")]
FLAGS = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O1"]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def compiled(folder, source, *, compiler="gcc", standard="-std=c99", flags=()):
    """Compile a program; return its path."""
    language = "c++" if compiler == "g++" else "c"
    subprocess.run([compiler, standard, *FLAGS, *flags, f"-I{C}", f"-I{HERE}", "-x", language,
                    source, "-o", folder / "program"], check=True)
    return folder / "program"


def ran(folder, body, **options):
    """Compile and run the body of a ``main`` behind the model; return what it prints."""
    source = folder / "main.c"
    source.write_text('#include <stdio.h>\n#include "shell_model.h"\n#include "quinnoa.h"\n'
                      f"int main(void)\n{{\n{body}\nreturn 0;\n}}\n")
    done = subprocess.run([compiled(folder, source, **options)], check=True, timeout=20,
                          capture_output=True, text=True)
    return done.stdout.split()


OPEN = """
    quinnoa_t q;
    static uint8_t images[40], results[20];
    for (unsigned k = 0; k < 40; k++) images[k] = (uint8_t)k;
    (void)results;
    model_start(0x0123456789ABCDEFull, COUNTED);
    if (quinnoa_open(&q, 0, 0x0123456789ABCDEFull, 8, 4)) return 1;
    model.registers[0x34 / 4] = q.first = COUNTED;
"""


@pytest.mark.parametrize("compiler, standard", COMPILERS)
@pytest.mark.parametrize("counted", ["0u", "0xFFFFFFFFu"])
def test_batches_are_submitted_and_waited_for(tmp_path, compiler, standard, counted):
    out = ran(tmp_path, f"#define COUNTED {counted}\n" + OPEN + """
    int64_t first = quinnoa_submit(&q, (uintptr_t)images, (uintptr_t)results, 2);
    int64_t second = quinnoa_submit(&q, (uintptr_t)(images + 16), (uintptr_t)(results + 8), 3);
    printf("%d %d %d ", (int)first, (int)second, quinnoa_done(&q, first));
    printf("%d ", quinnoa_wait(&q, second, 1000));
    printf("%d ", quinnoa_wait(&q, first, 0));
    for (unsigned k = 0; k < 20; k++) printf("%d ", results[k]);
    """, compiler=compiler, standard=standard)
    assert out[:5] == ["1", "2", "0", "0", "0"]
    frames = np.arange(40, dtype=np.uint8).reshape(5, 8)
    assert [int(x) for x in out[5:]] == (~frames[:, :4]).reshape(-1).tolist()


def test_a_full_queue_is_said(tmp_path):
    out = ran(tmp_path, "#define COUNTED 0u\n" + OPEN + """
    model.stuck = 1;
    for (int k = 0; k < 5; k++)
        printf("%d ", (int)quinnoa_submit(&q, (uintptr_t)images, (uintptr_t)results, 1));
    printf("%d ", quinnoa_wait(&q, 1, 100));
    printf("%d ", quinnoa_load(&q, (const uint32_t *)(const void *)images, 1));
    """)
    assert out == ["1", "2", "3", "4", "-3", "-4", "-6"]


def test_an_abort_leaves_it_usable(tmp_path):
    out = ran(tmp_path, "#define COUNTED 7u\n" + OPEN + """
    model.stuck = 1;
    quinnoa_submit(&q, (uintptr_t)images, (uintptr_t)results, 1);
    printf("%d ", quinnoa_abort(&q, 10));
    model.stuck = 0;
    int64_t batch = quinnoa_submit(&q, (uintptr_t)images, (uintptr_t)results, 1);
    printf("%d %d ", (int)batch, quinnoa_wait(&q, batch, 100));
    printf("%d", results[0]);
    """)
    assert out == ["0", "1", "0", "255"]


def test_a_bus_error_is_said(tmp_path):
    out = ran(tmp_path, "#define COUNTED 0u\n" + OPEN + """
    int64_t batch = quinnoa_submit(&q, (uintptr_t)images, (uintptr_t)results, 1);
    model.refused = 1;
    printf("%d", quinnoa_wait(&q, batch, 100));
    """)
    assert out == ["-5"]


@pytest.mark.parametrize("change, status", [
    ("model.registers[0] = 0xFFFFFFFFu;", "-1"), ("model.registers[1] = 2u;", "-1"),
    ("model.registers[3] ^= 1u;", "-2"), ("model.registers[0x40 / 4] = 16u;", "-2"),
    ("model.registers[0x44 / 4] = 16u;", "-2"), ("", "0"),
])
def test_another_accelerator_is_refused(tmp_path, change, status):
    assert ran(tmp_path, f"""
    quinnoa_t q;
    model_start(5, 0);
    {change}
    printf("%d", quinnoa_open(&q, 0, 5, 8, 4));
    """) == [status]


def test_contents_are_written_word_by_word(tmp_path):
    assert ran(tmp_path, "#define COUNTED 0u\n" + OPEN + """
    static const uint32_t words[3] = {7u, 0xFFFFFFFFu, 9u};
    printf("%d ", quinnoa_load(&q, words, 3));
    for (int k = 0; k < 4; k++) printf("%u ", (unsigned)model.contents[k]);
    printf("%d", images[1]);
    """) == ["0", "7", "4294967295", "9", "0", "1"]


@pytest.mark.parametrize("bits, signed, bipolar", [
    (1, False, True), (1, False, False), (2, True, False), (3, False, False), (8, True, False),
    (11, True, False), (16, False, False), (24, True, False), (32, True, False)])
def test_frames_are_those_of_the_python_driver(tmp_path, bits, signed, bipolar):
    form = FrameFormat(bits=bits, signed=signed, bipolar=bipolar, lanes=4, beats=9, word_bits=64,
                       dims=(3, 11))
    rng = np.random.default_rng(bits)
    values = rng.integers(form.low, form.high + 1, (1, 3, 11))
    values[0, 0, :2] = form.low, form.high
    values = np.where(values == 0, 1, values) if bipolar else values
    stride = 12
    out = ran(tmp_path, f"""
    static const int32_t values[33] = {{{", ".join(f"(int32_t){v}" for v in values.reshape(-1))}}};
    static uint8_t frame[{form.bytes}];
    for (size_t k = 0; k < 33; k++)
        quinnoa_put(frame, {form.slot}u, {int(bipolar)}, k / 11 * {stride} + k % 11, values[k]);
    for (size_t k = 0; k < sizeof frame; k++) printf("%d ", frame[k]);
    for (size_t k = 0; k < 33; k++)
        printf("%lld ", (long long)quinnoa_get(frame, {form.slot}u, {int(signed)}, {int(bipolar)},
                                               k / 11 * {stride} + k % 11));
    """)
    assert [int(x) for x in out[:form.bytes]] == form.pack(values)[0].tolist()
    assert [int(x) for x in out[form.bytes:]] == values.reshape(-1).tolist()


@pytest.mark.parametrize("compiler, standard", COMPILERS)
@pytest.mark.parametrize("board", ["pynq-z2", "zcu104", "ulx3s-85f"])
def test_the_example_compiles_with_the_header_of_a_folder(tmp_path, compiler, standard, board):
    deploy(tmp_path, board)
    folder = tmp_path / "deploy"
    # Bus addresses beyond the test machine's pointers are none of it: compile, do not link.
    compiled(tmp_path, folder / "driver" / "c" / "example.c", compiler=compiler,
             standard=standard, flags=["-c", f"-I{folder}"])


def test_the_map_is_that_of_the_python_driver():
    text = (C / "quinnoa.h").read_text()
    found = {name: int(value, 0) for name, value in
             re.findall(r"#define QUINNOA_REG_(\w+) (0x\w+)u", text)}
    assert found == {name: getattr(registers, name) for name in found}
    assert len(found) == 16
    for name in ("MAGIC_VALUE", "VERSION_VALUE", "IDLE", "ERROR", "ROOM"):
        value, = re.findall(rf"#define QUINNOA_{name} (\w+)u", text)
        assert int(value, 0) == getattr(registers, name)
