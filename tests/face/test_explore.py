"""Tests of quinnoa/explore.py, and of points.py, store.py and sweep.py behind it."""

import csv
import json

import numpy as np
import onnx
import pytest

import quinnoa
from quinnoa import cli
from quinnoa import sweep as sweeping
from quinnoa.errors import QuinnoaError
from quinnoa.explore import explore, ladder, mark_optimal, show
from quinnoa.points import Job, compute, fingerprint, provide
from quinnoa.store import Store
from tests.graph.cnns import activation, cnn, conv
from tests.models import inputs, mlp, reference

WIDTHS = (32, 8, 4)
DEVICES = ("xc7z010", "xc7z020", "xczu3eg", "lfe5u-25f", "xc7z045")
RANGE = {"model": "m", "name": "tiny", "input": None, "top": None, "device": "xc7z020"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the files of four small models."""
    folder = tmp_path_factory.mktemp("models")
    for k in range(4):
        onnx.save(mlp(WIDTHS, w_bits=2, a_bits=2, seed=k), folder / f"tiny{k}.onnx")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def labelled(models, tmp_path_factory):
    """Return files of frames and labels, of which the first model gets some wrong."""
    folder = tmp_path_factory.mktemp("frames")
    x = inputs(WIDTHS, 60, i_bits=2, seed=0)
    labels = reference(onnx.load(models[0]), x).reshape(60, -1).argmax(axis=1)
    labels[:15] = (labels[:15] + 1) % WIDTHS[-1]
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", labels)
    return folder / "x.npy", folder / "y.npy"


@pytest.fixture(scope="module")
def scheduler():
    """Return the address of a scheduler with a worker, in a thread of this process."""
    from distributed import LocalCluster
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp",
                      dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def explored(models, labelled, scheduler, tmp_path_factory):
    """Return the result of two models on a device, and its folder."""
    folder = tmp_path_factory.mktemp("explore") / "out"
    return explore(models[:2], folder, devices=["xc7z020"], points=4, images=labelled[0],
                   labels=labelled[1], scheduler=scheduler), folder


def no_client(*args):
    raise AssertionError("there is nothing to compute")


def test_a_ladder_goes_down_by_one_ratio():
    steps = ladder(65536, 64, 6)
    assert (steps[0], steps[-1], len(steps)) == (65536, 64, 6)
    ratios = [a / b for a, b in zip(steps, steps[1:], strict=False)]
    assert ratios == pytest.approx([4] * 5)


def test_a_ladder_has_each_step_once():
    assert ladder(4, 1, 10) == [4, 3, 2, 1]
    assert ladder(9, 9, 5) == [9]
    assert ladder(100, 7, 1) == [7]
    assert ladder(100, None, 7) == [100]


def test_a_point_is_optimal_unless_another_is_as_good_in_all_and_better_in_one():
    rng = np.random.default_rng(0)
    keys = ("fps", "accuracy", "lut", "bram36", "uram", "dsp")
    points = [{**dict(zip(keys, rng.integers(1, 4, 6).tolist(), strict=True)),
               "fits": bool(rng.integers(4)), "device": str(rng.integers(2)), "model": "m"}
              for _ in range(300)]
    mark_optimal(points)

    def beats(a, b):
        signs = [a[k] - b[k] for k in keys[:2]] + [b[k] - a[k] for k in keys[2:]]
        return min(signs) >= 0 and max(signs) > 0

    for point in points:
        rivals = [p for p in points if p["fits"] and p["device"] == point["device"]]
        assert point["optimal"] == (point["fits"] and not any(beats(p, point) for p in rivals))
    assert 0 < sum(point["optimal"] for point in points) < 100


def test_models_of_unknown_accuracy_are_not_compared():
    one = {"fps": 1.0, "accuracy": None, "lut": 9, "bram36": 0, "uram": 0, "dsp": 0, "fits": True,
           "device": "d", "model": "a"}
    better = {**one, "lut": 5, "model": "b"}
    mark_optimal([one, better])
    assert one["optimal"] and better["optimal"]
    one["accuracy"] = better["accuracy"] = 0.9
    mark_optimal([one, better])
    assert not one["optimal"] and better["optimal"]


@pytest.mark.parametrize("change", [{"model": "n"}, {"device": "xc7z010"}, {"top": 1},
                                    {"input": ["uint8", 1.0, 0.0]}])
def test_what_a_result_follows_from_is_in_its_key(change):
    assert Job("range", RANGE).key == Job("range", dict(reversed(RANGE.items()))).key
    assert Job("range", RANGE).key != Job("range", {**RANGE, **change}).key
    assert Job("range", RANGE).key != Job("range", RANGE, made_by="another version").key


def test_a_worker_of_another_version_refuses():
    with pytest.raises(QuinnoaError) as error:
        compute(Job("range", RANGE, made_by="0.0"))
    assert str(error.value) == (f"this worker has quinnoa {fingerprint()}, the sweep 0.0: install "
                                "the same on both")


def test_a_store_keeps_results_and_takes_no_half_ones(tmp_path):
    job, other = Job("range", RANGE), Job("range", {**RANGE, "top": 1})
    store = Store(tmp_path / "out")
    assert store.get(job) is None
    store.put(job, {"slowest": 5})
    assert Store(tmp_path / "out").get(job) == {"slowest": 5}
    assert store.get(other) is None
    path = tmp_path / "out" / "results" / f"{job.key}.json"
    path.write_text(path.read_text()[:-20])
    assert store.get(job) is None


def test_a_folder_that_holds_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(QuinnoaError) as error:
        Store(tmp_path)
    assert str(error.value) == (f"{tmp_path} holds other files (thesis.tex) and no sweep; give an "
                                "empty folder with -o")
    with pytest.raises(QuinnoaError) as error:
        Store(tmp_path / "thesis.tex")
    assert str(error.value) == (f"{tmp_path / 'thesis.tex'} is a file, not a folder; give another "
                                "name with -o")


def test_a_point_is_what_compile_reports(models, tmp_path):
    network = quinnoa.load(models[0])
    provide({"m": network.source})
    point = compute(Job("point", {**RANGE, "clock_mhz": 50.0, "target": 40, "synthesis": False,
                                  "simulation": False}))
    report = quinnoa.compile_network(network, tmp_path / "out", fps=50e6 / 40, clock_mhz=50.0,
                                     device="xc7z020")
    assert {key: point[key] for key in ("cycles", "latency", "fps", "bottleneck")} == {
        key: report[key] for key in ("cycles", "latency", "fps", "bottleneck")}
    assert {key: point[key] for key in report["totals"]} == report["totals"]
    assert [p["macs"] for p in point["products"]] == [32 * 8, 8 * 4]
    # 2-bit weights and inputs, in bits a frame
    assert (point["products"][0]["weights"], point["products"][0]["i"]) == (2 * 256, 2 * 32)
    assert point["i"] == 2 * 32


def test_an_image_is_read_once_however_often_windows_see_it():
    model = cnn(lambda g, x: activation(g, conv(g, x, 5, 4, pads=[1, 1, 1, 1]), 5))
    provide({"cnn": model.SerializeToString()})
    point = compute(Job("point", {**RANGE, "model": "cnn", "clock_mhz": 100.0, "target": 4000,
                                  "synthesis": False, "simulation": False}))
    product, = point["products"]
    # 7 x 6 pixels of 4 channels in, and of 5 out; 3 bits each
    assert (product["i"], product["o"]) == (point["i"], point["o"]) == (42 * 4 * 3, 42 * 5 * 3)
    assert product["macs"] == 42 * 5 * 4 * 9


def test_a_range_ends_where_the_device_is_full(models):
    provide({"m": quinnoa.load(models[0]).source})
    assert compute(Job("range", RANGE)) == {"slowest": 256, "fastest": 1}


def test_what_fits_no_device_says_why(monkeypatch, models):
    from quinnoa.platforms import parts
    small = parts.Part("small", "xc7", 20, 40, 1, 0, 0)
    monkeypatch.setitem(parts.PARTS, "small", small)
    provide({"m": quinnoa.load(models[0]).source})
    found = compute(Job("range", {**RANGE, "device": "small"}))
    assert (found["slowest"], found["fastest"]) == (256, None)
    assert found["why"].startswith("the smallest design needs about ")


@pytest.mark.parametrize("writable", [False, True])
def test_trials_measure_what_the_schedule_says(models, monkeypatch, writable):
    provide({"m": quinnoa.load(models[0]).source})
    job = Job("point", {**RANGE, "clock_mhz": 100.0, "target": 16, "synthesis": True,
                        "simulation": True, "writable": writable})
    point = compute(job)
    run = point["simulation"]
    assert run == {"frames": 3, "cycles_per_frame": point["cycles"], "latency": point["latency"],
                   "mismatches": 0}
    made = point["synthesis"]
    assert made["lut"] == pytest.approx(point["lut"], rel=0.25)
    assert set(made["layers"]) >= {"mvtu0", "mvtu1"}
    # What was tried is kept: there is no Yosys to be found any more.
    monkeypatch.setattr("quinnoa.trial.synthesise", no_client)
    assert compute(job) == point


def test_accuracies_are_those_of_the_file(explored, models, labelled):
    result, _ = explored
    x, labels = (np.load(path) for path in labelled)
    expected = [float(np.mean(reference(onnx.load(path), x).reshape(60, -1).argmax(axis=1)
                              == labels)) for path in models[:2]]
    assert [model["accuracy"] for model in result["models"]] == expected
    assert expected[0] == 0.75


def test_results_go_from_the_slowest_to_the_fastest_folds(explored):
    result, folder = explored
    for name in ("tiny0", "tiny1"):
        cycles = [p["cycles"] for p in result["points"] if p["model"] == name]
        assert cycles == sorted(set(cycles), reverse=True)
        assert cycles[-1] == 1 and len(cycles) in (3, 4)
    assert all(p["fits"] and p["fps"] == 100e6 / p["cycles"] for p in result["points"])
    assert (result["failed"], result["too_large"]) == ([], [])


def test_files_of_a_sweep_say_the_same(explored, capsys):
    result, folder = explored
    kept = json.loads((folder / "points.json").read_text())
    assert kept == {key: value for key, value in result.items() if key != "found"}
    rows = list(csv.DictReader((folder / "points.csv").read_text().splitlines()))
    assert [int(row["lut"]) for row in rows] == [p["lut"] for p in result["points"]]
    page = (folder / "explore.html").read_text()
    assert page.count("<figure>") >= 4 and "http" not in page.replace("http-equiv", "")
    show(result, folder)
    shown = capsys.readouterr().out
    assert "tiny1 on xc7z020 at 100 MHz" in shown
    assert shown.count("100 M ") == 2                    # a frame a cycle, of either model


def test_what_is_there_is_not_computed_again(explored, models, labelled, monkeypatch):
    result, folder = explored
    before = (folder / "points.json").read_bytes()
    monkeypatch.setattr(sweeping, "_client", no_client)
    again = explore(models[:2], folder, devices=["xc7z020"], points=4, images=labelled[0],
                    labels=labelled[1])
    assert again["found"] == len(list((folder / "results").iterdir())) == 2 + 2 + 8
    assert (folder / "points.json").read_bytes() == before


def test_a_scheduler_that_is_not_there_is_named(models, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeping, "CONNECT", 1)
    with pytest.raises(QuinnoaError, match=r"^the scheduler tcp://127\.0\.0\.1:9 does not answer"
                                           r" .*; start one with `dask scheduler`"):
        explore(models[:1], tmp_path / "out", devices=["xc7z020"], scheduler="tcp://127.0.0.1:9")


def test_a_failure_is_told_and_tried_again(models, labelled, scheduler, tmp_path, monkeypatch):
    def fails(**_):
        raise QuinnoaError("no memory is left")
    monkeypatch.setattr("quinnoa.points._accuracy", fails)
    asked = dict(devices=["xc7z020"], points=1, images=labelled[0], labels=labelled[1],
                 scheduler=scheduler)
    result = explore(models[:1], tmp_path / "out", **asked)
    assert result["failed"] == [{"kind": "accuracy", "name": "tiny0",
                                 "why": "no memory is left"}]
    assert len(result["points"]) == 1
    again = explore(models[:1], tmp_path / "out", **asked)
    assert (again["found"], again["failed"]) == (2, result["failed"])


@pytest.mark.parametrize("asked, message", [
    ({"devices": ["xc9"]}, "unknown device xc9; known are xc7z010"),
    ({"devices": []}, "a model and a device at least are needed"),
    ({"points": 0}, "points is 0, but must be at least 1"),
    ({"clock_mhz": 0.0}, "clock is 0 MHz, but must be above 0 and at most 10,000"),
    ({"labels": "y.npy"}, "the accuracy needs both frames and their classes"),
])
def test_refuses_what_cannot_be_explored(models, tmp_path, asked, message):
    with pytest.raises(QuinnoaError) as error:
        explore(models[:1], tmp_path / "out", **{"devices": ["xc7z020"], **asked})
    assert str(error.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_frames_that_do_not_fit_are_refused_before_anything_is_computed(models, tmp_path):
    for name, array in (("x", np.zeros((3, 5), np.float32)), ("y", np.zeros(3, int))):
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(QuinnoaError) as error:
        explore(models[:1], tmp_path / "out", devices=["xc7z020"], images=tmp_path / "x.npy",
                labels=tmp_path / "y.npy")
    assert str(error.value) == (f"{models[0]}: input x takes arrays of shape (frames, 32): (3, 5) "
                                "is given")
    assert not (tmp_path / "out").exists()


def test_refuses_a_model_given_twice(models, tmp_path):
    with pytest.raises(QuinnoaError) as error:
        explore([models[0], models[0]], tmp_path / "out", devices=["xc7z020"])
    assert str(error.value) == f"{models[0]} is given twice, or a copy of it"


@pytest.mark.parametrize("options, status, message", [
    (["--device", "xc9"], 1, "error: unknown device xc9; known are xc7z010"),
    ([], 2, "Missing option '--device'"),
    (["--device", "xc7z020", "--images", "x.npy"], 2, "go together"),
    (["--device", "xc7z020", "--input-scale", "2"], 2, "needs --input TYPE"),
    (["--device", "xc7z020", "--scheduler", "a:1", "--workers", "2"], 2, "a cluster has its own"),
    (["--device", "xc7z020", "--images", "x.npy", "--labels", "y.npy"], 1,
     "error: x.npy: there is no such file"),
])
def test_the_command_says_what_is_wrong(models, tmp_path, monkeypatch, capsys, options, status,
                                        message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    with pytest.raises(SystemExit) as end:
        cli.main(["explore", str(models[0]), *options])
    assert end.value.code == status
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "explore").exists()
