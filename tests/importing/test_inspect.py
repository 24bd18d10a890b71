"""Inspect's logs, written by inspect_ai itself: epochs, scorers, grades; archives that are damaged or too large."""

import json
import zipfile

import pytest

from evalsuite.importing import import_logs, reading
from evalsuite.importing.inspect_samples import columns_of
from evalsuite.importing.reading import Archive

TASK = "inspect:towns@3"


def one(path, store, **more):
    return import_logs("inspect", path, store, **more)[0]


def repacked(path, out, change=lambda name, value: value, method=zipfile.ZIP_DEFLATED):
    """An archive of the same members, compressed as older versions did, each changed first (None leaves it out)."""
    archive = Archive(path)
    with zipfile.ZipFile(out, "w", method) as target:
        for name in archive.names():
            if not name.startswith("_journal") and name not in ("summaries.json", "reductions.json"):
                value = change(name, archive.read(name))
                if value is not None:
                    target.writestr(name, json.dumps(value))
    archive.close()
    return out


def test_epochs_become_repeats_and_each_scorer_a_metric(logs, store):
    run = one(logs / "inspect" / "wrong.eval", store, lower=["both.length"])
    rows = run.rows()
    assert [(r["sample"], r["repeat"]) for r in rows[:3]] == [("q1", 0), ("q1", 1), ("q2", 0)]
    assert len(rows) == 8
    found = {m.name: m for m in run.metrics}
    assert {"match", "includes", "both.length", "both.polite"} == set(found)
    assert (found["match"].value, found["match"].n, found["match"].primary) == (0.25, 4, True)
    assert (found["both.length"].value, found["both.length"].unit) == (8.5, "score")
    assert run.manifest["tasks"][TASK]["lower_is_better"] == ["both.length"]
    row = rows[2]
    assert (row["question"], row["answer"], row["finish_reason"], row["tokens"]) == (
        "How many bridges has Vell?",
        "four",
        "stop",
        1,
    )
    assert row["prompt"] == "system: Answer in a word.\n\nuser: How many bridges has Vell?"
    assert json.loads(row["details.match"])["grade"] == "C"
    assert run.manifest["origin"]["figures"][TASK]["match"] == {"value": 0.25, "stderr": 0.25}
    assert not any("standard error" in note or "in the log" in note for note in run.manifest["origin"]["notes"])


def test_all_forms_of_a_log_say_the_same(logs, store, tmp_path):
    """Zstandard (as inspect_ai writes it today), deflate (as it did before), one JSON file."""
    zstd = one(logs / "inspect" / "right.eval", store, name="zstd")
    deflated = one(repacked(logs / "inspect" / "right.eval", tmp_path / "d.eval"), store, name="deflated")
    assert zstd.metrics == deflated.metrics
    assert zstd.rows() == deflated.rows()
    once = one(logs / "inspect" / "right-once.json", store, name="once")
    assert [(m.name, m.value) for m in once.metrics] == [(m.name, m.value) for m in zstd.metrics]
    assert once.manifest["tasks"][TASK]["data_hash"] == zstd.manifest["tasks"][TASK]["data_hash"]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("C", 1),
        ("P", 0.5),
        ("I", 0),
        ("N", 0),
        ("yes", 1),
        ("False", 0),
        (True, 1),
        ("0.25", 0.25),
        (7, 7),
        ("odd", None),
    ],
)
def test_grades(value, number):
    [(name, score)] = columns_of("here", {"scores": {"s": {"value": value}}})
    assert (name, score.value) == ("s", number)
    assert (score.reason is None) == (number is not None)


def test_a_sample_that_failed_is_missing(logs, store, edited):
    def change(log):
        log["samples"][1].update(scores={}, output={"choices": []}, error={"message": "no connection"})
        log["status"] = "error"
        log["results"] = None

    run = one(edited(logs / "inspect" / "right-once.json", change), store)
    match = next(m for m in run.metrics if m.name == "match")
    assert (match.n, match.missing, match.value) == (3, 1, 1.0)
    assert "status 'error'" in " ".join(run.manifest["origin"]["notes"])
    assert "no connection" in run.rows()[1]["completions"]


def test_a_figure_that_is_no_mean_of_scores_is_kept_as_the_log_gives_it(logs, store, edited):
    def change(log):
        log["results"]["scores"][0]["reducer"] = "pass_at_2"
        log["results"]["scores"][1]["metrics"]["accuracy"]["value"] = 0.5

    run = one(edited(logs / "inspect" / "right-once.json", change), store)
    found = {m.name: m for m in run.metrics}
    assert found["match,pass_at_2"].value == 1.0
    assert found["match"].value == 1.0
    assert found["includes"].value == 0.5
    notes = " ".join(run.manifest["origin"]["notes"])
    assert "towns includes: 0.5 in the log, 1 by its samples: the log's is kept" in notes


def test_parameters_of_a_task_are_part_of_its_name_and_graders_are_named(logs, store, edited):
    def change(log):
        log["eval"]["task_args_passed"] = {"shots": 5}
        log["stats"]["model_usage"]["openai/grader"] = {"input_tokens": 1}

    run = one(edited(logs / "inspect" / "right-once.json", change), store)
    assert list(run.manifest["tasks"]) == [f"{TASK}:shots=5"]
    assert run.manifest["roles"]["judge"]["name"] == "openai/grader"
    assert run.rows()[0]["helped"] == '["judge"]'


def test_parts_attachments_and_reasoning(logs, store, edited):
    def change(log):
        sample = log["samples"][0]
        sample["attachments"] = {"abc": "a long question"}
        sample["messages"][1]["content"] = "attachment://abc"
        parts = [
            {"type": "reasoning", "reasoning": "hm"},
            {"type": "text", "text": "so"},
            {"type": "image", "image": "x"},
        ]
        sample["output"]["choices"][0]["message"]["content"] = parts
        sample["output"]["choices"][0]["stop_reason"] = "max_tokens"

    row = one(edited(logs / "inspect" / "right-once.json", change), store).rows()[0]
    assert (row["question"], row["answer"], row["reasoning"]) == ("a long question", "so\n[image]", "hm")
    assert row["finish_reason"] == "length"


def test_a_log_without_samples(logs, store, tmp_path):
    log = repacked(logs / "inspect" / "right.eval", tmp_path / "h.eval", lambda n, v: v if n == "header.json" else None)
    run = one(log, store)
    assert next(m for m in run.metrics if m.name == "match").interval == "the log's standard error"
    assert run.manifest["origin"]["samples"] is False


def test_damaged_archives_are_refused_in_one_line(logs, refused, tmp_path):
    right = logs / "inspect" / "right.eval"
    cut = tmp_path / "cut.eval"
    cut.write_bytes(right.read_bytes()[:-200])
    assert "cut.eval: no Inspect log (a zip archive)" in refused("import", "inspect", cut)
    spoilt = tmp_path / "spoilt.eval"
    whole = bytearray(right.read_bytes())
    place = zipfile.ZipFile(right).getinfo("header.json").header_offset + 60
    whole[place : place + 20] = bytes(20)
    spoilt.write_bytes(whole)
    assert "spoilt.eval: header.json: cannot be unpacked" in refused("import", "inspect", spoilt)
    unfinished = repacked(right, tmp_path / "u.eval", lambda n, v: None if n == "header.json" else v)
    assert "has no header.json" in refused("import", "inspect", unfinished)
    other = repacked(right, tmp_path / "v.eval", lambda n, v: {**v, "version": 9} if n == "header.json" else v)
    assert "field 'version' is 9" in refused("import", "inspect", other)
    assert "expected .eval or .json" in refused("import", "inspect", logs / "README.md")


def test_damaged_samples_are_refused_in_one_line(logs, refused, tmp_path, edited):
    right = logs / "inspect" / "right.eval"
    bad = repacked(right, tmp_path / "a.eval", lambda n, v: {**v, "scores": {"match": {}}} if "q2_epoch_1" in n else v)
    assert "samples/q2_epoch_1.json: field 'scores.match.value' is missing" in refused("import", "inspect", bad)
    bad = repacked(right, tmp_path / "b.eval", lambda n, v: {**v, "epoch": "x"} if "q2_epoch_1" in n else v)
    assert "field 'epoch' is a text, not a whole number" in refused("import", "inspect", bad)
    bad = repacked(right, tmp_path / "c.eval", lambda n, v: {**v, "id": "q1"} if "q2_epoch_1" in n else v)
    assert "sample 'q1' stands twice in epoch 1" in refused("import", "inspect", bad)
    bad = repacked(right, tmp_path / "d.eval", lambda n, v: None if "q2" in n else v)
    assert "3 samples where the log counts 4" in refused("import", "inspect", bad)
    log = edited(logs / "inspect" / "right-once.json", lambda v: v["samples"].append(3))
    assert "samples[4]: is no object" in refused("import", "inspect", log)


def test_a_bomb_is_never_unpacked_whole(logs, refused, tmp_path, monkeypatch):
    """A member of zeros that claims to be small, and one that is larger than what is read at once."""
    monkeypatch.setattr(reading, "LARGEST", 1 << 20)
    bomb = tmp_path / "bomb.eval"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("header.json", " " * (4 << 20))
    assert "4 MB; at most 1 MB are read" in refused("import", "inspect", bomb)
    raw = bomb.read_bytes()
    bomb.write_bytes(raw.replace((4 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert "header.json" in refused("import", "inspect", bomb)


def test_names_that_climb_out_stay_names(logs, store, tmp_path):
    right = logs / "inspect" / "right.eval"
    log = tmp_path / "climb.eval"
    repacked(right, log, lambda n, v: {**v, "eval": {**v["eval"], "model": "x/../../up"}} if n == "header.json" else v)
    with zipfile.ZipFile(log, "a") as out:
        out.writestr("../../outside.json", "{}")
        out.writestr("samples/../../../outside.json", json.dumps({"id": "../../q9", "epoch": 1, "scores": {}}))
    run = one(repacked(log, tmp_path / "more.eval", counted), store)
    assert run.path.parent == store / "runs"
    assert "../../q9" in set(run.samples()["sample"])
    assert not list(tmp_path.rglob("outside.json"))


def counted(name, value):
    if name == "header.json":
        value["results"]["total_samples"] = 10
    return value
